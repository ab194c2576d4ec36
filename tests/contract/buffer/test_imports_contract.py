"""Imported dead letters: beside no cluster, in no replay, counted for no alert, each once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pipeline.buffer import (
    Buffer,
    DeadLetterFilter,
    ExportedLetter,
    ImportSource,
    LeftOut,
    Linked,
    Reader,
    ReadRecord,
    columns_of,
    recount,
)
from pipeline.errors import UsageError
from pipeline.records import Position
from pipeline.search.query import Named, Query
from tests.support.buffer_rows import DEAD, NOW_MS, ORDERS, collect_many, dead_letter, processor

ALL = DeadLetterFilter()
EXPORT = ImportSource("theirs.jsonl", "export", NOW_MS)
KCAT = ImportSource("kcat.jsonl", "kcat", NOW_MS)
NAMES = [column.name for column in columns_of("dead_letters")]
MINUTE_MS = 60_000


def exported(identifier: int, **cells: Any) -> ExportedLetter:
    """A dead letter as an export has it."""
    usual: dict[str, Any] = {
        "id": identifier,
        "topic": "orders-dlq",
        "partition": 0,
        "offset": identifier,
        "source_topic": "orders",
        "key": b"key",
        "value": b"value",
        "headers": "[]",
        "reason": "no stock",
        "dialect": "orderpulse",
        "fingerprint": "stock",
        "timestamp_ms": NOW_MS,
        "failed_at_ms": NOW_MS,
        "received_at_ms": NOW_MS - 5 * MINUTE_MS,
        "status": "open",
        "status_at_ms": NOW_MS,
        "replays": 0,
        "dead_letter_id": f"theirs-{identifier}",
        "failed_at_known": 1,
        "concluded": 0,
    }
    return ExportedLetter(tuple((usual | cells).get(name) for name in NAMES), "no stock")


def read(offset: int, name: str | None = None, **fields: Any) -> ReadRecord:
    """A record of a file of kcat's."""
    row = dead_letter(0, offset, name, **fields)._replace(record_id=None)
    return ReadRecord(row, repr((offset, row.key, row.value)).encode())


def test_no_replay_takes_them_however_it_is_asked_for_and_all_say_so(buffer: Buffer) -> None:
    letters = [exported(1), exported(2, status="discarded"), exported(3, source_topic=None), exported(4, key=None)]
    assert buffer.imports.add_exported(EXPORT, letters, NOW_MS) == 4
    buffer.imports.add_records(KCAT, [read(9)], NOW_MS)
    asked = (ALL, DeadLetterFilter(ids=(1, 2, 5)), DeadLetterFilter(Query((Named("group", "stock"),))))
    asked += (ALL.with_status("discarded"),)
    left_out = [buffer.jobs.count_left_out(which, None).imported for which in asked]
    assert left_out == [4, 3, 3, 1]
    for which in asked:
        for limit in (None, 3):
            assert buffer.jobs.queue_replay("{}", which, limit, "app", f"{which} {limit}", NOW_MS) is None
            assert list(buffer.jobs.preview_replay(which, limit)) == []
    assert buffer.jobs.count_left_out(ALL, 3) == LeftOut(imported=4)
    assert buffer.jobs.count_left_out(ALL, 3).impossible == 4


def test_they_count_in_every_figure_and_for_no_alert(buffer: Buffer, store: Any) -> None:
    buffer.imports.add_exported(EXPORT, [exported(1), exported(2, status="recovered", replays=1)], NOW_MS)
    buffer.imports.add_records(KCAT, [read(7)], NOW_MS)
    assert buffer.watch.alert_window(0).dead_letters == 0
    with Reader(store.path) as reader:
        assert reader.totals().dead_letters == 3
        assert reader.status_counts() == {"open": 2, "recovered": 1}
        groups = {group["fingerprint"]: (group["total"], group["open"]) for group in reader.groups(NOW_MS).dicts()}
        assert groups == {"stock": (2, 1), "price": (1, 1)}
        minutes = {row["at_ms"]: row["dead_letters"] for row in reader.flow("minute", 60 * MINUTE_MS).dicts()}
        assert sorted(minutes.values()) == [1, 2]
        assert {view.imported for view in reader.dead_letters(ALL)} == {True}
        files = reader.imports().dicts()
        assert [(each["file"], each["kind"], each["dead_letters"]) for each in files] == [
            ("kcat.jsonl", "kcat", 1),
            ("theirs.jsonl", "export", 2),
        ]
    assert recount(store.path) == []


