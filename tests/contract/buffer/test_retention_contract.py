"""Retention: what may go goes in small steps, what may not stays, and every figure still says what there was."""

import sqlite3
from contextlib import closing

import pytest

from pipeline.buffer import Batch, DeadLetterFilter, Reader, ReplayOutcome, Retention, Sent, open_buffer, recount
from pipeline.buffer.filters import OrderFilter
from pipeline.buffer.sqlite.connection import PAGE_BYTES
from pipeline.buffer.sqlite.stores.retention import DEAD_LETTERS_AT_ONCE, ORDERS_AT_ONCE, PAGES_AT_ONCE
from pipeline.headers import dead_letter_id_of
from pipeline.records import TopicIdentity
from tests.support.buffer_rows import (
    NOW_MS,
    ORDERS,
    accept,
    batch,
    collect,
    collect_many,
    collector,
    dead_letter,
    order_row,
    processor,
)

DAY_MS = 86_400_000
LOG_BYTES = 4_000_000
OLD = Retention(orders_before_ms=NOW_MS + 1, dead_letters_before_ms=NOW_MS + 1)


def prune_all(buffer, retention=OLD):
    """Everything that may go; returns the steps that it took."""
    steps = []
    while step := buffer.upkeep.prune(retention):
        steps.append(step)
    return steps


def settle(buffer, ids, state="recovered", request="r"):
    """Replays these dead letters in a job that ends, and settles them so."""
    job = buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=tuple(ids)), None, "me", request, NOW_MS)
    buffer.jobs.next_job(NOW_MS)
    names = [f"{request}-{each}" for each in ids]
    buffer.jobs.open_send_window(job, "{}", names)
    buffer.jobs.close_send_window(job, 0, 0, [Sent(name, "orders", 0, 0) for name in names], {}, NOW_MS)
    outcomes = [ReplayOutcome(name, state) for name in names]
    buffer.flow.commit(Batch(NOW_MS, outcomes=outcomes))
    buffer.jobs.finish(job, "done", NOW_MS)
    return job


def test_old_orders_go_and_young_ones_stay(store, buffer):
    assignment = processor(buffer)
    accept(buffer, assignment, 0, 3, now_ms=NOW_MS - DAY_MS)
    accept(buffer, assignment, 3, 2, now_ms=NOW_MS)
    prune_all(buffer, Retention(orders_before_ms=NOW_MS))
    assert [row["offset"] for row in store.table("orders")] == [3, 4]
    assert recount(store.path) == []


def test_pruned_orders_stay_in_every_figure(store, buffer):
    accept(buffer, processor(buffer), 0, 4, product="tea", price_cents=100)
    before = store.table("flow_seconds")
    prune_all(buffer)
    [totals] = store.table("totals")
    assert (totals["orders"], totals["revenue_cents"], totals["pruned_orders"]) == (4, 400, 4)
    [product] = store.table("product_totals")
    assert (product["orders"], product["revenue_cents"], product["pruned_revenue_cents"]) == (4, 400, 400)
    [minute] = store.table("flow_minutes")
    assert (minute["orders"], minute["pruned_orders"]) == (4, 4)
    [partition] = store.table("partitions")
    assert (partition["orders"], partition["revenue_cents"], partition["pruned_revenue_cents"]) == (4, 400, 400)
    assert store.table("flow_seconds") == before
    assert recount(store.path) == []


def test_the_page_counts_the_orders_that_are_there_and_the_totals_all(store, buffer):
    assignment = processor(buffer)
    accept(buffer, assignment, 0, 3, now_ms=NOW_MS - DAY_MS)
    accept(buffer, assignment, 3, 2, now_ms=NOW_MS)
    prune_all(buffer, Retention(orders_before_ms=NOW_MS))
    with Reader(store.path) as reader:
        assert (reader.count_orders(OrderFilter()).rows, reader.totals().orders) == (2, 5)


def test_a_retried_order_among_old_ones_stays_until_it_is_old_itself(store, buffer):
    assignment = processor(buffer)
    accept(buffer, assignment, 0, 1, now_ms=NOW_MS - DAY_MS)
    buffer.flow.commit(batch(assignment.ref, 1, 2))
    accept(buffer, assignment, 2, 1, now_ms=NOW_MS - DAY_MS)
    buffer.flow.commit(Batch(NOW_MS, orders=[order_row(assignment.ref, 1, attempts=3)]))
    prune_all(buffer, Retention(orders_before_ms=NOW_MS))
    assert [row["offset"] for row in store.table("orders")] == [1]


def test_one_step_takes_a_bounded_number_of_orders(buffer):
    accept(buffer, processor(buffer), 0, 2 * ORDERS_AT_ONCE + 1)
    assert [step.orders for step in prune_all(buffer)] == [ORDERS_AT_ONCE, ORDERS_AT_ONCE, 1]


