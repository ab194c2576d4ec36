"""Every record that Kafka holds is accounted for somewhere in the buffer, or named."""

import sqlite3
from contextlib import closing

import pytest

from pipeline.buffer import open_buffer, record_id, stored_bytes, unaccounted, uncollected
from pipeline.buffer.sqlite.reconcile.topics import CHUNK_RECORDS
from tests.support.buffer_rows import accept, batch, collect, collector, dead_letter, outbox_row, parked, processor


@pytest.fixture
def path(tmp_path):
    return tmp_path / "orderpulse.db"


def names(count):
    return [f"dl-{offset}" for offset in range(count)]


def test_accepted_parked_leaving_dead_and_passed_over_records_are_accounted_for_and_the_rest_is_named(path):
    with open_buffer(path) as buffer:
        assignment, dead = processor(buffer), collector(buffer)
        accept(buffer, assignment, 0, 2)
        step = batch(assignment.ref, 2, 8)
        step.parked, step.outbox = [parked(assignment.ref, 3)], [outbox_row(assignment.ref, 4)]
        step.passed_over = [record_id(assignment.ref, 7)]
        buffer.flow.commit(step)
        collect(buffer, dead, 0, dead_letter(dead.ref, 0, "dl-5"))
    assert unaccounted(path, assignment.ref, range(9), names(9)) == [2, 6, 8]
    assert unaccounted(path, assignment.ref, [], []) == []


def test_the_same_offset_of_another_partition_accounts_for_nothing(path):
    with open_buffer(path) as buffer:
        mine, others = processor(buffer, 0), processor(buffer, 1)
        accept(buffer, others, 0, 1)
    assert unaccounted(path, mine.ref, [0], ["dl-0"]) == [0]


def test_more_offsets_than_a_chunk_are_all_looked_for(path):
    count = CHUNK_RECORDS * 2 + 1
    with open_buffer(path) as buffer:
        assignment = processor(buffer)
        accept(buffer, assignment, 0, count - 1)
    assert unaccounted(path, assignment.ref, range(count), names(count)) == [count - 1]


def test_dead_letters_are_collected_by_their_position_or_as_a_copy_of_one_that_is(path):
    with open_buffer(path) as buffer:
        assignment = collector(buffer)
        collect(
            buffer, assignment, 0, dead_letter(assignment.ref, 0, "a"), dead_letter(assignment.ref, 1, "a"), beyond=2
        )
    assert uncollected(path, assignment.ref, range(4)) == [2, 3]
    assert uncollected(path, assignment.ref + 1, [0]) == [0]


def test_what_is_below_the_offset_from_which_copies_are_noted_is_not_missed(path):
    with open_buffer(path) as buffer:
        assignment = collector(buffer)
        collect(buffer, assignment, 0, beyond=4)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE partitions SET copies_from = 3")
        connection.commit()
    assert uncollected(path, assignment.ref, range(4)) == [3]


def test_a_copy_has_the_bytes_of_its_dead_letter(path):
    with open_buffer(path) as buffer:
        assignment = collector(buffer)
        collect(buffer, assignment, 0, dead_letter(assignment.ref, 0, "a"), dead_letter(assignment.ref, 1, "a"))
    held = [(each.table, each.offset, each.value) for each in stored_bytes(path, "collector", assignment.ref, 0, 9)]
    assert held == [("dead_letters", 0, b"value"), ("dead_letter_copies", 1, b"value")]


def test_as_many_ids_as_offsets_are_needed(path):
    open_buffer(path).close()
    with pytest.raises(ValueError, match="shorter"):
        unaccounted(path, 1, [1, 2], ["a"])