def test_what_is_there_stays_as_it_is(buffer: Buffer, store: Any) -> None:
    buffer.imports.add_exported(EXPORT, [exported(1), exported(1)], NOW_MS)
    buffer.imports.add_records(KCAT, [read(7), read(7)], NOW_MS)
    buffer.dead_letters.triage([1, 2], "discarded", NOW_MS)
    again = replace_started(EXPORT), replace_started(KCAT)
    assert buffer.imports.add_exported(again[0], [exported(1, reason="another")], NOW_MS) == 0
    assert buffer.imports.add_records(again[1], [read(7)], NOW_MS) == 0
    with Reader(store.path) as reader:
        assert reader.status_counts() == {"discarded": 2}
        assert len(reader.imports().rows) == 2
    assert recount(store.path) == []


def replace_started(source: ImportSource) -> ImportSource:
    return source._replace(started_at_ms=source.started_at_ms + 1)


def test_a_copy_that_a_crash_wrote_is_no_second_one(buffer: Buffer, store: Any) -> None:
    assert buffer.imports.add_records(KCAT, [read(7, "same"), read(8, "same")], NOW_MS) == 1
    assert buffer.imports.add_records(KCAT, [read(8, "same"), read(9, "same", value=b"other")], NOW_MS) == 1
    with Reader(store.path) as reader:
        assert sorted(view.offset for view in reader.dead_letters(ALL)) == [7, 9]
    assert recount(store.path) == []


def test_one_failed_when_it_was_written_where_nothing_tells_more(buffer: Buffer, store: Any) -> None:
    buffer.imports.add_records(KCAT, [read(7, failed_at_ms=None, timestamp_ms=NOW_MS - 99)], NOW_MS)
    with Reader(store.path) as reader:
        [view] = reader.dead_letters(ALL)
        assert (view.failed_at_ms, bool(view.failed_at_known)) == (NOW_MS - 99, False)
        assert reader.groups(NOW_MS).column("last_seen_ms") == [NOW_MS - 99]


def test_who_was_whose_replay_is_told_once_all_are_there(buffer: Buffer, store: Any) -> None:
    buffer.imports.add_exported(EXPORT, [exported(3, replay_of=2), exported(5, replay_of=4)], NOW_MS)
    buffer.imports.add_exported(EXPORT, [exported(2, replay_of=1), exported(1)], NOW_MS)
    assert buffer.imports.link() == Linked(3, 1)
    assert buffer.imports.link() == Linked(0, 0)
    with Reader(store.path) as reader:
        assert [view.id for view in reader.lives(1)] == [1, 2, 3]
        assert [view.id for view in reader.lives(5)] == [5]


LATER_ONE = {"topic": "orders-dlq-2", "failed_in": Position("orders-dlq", 0, 7)}
"""Of a dead letter whose record went on from offset 7 of the topic of the others."""


def went_on(store: Any) -> list[tuple[str, int, str, int | None]]:
    """Topic, offset, status and earlier life of all, oldest first."""
    rows = sorted(store.table("dead_letters"), key=lambda row: row["id"])
    return [(row["topic"], row["offset"], row["status"], row["replay_of"]) for row in rows]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("earlier_first", [True, False])