def test_one_step_takes_a_bounded_number_of_dead_letters(buffer):
    buffer.dead_letters.triage(collect_many(buffer, DEAD_LETTERS_AT_ONCE + 1), "discarded", NOW_MS)
    assert [step.dead_letters for step in prune_all(buffer)] == [DEAD_LETTERS_AT_ONCE, 1]


def test_every_partition_is_pruned(store, buffer):
    for partition in range(3):
        accept(buffer, processor(buffer, partition), 0, 2)
    prune_all(buffer)
    assert store.table("orders") == []


def test_without_limits_nothing_goes(buffer):
    accept(buffer, processor(buffer), 0, 3)
    buffer.dead_letters.triage(collect_many(buffer, 2), "discarded", NOW_MS)
    assert not buffer.upkeep.prune(Retention())


def test_what_is_open_or_on_its_way_stays(store, buffer):
    ids = collect_many(buffer, 3)
    buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(ids[1],)), None, "me", "planned", NOW_MS)
    buffer.jobs.next_job(NOW_MS)
    buffer.jobs.open_send_window(1, "{}", [f"planned-{ids[1]}"])
    buffer.jobs.close_send_window(1, 1, 0, [Sent(f"planned-{ids[1]}", "orders", 0, 0)], {}, NOW_MS)
    buffer.jobs.finish(1, "done", NOW_MS)
    buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(ids[2],)), None, "me", "later", NOW_MS)
    assert prune_all(buffer) == []
    assert {row["status"] for row in store.table("dead_letters")} == {"open", "replayed", "replaying"}


def test_settled_dead_letters_go_with_their_ledger_and_stay_counted(store, buffer):
    ids = collect_many(buffer, 3)
    settle(buffer, ids[:2])
    prune_all(buffer)
    assert [row["id"] for row in store.table("dead_letters")] == [ids[2]]
    assert store.table("job_items") == []
    assert store.table("jobs") == []
    [totals] = store.table("totals")
    assert (totals["dead_letters"], totals["pruned_dead_letters"]) == (3, 2)
    assert recount(store.path) == []


def test_a_job_stays_as_long_as_one_of_its_dead_letters_does(store, buffer):
    ids = collect_many(buffer, 3)
    settle(buffer, ids)
    buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(ids[2],)), None, "me", "again", NOW_MS)
    prune_all(buffer)
    job = next(row for row in store.table("jobs") if row["id"] == 1)
    assert (job["done"], job["total"], job["pruned_done"], job["pruned_total"]) == (3, 3, 2, 2)
    assert recount(store.path) == []


def test_a_settled_dead_letter_of_a_job_that_runs_stays(buffer):
    ids = collect_many(buffer, 2)
    job = buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=tuple(ids)), None, "me", "r", NOW_MS)
    buffer.jobs.next_job(NOW_MS)
    buffer.jobs.open_send_window(job, "{}", ["r-1"])
    buffer.flow.commit(Batch(NOW_MS, outcomes=[ReplayOutcome("r-1", "recovered")]))
    assert prune_all(buffer) == []


def test_what_failed_again_goes_only_after_its_next_life_was_collected(store, buffer):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0))
    settle(buffer, [1], "dead_again")
    assert prune_all(buffer) == []
    collect(buffer, assignment, 1, dead_letter(assignment.ref, 1, replay_of="dl-0", replay_id="r-1"))
    prune_all(buffer)
    [row] = store.table("dead_letters")
    assert (row["id"], row["replay_of"], row["replays"]) == (2, None, 1)


def test_of_several_lives_the_oldest_goes_first(store, buffer):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0))
    settle(buffer, [1], "dead_again")
    collect(buffer, assignment, 1, dead_letter(assignment.ref, 1, replay_of="dl-0", replay_id="r-1"))
    buffer.dead_letters.triage([2], "discarded", NOW_MS - DAY_MS)
    assert prune_all(buffer, Retention(dead_letters_before_ms=NOW_MS)) == []
    prune_all(buffer)
    assert store.table("dead_letters") == []


def test_a_group_without_dead_letters_goes_with_the_last_one(store, buffer):
    buffer.dead_letters.triage(collect_many(buffer, 2), "discarded", NOW_MS)
    prune_all(buffer)
    assert store.table("dead_letter_groups") == []


def test_old_produce_jobs_go_with_the_orders_of_their_time(store, buffer):
    job = buffer.jobs.queue_produce("{}", 3, "me", "p", NOW_MS - DAY_MS)
    buffer.jobs.next_job(NOW_MS - DAY_MS)
    prune_all(buffer)
    assert len(store.table("jobs")) == 1
    buffer.jobs.finish(job, "done", NOW_MS - DAY_MS)
    prune_all(buffer)
    assert store.table("jobs") == []


def test_it_is_known_up_to_where_a_partition_was_pruned(store, buffer):
    assignment, dead = processor(buffer), collector(buffer)
    accept(buffer, assignment, 0, 5)
    collect(buffer, dead, 0, dead_letter(dead.ref, 0), dead_letter(dead.ref, 1))
    buffer.dead_letters.triage([1], "discarded", NOW_MS)
    prune_all(buffer)
    assert {row["role"]: row["pruned_below"] for row in store.table("partitions")} == {"processor": 5, "collector": 1}


