"""The worker's rounds for the text index: all that has come is indexed, in bounded time, and people hear how far."""

from pathlib import Path

import pytest

from pipeline.buffer import DeadLetterFilter, Reader, open_buffer
from pipeline.buffer.sqlite.stores import text_index
from pipeline.search.query import Query, Text
from pipeline.watching import text_indexing
from pipeline.watching.text_indexing import TextIndexing
from tests.support.buffer_rows import collect_many


def test_a_round_indexes_all_that_has_come_and_lets_others_in_between_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_index, "LETTERS_AT_ONCE", 10)
    pauses: list[float] = []
    with open_buffer(tmp_path / "orderpulse.db") as buffer:
        collect_many(buffer, 95)
        indexing = TextIndexing(buffer, lambda seconds: bool(pauses.append(seconds)), lambda: 0)
        assert not indexing.round()
        assert buffer.texts.progress() == (95, 95)
        assert len(pauses) > 10
        before = len(pauses)
        assert not indexing.round()
        assert len(pauses) == before
    with Reader(tmp_path / "orderpulse.db") as reader:
        assert reader.find(DeadLetterFilter(Query((Text("price"),)))).note == ""


def test_a_round_ends_when_its_time_is_over_and_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_index, "LETTERS_AT_ONCE", 10)
    monkeypatch.setattr(text_indexing, "FAR_BEHIND", 20)
    now = iter(range(0, 100_000, 100))
    with open_buffer(tmp_path / "orderpulse.db") as buffer:
        collect_many(buffer, 95)
        indexing = TextIndexing(buffer, lambda _: False, lambda: next(now))
        assert indexing.round()
        indexed_to, newest = buffer.texts.progress()
        assert indexed_to < newest == 95
        assert indexing.told() == f"indexing texts of dead letters for search: {indexed_to} of 95"
        while indexing.round():
            pass
        assert buffer.texts.progress() == (95, 95)
        assert indexing.told() == ""
