"""Records that were passed over are counted once, whatever is read again, and known one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.buffer import Attempted, Batch, Cut, Reader, RereadPlan, Span, record_id, recount, unaccounted
from pipeline.errors import StaleWriterError
from tests.support.buffer_rows import NOW_MS, ORDERS, accept, batch, order_row, parked, processor

BLOCK = 8192
AT_ONCE = 500 * BLOCK


def pass_over(buffer, assignment, expected, next_offset, offsets):
    step = batch(assignment.ref, expected, next_offset)
    step.passed_over = [record_id(assignment.ref, offset) for offset in offsets]
    buffer.flow.commit(step)


def counts(store):
    with Reader(store.path) as reader:
        return dict(reader.passed_over().rows)


def nowhere(store, ref, offsets):
    return unaccounted(store.path, ref, offsets, [f"dl-{offset}" for offset in offsets])


def reread(buffer, cuts, spans):
    number = buffer.rereads.begin(RereadPlan("processor", ORDERS, "earliest", spans, cuts), "x", NOW_MS)
    assert buffer.rereads.close_partitions(number)
    taken = []
    while buffer.rereads.unfinished():
        taken.append(buffer.rereads.take_orders(number, NOW_MS))
    return taken


def test_they_are_counted_by_topic_and_no_record_beside_them_is_taken_for_one(buffer, store):
    first, second = processor(buffer), processor(buffer, 1)
    other = processor(buffer, identity=replace(ORDERS, topic="other"))
    processor(buffer, identity=replace(ORDERS, topic="none"))
    assert counts(store) == {}
    pass_over(buffer, first, 0, 2 * BLOCK, [0, 7, 8, BLOCK - 1, BLOCK])
    pass_over(buffer, first, 2 * BLOCK, 3 * BLOCK, [2 * BLOCK, 2 * BLOCK + 9])
    pass_over(buffer, second, 0, 3, [1])
    pass_over(buffer, other, 0, 3, [0, 1, 2])
    assert counts(store) == {"orders": 8, "other": 3}
    around = [0, 1, 7, 8, 9, BLOCK - 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 9, 2 * BLOCK + 10]
    assert nowhere(store, first.ref, around) == [1, 9, BLOCK - 2, BLOCK + 1, 2 * BLOCK + 10]
    assert nowhere(store, second.ref, [0, 1, 2]) == [0, 2]
    assert recount(store.path) == []


def test_a_block_goes_on_where_the_batch_before_ended(buffer, store):
    assignment = processor(buffer)
    for offset in range(20):
        pass_over(buffer, assignment, offset, offset + 1, [offset] if offset % 3 == 0 else [])
    assert counts(store) == {"orders": 7}
    assert nowhere(store, assignment.ref, range(20)) == [offset for offset in range(20) if offset % 3]
    assert len(store.table("passed_over_blocks")) == 1


def test_a_stale_writer_passes_nothing_over(buffer, store):
    assignment = processor(buffer)
    pass_over(buffer, assignment, 0, 3, [1])
    before = store.dump()
    with pytest.raises(StaleWriterError):
        pass_over(buffer, assignment, 0, 3, [2])
    assert store.dump() == before


def test_a_parked_record_may_end_as_one_that_is_passed_over(buffer, store):
    assignment = processor(buffer)
    step = batch(assignment.ref, 0, 2)
    step.parked, step.orders = [parked(assignment.ref, 0)], [order_row(assignment.ref, 1)]
    buffer.flow.commit(step)
    record = record_id(assignment.ref, 0)
    buffer.flow.commit(Batch(NOW_MS, taken=[Attempted(record, 1)], settled=[record], passed_over=[record]))
    assert counts(store) == {"orders": 1}
    assert store.table("retries") == []
    assert nowhere(store, assignment.ref, [0, 1, 2]) == [2]
    assert recount(store.path) == []


def test_what_is_read_again_is_counted_once(buffer, store):
    assignment = processor(buffer)
    accept(buffer, assignment, 0, 10)
    pass_over(buffer, assignment, 10, 30, range(10, 30))
    assert reread(buffer, [Cut(assignment.ref, 13)], [Span(0, 13, 30)]) == [17, 0]
    assert counts(store) == {"orders": 3}
    again = processor(buffer, identity=replace(ORDERS, reading=1))
    # The mapping is another one by now: half of them are orders.
    pass_over(buffer, again, 13, 30, range(13, 30, 2))
    assert counts(store) == {"orders": 3 + 9}
    assert reread(buffer, [Cut(assignment.ref, 0), Cut(again.ref, 0)], [Span(0, 0, 30)]) == [10, 3, 9, 0]
    assert counts(store) == {}
    assert recount(store.path) == []


def test_many_go_in_small_steps(buffer, store):
    assignment = processor(buffer)
    offsets = [0, 5, BLOCK, AT_ONCE // 2, AT_ONCE, AT_ONCE + BLOCK, *range(0, 2 * AT_ONCE, BLOCK)]
    pass_over(buffer, assignment, 0, 2 * AT_ONCE, offsets)
    many = len(set(offsets))
    assert counts(store) == {"orders": many}
    taken = reread(buffer, [Cut(assignment.ref, 3)], [Span(0, 3, 2 * AT_ONCE)])
    assert (sum(taken), max(taken)) == (many - 1, 501)
    assert nowhere(store, assignment.ref, [0, 5, BLOCK]) == [5, BLOCK]
    assert counts(store) == {"orders": 1}
    assert recount(store.path) == []


def test_a_batch_without_them_takes_no_statement_for_them(buffer):
    assignment = processor(buffer)
    statements = []
    buffer.flow._connection.set_trace_callback(statements.append)
    accept(buffer, assignment, 0, 3)
    assert not [each for each in statements if "passed_over" in each]
    statements.clear()
    pass_over(buffer, assignment, 3, 900, range(3, 900))
    assert len([each for each in statements if "passed_over" in each]) == 3