def test_where_a_pruned_dead_letter_came_from_is_known_in_the_generation_that_it_is_of(store, buffer):
    recreated = TopicIdentity(ORDERS.cluster_id, ORDERS.topic, "recreated")
    assignments = [processor(buffer, identity=ORDERS), processor(buffer, identity=recreated)]
    for assignment in assignments:
        buffer.flow.commit(batch(assignment.ref, 0, 9))
    dead = collector(buffer)
    collect(buffer, dead, 0, dead_letter(dead.ref, 0, name=dead_letter_id_of(ORDERS, 0, 7), source_offset=7))
    buffer.dead_letters.triage([1], "discarded", NOW_MS)
    prune_all(buffer)
    below = {row["partition_ref"]: row["pruned_below"] for row in store.table("partitions")}
    assert [below[assignment.ref] for assignment in assignments] == [8, 0]


def test_above_its_size_the_oldest_rows_go_whatever_their_age(store, buffer):
    assignment = processor(buffer)
    for first in range(0, 6000, 1000):
        accept(buffer, assignment, first, 1000, now_ms=NOW_MS + first)
    most = buffer.upkeep.used_bytes() * 2 // 3
    prune_all(buffer, Retention(max_bytes=most))
    left = [row["offset"] for row in store.table("orders")]
    assert left == list(range(left[0], 6000))
    assert 0.5 * most < buffer.upkeep.used_bytes() <= most
    assert recount(store.path) == []


def test_above_its_size_settled_dead_letters_that_are_older_than_orders_go_first(store, buffer):
    accept(buffer, processor(buffer), 0, 100, now_ms=NOW_MS + 1)
    buffer.dead_letters.triage(collect_many(buffer, 5), "discarded", NOW_MS)
    assert buffer.upkeep.prune(Retention(max_bytes=1)).dead_letters == 5
    assert buffer.upkeep.prune(Retention(max_bytes=1)).orders == 100
    assert not buffer.upkeep.prune(Retention(max_bytes=1))


def test_a_step_that_is_refused_changes_nothing(store, buffer):
    accept(buffer, processor(buffer), 0, 3)
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("CREATE TRIGGER refuse BEFORE DELETE ON order_rows BEGIN SELECT raise(ABORT, 'no'); END")
        connection.commit()
        before = store.dump()
        with pytest.raises(sqlite3.IntegrityError, match="no"):
            buffer.upkeep.prune(OLD)
        assert store.dump() == before
    assert recount(store.path) == []


def test_space_is_given_back_a_little_at_a_time(store, buffer):
    accept(buffer, processor(buffer), 0, 40_000)
    grown = store.path.stat().st_size + buffer.upkeep.wal_bytes()
    prune_all(buffer)
    steps = []
    while given := buffer.upkeep.incremental_vacuum():
        steps.append(given)
    checkpoint(store.path)
    assert store.path.stat().st_size < grown / 4
    whole = PAGES_AT_ONCE * PAGE_BYTES
    # The file's share that may stay unused shrinks with the file, so what is left at the end comes in small steps.
    rest = [step for step in steps if step < whole]
    assert steps == [whole] * (len(steps) - len(rest)) + rest
    assert len(steps) - len(rest) >= 3
    assert sum(rest) < whole


def test_a_reader_that_holds_a_snapshot_lets_the_log_grow_and_it_is_emptied_afterwards(store, buffer):
    assignment = processor(buffer)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM totals").fetchone()
        first = 0
        while buffer.upkeep.wal_bytes() <= LOG_BYTES:
            accept(buffer, assignment, first, 1000)
            first += 1000
        assert not buffer.upkeep.empty_wal(LOG_BYTES)
        accept(buffer, assignment, first, 1)  # nobody was locked out
        reader.execute("COMMIT")
    assert buffer.upkeep.empty_wal(LOG_BYTES)
    assert buffer.upkeep.wal_bytes() == 0


def test_two_prune_at_once_and_nothing_is_counted_twice(store, buffer, other):
    accept(buffer, processor(buffer), 0, 2000)
    while buffer.upkeep.prune(OLD) or other.upkeep.prune(OLD):
        pass
    [totals] = store.table("totals")
    assert totals["pruned_orders"] == 2000
    assert recount(store.path) == []


def test_orders_arrive_while_others_are_pruned(store, buffer, other):
    assignment = processor(buffer)
    for first in range(0, 3000, 300):
        accept(buffer, assignment, first, 300, now_ms=NOW_MS + first)
        other.upkeep.prune(Retention(orders_before_ms=NOW_MS + first - 300))
    assert recount(store.path) == []


def checkpoint(path):
    with open_buffer(path) as buffer:
        buffer._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
