"""What the buffer is asked about one dead letter: which records around it were accepted, and which failed too."""

from __future__ import annotations

from dataclasses import replace

from pipeline.buffer import Buffer, Reader
from tests.support.buffer_rows import NOW_MS, ORDERS, accept, collect, collector, dead_letter, processor


def test_accepted_orders_are_told_by_their_place(buffer: Buffer, store) -> None:
    accept(buffer, processor(buffer), 0, 5)
    accept(buffer, processor(buffer, partition=1), 0, 3)
    with Reader(store.path) as reader:
        assert reader.accepted(ORDERS, 0, [0, 4, 5, 99]) == {0, 4}
        assert reader.accepted(ORDERS, 1, range(10)) == {0, 1, 2}
        assert reader.accepted(ORDERS, 2, [0]) == set()
        assert reader.accepted(replace(ORDERS, topic_id="another"), 0, [0]) == set()
        assert reader.accepted(replace(ORDERS, cluster_id="another"), 0, [0]) == set()
        assert reader.accepted(ORDERS, 0, []) == set()


def test_what_was_read_again_is_accepted_too(buffer: Buffer, store) -> None:
    accept(buffer, processor(buffer, identity=replace(ORDERS, reading=1)), 0, 2)
    with Reader(store.path) as reader:
        assert reader.accepted(ORDERS, 0, [0, 1, 2]) == {0, 1}


def test_dead_letters_of_the_same_partition_are_told_by_where_they_came_from(buffer: Buffer, store) -> None:
    assignment = collector(buffer)
    rows = [
        dead_letter(assignment.ref, 0, source_offset=7),
        dead_letter(assignment.ref, 1, source_offset=9),
        dead_letter(assignment.ref, 2, source_offset=8, source_partition=1),
        dead_letter(assignment.ref, 3, source_offset=8, source_topic="payments"),
        dead_letter(assignment.ref, 4, source_topic=None, source_partition=None, source_offset=None),
    ]
    collect(buffer, assignment, 0, *rows)
    with Reader(store.path) as reader:
        assert reader.failed_near(1, "orders", 0, [7, 8, 9, 10]) == {7, 9}
        assert reader.failed_near(1, "orders", 0, [8]) == set()
        assert reader.failed_near(50_000, "orders", 0, [7]) == set()


def test_a_question_about_a_dead_letter_is_kept_as_any_other(buffer: Buffer, store) -> None:
    number = buffer.lookups.ask("letter", '{"id": 1}', "one", NOW_MS)
    asked = buffer.lookups.next(NOW_MS)
    assert asked is not None
    assert (asked.id, asked.kind) == (number, "letter")