def test_of_a_record_that_went_on_to_a_further_topic_only_the_last_one_is_open(
    buffer: Buffer, store: Any, at_once: bool, earlier_first: bool
) -> None:
    both = [read(7), read(3, "later", **LATER_ONE)]
    records = both if earlier_first else both[::-1]
    for batch in [records] if at_once else [records[:1], records[1:]]:
        assert buffer.imports.add_records(KCAT, batch, NOW_MS) == len(batch)
    found = [("orders-dlq", 7, "dead_again", None), ("orders-dlq-2", 3, "open", 1 if earlier_first else 2)]
    assert went_on(store) == (found if earlier_first else found[::-1])
    assert recount(store.path) == []


def test_it_may_have_gone_on_from_what_an_earlier_import_brought(buffer: Buffer, store: Any) -> None:
    buffer.imports.add_records(KCAT, [read(6), read(7)], NOW_MS)
    buffer.imports.add_exported(EXPORT, [exported(9)], NOW_MS)
    with store.open() as another:
        from_export = LATER_ONE | {"failed_in": Position("orders-dlq", 0, 9)}
        records = [read(3, "later", **LATER_ONE), read(4, "of an export", **from_export)]
        another.imports.add_records(KCAT, records, NOW_MS)
        # What is imported again, and another record of the same position, links nothing.
        other = read(5, "other", **LATER_ONE | {"value": b"another one"})
        assert another.imports.add_records(KCAT, [*records, other], NOW_MS) == 1
    assert went_on(store) == [
        ("orders-dlq", 6, "open", None),
        ("orders-dlq", 7, "dead_again", None),
        ("orders-dlq", 9, "dead_again", None),
        ("orders-dlq-2", 3, "open", 2),
        ("orders-dlq-2", 4, "open", 9),
        ("orders-dlq-2", 5, "open", None),
    ]
    assert recount(store.path) == []


def test_an_import_is_ended_by_the_next_one_of_the_same_file(buffer: Buffer, store: Any) -> None:
    buffer.imports.add_exported(EXPORT, [exported(1)], NOW_MS)
    with Reader(store.path) as reader:
        assert reader.imports().column("finished_at_ms") == [None]
        buffer.imports.finish(replace_started(EXPORT), NOW_MS + 5)
        assert reader.imports().column("finished_at_ms") == [NOW_MS + 5]


Add = Callable[[Buffer], int]
ADDING: tuple[Add, ...] = (
    lambda buffer: buffer.imports.add_exported(EXPORT, [exported(1)], NOW_MS),
    lambda buffer: buffer.imports.add_records(KCAT, [read(7)], NOW_MS),
)


@pytest.mark.parametrize("add", ADDING)
def test_nothing_comes_beside_a_cluster(buffer: Buffer, store: Any, add: Add) -> None:
    collect_many(buffer, 1)
    with pytest.raises(UsageError, match=r"belongs to a cluster already \(it has read orders-dlq\)"):
        buffer.imports.refuse_cluster()
    with pytest.raises(UsageError, match="import into another data folder"):
        add(buffer)
    with Reader(store.path) as reader:
        assert (reader.totals().dead_letters, reader.imports().rows) == (1, [])


@pytest.mark.parametrize("add", ADDING)
def test_no_cluster_comes_beside_them(buffer: Buffer, other: Buffer, store: Any, add: Add) -> None:
    add(buffer)
    with pytest.raises(UsageError, match="orders is not read: the buffer holds imported dead letters"):
        processor(other)
    with pytest.raises(UsageError, match="orders-dlq is not read"):
        other.flow.begin_topic("collector", DEAD, {0: 0}, NOW_MS, "begun")
    with Reader(store.path) as reader:
        assert reader.partitions().rows == []
        assert reader.events().rows == []


def test_a_topic_that_is_known_is_found_again(buffer: Buffer) -> None:
    assert processor(buffer) == processor(buffer)
    assert processor(buffer, identity=replace(ORDERS, topic_id="new")).ref != processor(buffer).ref
