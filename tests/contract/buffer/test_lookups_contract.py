"""What the app wants to know of Kafka: asked once, answered once, and gone half an hour later."""

from __future__ import annotations

import pytest

from pipeline.buffer import Buffer, Lookup, Reader
from pipeline.buffer.lookup_contract import KEPT, KEPT_MS, WAITED_FOR_MS
from tests.support.buffer_rows import NOW_MS


def test_questions_are_answered_in_their_order(buffer: Buffer, other: Buffer, store) -> None:
    first = buffer.lookups.ask("topics", "{}", "one", NOW_MS)
    second = buffer.lookups.ask("sample", '{"topic": "a"}', "one", NOW_MS)
    assert other.lookups.next(NOW_MS) == Lookup(first, "topics", "{}", "asked", NOW_MS)
    other.lookups.answer(first, '["a"]', "", NOW_MS + 1)
    assert other.lookups.next(NOW_MS) == Lookup(second, "sample", '{"topic": "a"}', "asked", NOW_MS)
    other.lookups.answer(second, None, "there is no topic a", NOW_MS + 1)
    assert other.lookups.next(NOW_MS) is None
    with Reader(store.path) as reader:
        assert reader.lookup(first) == Lookup(first, "topics", "{}", "done", NOW_MS, '["a"]')
        failed = reader.lookup(second)
        assert failed is not None
        assert (failed.state, failed.answer, failed.error) == ("failed", None, "there is no topic a")
        assert reader.lookup(99) is None


def test_who_asks_again_waits_for_the_newer_answer_only(buffer: Buffer) -> None:
    buffer.lookups.ask("try", "old", "one", NOW_MS)
    others = buffer.lookups.ask("try", "theirs", "two", NOW_MS)
    newer = buffer.lookups.ask("try", "new", "one", NOW_MS)
    assert [each.id for each in waiting(buffer)] == [others, newer]


def waiting(buffer: Buffer) -> list[Lookup]:
    """All questions, each answered as it comes."""
    found = []
    while (each := buffer.lookups.next(NOW_MS)) is not None:
        found.append(each)
        buffer.lookups.answer(each.id, "1", "", NOW_MS)
    return found


def test_a_question_that_nobody_waits_for_any_more_is_not_answered(buffer: Buffer) -> None:
    buffer.lookups.ask("topics", "{}", "one", NOW_MS)
    assert buffer.lookups.next(NOW_MS + WAITED_FOR_MS) is not None
    assert buffer.lookups.next(NOW_MS + WAITED_FOR_MS + 1) is None


def test_answers_are_kept_for_half_an_hour_and_not_more_than_some(buffer: Buffer, store) -> None:
    for number in range(KEPT + 10):
        each = buffer.lookups.ask("topics", "{}", f"{number}", NOW_MS)
        buffer.lookups.answer(each, "1", "", NOW_MS)
    assert len(store.table("lookups")) == KEPT
    assert buffer.lookups.prune(NOW_MS + KEPT_MS) == 0
    assert buffer.lookups.prune(NOW_MS + KEPT_MS + 1) == KEPT
    assert store.table("lookups") == []


def test_an_answer_to_a_question_that_is_gone_or_answered_changes_nothing(buffer: Buffer, store) -> None:
    buffer.lookups.answer(7, "1", "", NOW_MS)
    number = buffer.lookups.ask("topics", "{}", "one", NOW_MS)
    buffer.lookups.answer(number, "1", "", NOW_MS)
    buffer.lookups.answer(number, "2", "", NOW_MS)
    assert [row["answer"] for row in store.table("lookups")] == ["1"]


@pytest.mark.parametrize("size", [10, 5_000, 2_000_000])
def test_an_answer_of_any_length_is_read_whole(buffer: Buffer, store, size: int) -> None:
    number = buffer.lookups.ask("topics", "{}", "one", NOW_MS)
    buffer.lookups.answer(number, "x" * size, "", NOW_MS)
    with Reader(store.path) as reader:
        found = reader.lookup(number)
    assert found is not None
    assert found.answer == "x" * size
