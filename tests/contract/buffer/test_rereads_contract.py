"""A topic is held, and read again: orders go out of rows and figures, once, and nobody writes to the old generation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.buffer import Buffer, Cut, HeldRecord, Reader, RereadPlan, Retention, Span, recount
from pipeline.errors import StaleWriterError, UsageError
from pipeline.records import TopicIdentity
from tests.support.buffer_rows import (
    DEAD,
    NOW_MS,
    ORDERS,
    accept,
    batch,
    collector,
    order_row,
    outbox_row,
    parked,
    processor,
)

MANY = 1200
MIRROR = replace(ORDERS, cluster_id="cluster-2", topic_id="mirror-id")


def read_up_to(buffer: Buffer, identity: TopicIdentity, newest_ms: int, role: str = "processor") -> None:
    """Has read one record of this time, which has no effect."""
    assignment = buffer.flow.assign(role, identity, 0, 0, NOW_MS)
    step = batch(assignment.ref, assignment.next_offset, assignment.next_offset + 1)
    step.advances = [replace(step.advances[0], newest_ms=newest_ms)]
    if role == "processor":
        buffer.flow.commit(step)
    else:
        buffer.dead_letters.collect(step.advances, [], NOW_MS)


def plan(cuts: list[Cut], spans: list[Span], identity: TopicIdentity = ORDERS, newest_ms: int = -1) -> RereadPlan:
    return RereadPlan("processor", identity, "earliest", spans, cuts, newest_ms)


def run(buffer: Buffer, number: int) -> list[int]:
    """All steps; returns how many orders each took out."""
    assert buffer.rereads.close_partitions(number)
    steps = []
    while buffer.rereads.unfinished():
        steps.append(buffer.rereads.take_orders(number, NOW_MS))
    return steps


def test_orders_from_an_offset_on_go_out_of_rows_and_figures_in_small_steps(buffer, store):
    assignment, untouched = processor(buffer), processor(buffer, 1)
    accept(buffer, assignment, 0, MANY)
    accept(buffer, assignment, MANY, 100, now_ms=NOW_MS + 120_000, product="cup", price_cents=999)
    accept(buffer, untouched, 0, 10)
    cuts = [Cut(assignment.ref, 50)]
    assert buffer.rereads.orders_from(cuts) == (MANY + 50, (MANY - 50) * 250 + 100 * 999)
    number = buffer.rereads.begin(plan(cuts, [Span(0, 50, MANY + 100)]), "somebody", NOW_MS)
    steps = run(buffer, number)
    assert (max(steps), sum(steps)) == (500, MANY + 50)
    assert recount(store.path) == []
    [totals] = store.table("totals")
    assert (totals["orders"], totals["revenue_cents"], totals["pruned_orders"]) == (60, 60 * 250, 0)
    [done] = store.table("rereads")
    assert (done["state"], done["orders"], done["asked_by"]) == ("done", MANY + 50, "somebody")
    assert "60" not in store.table("events")[-1]["message"]
    assert "1,250 orders with a revenue of 3,874.00 went out" in store.table("events")[-1]["message"]


def test_the_topic_is_a_new_generation_that_begins_there_and_its_keys_collide_with_none(buffer, store):
    assignment = processor(buffer)
    accept(buffer, assignment, 0, 100)
    run(buffer, buffer.rereads.begin(plan([Cut(assignment.ref, 40)], [Span(0, 40, 100)]), "x", NOW_MS))
    again = processor(buffer, identity=replace(ORDERS, reading=1))
    assert (again.next_offset, again.ref == assignment.ref) == (40, False)
    accept(buffer, again, 40, 60)
    # And once more, from before that place: what went the first time is not there twice.
    cuts = [Cut(assignment.ref, 10), Cut(again.ref, 10)]
    run(buffer, buffer.rereads.begin(plan(cuts, [Span(0, 10, 100)]), "x", NOW_MS))
    third = processor(buffer, identity=replace(ORDERS, reading=2))
    accept(buffer, third, 10, 90)
    assert [each.identity.reading for each in buffer.flow.topic_generations("processor", "cluster-1", "orders")] == [
        0,
        1,
        2,
    ]
    assert store.table("totals")[0]["orders"] == 100
    assert recount(store.path) == []


def test_who_still_reads_the_old_generation_can_write_nothing_from_the_first_order_on_that_goes(buffer, other):
    assignment = processor(buffer)
    accept(buffer, assignment, 0, 10)
    number = buffer.rereads.begin(plan([Cut(assignment.ref, 0)], [Span(0, 0, 10)]), "x", NOW_MS)
    # Until it is closed, what comes is taken out with the rest.
    accept(other, assignment, 10, 5)
    assert buffer.rereads.close_partitions(number)
    with pytest.raises(StaleWriterError, match="being read again"):
        accept(other, assignment, 15, 5)
    assert run(buffer, number) == [15, 0]
    with pytest.raises(StaleWriterError):
        accept(other, assignment, 15, 5)


def test_what_waits_is_brought_to_its_end_first(buffer):
    assignment = processor(buffer)
    step = batch(assignment.ref, 0, 2)
    step.parked, step.outbox = [parked(assignment.ref, 0)], [outbox_row(assignment.ref, 1, "late")]
    buffer.flow.commit(step)
    number = buffer.rereads.begin(plan([Cut(assignment.ref, 0)], [Span(0, 0, 2)]), "x", NOW_MS)
    assert buffer.rereads.waiting("cluster-1", "orders") == (1, 1)
    assert not buffer.rereads.close_partitions(number)
    settle = batch(assignment.ref, 2, 3)
    settle.settled, settle.orders = [step.parked[0].record_id], [order_row(assignment.ref, 0)]
    buffer.flow.commit(settle)
    assert not buffer.rereads.close_partitions(number)
    buffer.flow.delivered(["late"])
    assert run(buffer, number) == [1, 0]


def test_a_step_that_somebody_else_has_done_is_done_once(buffer, other, store):
    assignment = processor(buffer)
    accept(buffer, assignment, 0, 700)
    number = buffer.rereads.begin(plan([Cut(assignment.ref, 0)], [Span(0, 0, 700)]), "x", NOW_MS)
    assert buffer.rereads.close_partitions(number)
    assert other.rereads.close_partitions(number)
    taken = [each.rereads.take_orders(number, NOW_MS) for each in (buffer, other, buffer, other)]
    assert taken == [500, 200, 0, 0]
    assert store.table("totals")[0]["orders"] == 0
    assert recount(store.path) == []
    assert len(buffer.flow.topic_generations("processor", "cluster-1", "orders")) == 2


def test_pruned_orders_stay_counted_and_reading_begins_behind_them(buffer, store):
    assignment = processor(buffer)
    accept(buffer, assignment, 0, 30, now_ms=NOW_MS - 1000)
    accept(buffer, assignment, 30, 20)
    number = buffer.rereads.begin(plan([Cut(assignment.ref, 0)], [Span(0, 0, 50)]), "x", NOW_MS)
    assert buffer.upkeep.prune(Retention(orders_before_ms=NOW_MS)).orders == 30
    assert buffer.rereads.close_partitions(number)
    # What is about to go is not pruned any more.
    assert not buffer.upkeep.prune(Retention(orders_before_ms=NOW_MS + 5000))
    while buffer.rereads.unfinished():
        buffer.rereads.take_orders(number, NOW_MS)
    assert processor(buffer, identity=replace(ORDERS, reading=1)).next_offset == 30
    assert store.table("totals")[0]["orders"] == 30
    assert recount(store.path) == []


def test_what_was_not_read_again_is_pruned_as_before(buffer, store):
    assignment = processor(buffer)
    accept(buffer, assignment, 0, 30, now_ms=NOW_MS - 1000)
    accept(buffer, assignment, 30, 20)
    run(buffer, buffer.rereads.begin(plan([Cut(assignment.ref, 40)], [Span(0, 40, 50)]), "x", NOW_MS))
    assert buffer.upkeep.prune(Retention(orders_before_ms=NOW_MS)).orders == 30
    assert buffer.upkeep.prune(Retention(orders_before_ms=NOW_MS + 1)).orders == 10
    assert recount(store.path) == []


def test_another_cluster_that_was_read_before_is_known_with_its_newest_time_until_it_is_decided(buffer):
    read_up_to(buffer, ORDERS, 5000)
    read_up_to(buffer, ORDERS, 4000)
    read_up_to(buffer, replace(ORDERS, topic="other"), 9000)
    rereads = buffer.rereads
    assert rereads.prior("processor", "cluster-1", "orders") == []
    assert rereads.prior("processor", "cluster-2", "orders") == [("cluster-1", 5000)]
    assert rereads.prior("collector", "cluster-2", "orders") == []
    # A mirror may have the name of its cluster before the topic's.
    assert rereads.prior("processor", "cluster-2", "east.orders") == [("cluster-1", 5000)]
    number = rereads.begin(plan([], [Span(0, 7, 7)], MIRROR, 5000), "x", NOW_MS)
    run(buffer, number)
    assert rereads.prior("processor", "cluster-2", "orders") == []
    # What is read of the first one after that, by going back to it, is a question again.
    read_up_to(buffer, ORDERS, 6000)
    assert rereads.prior("processor", "cluster-2", "orders") == [("cluster-1", 6000)]
    assert processor(buffer, identity=MIRROR).next_offset == 7


def test_reading_is_stopped_once_and_says_why(buffer, store):
    read_up_to(buffer, ORDERS, 1_700_000_000_000)
    prior = buffer.rereads.prior("processor", "cluster-2", "orders")
    for offset in (3, 4):
        record = HeldRecord(0, offset, 1_600_000_000_000)
        buffer.rereads.hold("processor", "orders", "cluster-2", prior, record, NOW_MS)
    [held] = buffer.rereads.unfinished()
    told = (
        "reading of orders is stopped: offset 3 of partition 0 is of 2020-09-13 12:26:40 UTC, and records up to "
        "2023-11-14 22:13:20 UTC were read from cluster cluster-1 before"
    )
    assert str(held).startswith(told)
    with Reader(store.path) as reader:
        assert reader.held() == [held]
    [event] = store.table("events")
    assert (event["level"], event["message"]) == ("error", str(held))


def test_who_has_not_heard_of_the_decision_asks_for_nothing(buffer):
    read_up_to(buffer, ORDERS, 5000)
    prior = buffer.rereads.prior("processor", "cluster-2", "orders")
    run(buffer, buffer.rereads.begin(plan([], [Span(0, 7, 7)], MIRROR, 5000), "x", NOW_MS))
    buffer.rereads.hold("processor", "orders", "cluster-2", prior, HeldRecord(0, 3, 4000), NOW_MS)
    assert buffer.rereads.unfinished() == []


def test_a_decision_that_cannot_be_done_leaves_the_question(buffer):
    read_up_to(buffer, ORDERS, 5000)
    prior = buffer.rereads.prior("processor", "cluster-2", "orders")
    buffer.rereads.hold("processor", "orders", "cluster-2", prior, HeldRecord(0, 3, 4000), NOW_MS)
    number = buffer.rereads.ask("processor", "orders", "cluster-2", "3000", "somebody", NOW_MS)
    [asked] = buffer.rereads.unfinished()
    assert (asked.id, asked.state, asked.start, asked.asked_by) == (number, "asked", "3000", "somebody")
    buffer.rereads.refuse(number, "not so", NOW_MS)
    [held] = buffer.rereads.unfinished()
    assert (held.state, held.start, held.offset) == ("held", None, 3)
    # Without a question nothing is left of it.
    buffer.rereads.refuse(buffer.rereads.ask("processor", "x", "cluster-2", "latest", "a", NOW_MS), "no", NOW_MS)
    assert [each.topic for each in buffer.rereads.unfinished()] == ["orders"]


def test_who_comes_too_late_to_refuse_it_says_nothing(buffer, store):
    assignment = processor(buffer)
    number = buffer.rereads.ask("processor", "orders", "cluster-1", "latest", "somebody", NOW_MS)
    assert buffer.rereads.begin(plan([Cut(assignment.ref, 0)], [Span(0, 0, 0)]), "another", NOW_MS) == number
    before = store.table("events")
    buffer.rereads.refuse(number, "it is being read again already", NOW_MS)
    assert store.table("events") == before


def test_a_topic_is_read_again_once_at_a_time(buffer):
    assignment = processor(buffer)
    asked = plan([Cut(assignment.ref, 0)], [Span(0, 0, 0)])
    number = buffer.rereads.begin(asked, "x", NOW_MS)
    with pytest.raises(UsageError, match="already"):
        buffer.rereads.begin(asked, "y", NOW_MS)
    run(buffer, number)
    assert buffer.rereads.begin(asked, "y", NOW_MS) > number


def test_after_going_back_to_the_cluster_of_before_it_is_read_on(buffer):
    assignment = processor(buffer)
    accept(buffer, assignment, 0, 10)
    run(buffer, buffer.rereads.begin(plan([Cut(assignment.ref, 0)], [Span(0, 0, 10)], MIRROR, 5000), "x", NOW_MS))
    accept(buffer, assignment, 10, 5)


def test_letters_of_a_mirror_that_were_there_raise_no_alert(buffer, store):
    read_up_to(buffer, DEAD, 5000, "collector")
    mirror = replace(MIRROR, topic=DEAD.topic)
    asked = RereadPlan("collector", mirror, "earliest", [Span(0, 0, 12)], [], 5000)
    run(buffer, buffer.rereads.begin(asked, "x", NOW_MS))
    assert collector(buffer, identity=mirror).next_offset == 0
    assert store.table("first_looks")[-1]["end_offset"] == 12
