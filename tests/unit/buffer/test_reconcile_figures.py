"""Recounting finds each figure that is not the sum of its rows, and names it; a healthy buffer has none."""

import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from pipeline.buffer import Batch, DeadLetterFilter, ReplayOutcome, Sent, open_buffer, recount
from pipeline.buffer.sqlite.connection import PAGE_BYTES
from pipeline.errors import BufferCorruptError, BufferUnavailableError
from tests.support.buffer_rows import (
    NOW_MS,
    accept,
    batch,
    collect,
    collector,
    dead_letter,
    outbox_row,
    parked,
    processor,
)

FREE_PAGES_AT = 36
"""Where the file's header has the number of unused pages (SQLite's file format, 1.3)."""


@pytest.fixture
def path(tmp_path):
    """A buffer in which every table has rows: 6 orders, 5 dead letters, a finished replay job and a running one."""
    path = tmp_path / "orderpulse.db"
    with open_buffer(path) as buffer:
        assignment, dead = processor(buffer), collector(buffer)
        accept(buffer, assignment, 0, 4, product="tea", price_cents=100)
        accept(buffer, assignment, 4, 2, now_ms=NOW_MS + 60_000, product="mug", price_cents=900)
        step = batch(assignment.ref, 6, 8)
        step.parked, step.outbox = [parked(assignment.ref, 6)], [outbox_row(assignment.ref, 7)]
        step.failed_attempts = Counter({assignment.ref: 1})
        buffer.flow.commit(step)
        collect(buffer, dead, 0, *(dead_letter(dead.ref, offset) for offset in range(5)))
        replay(buffer, (1, 2, 3))
        buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(4, 5)), 3, "me", "second", NOW_MS)
        buffer.jobs.next_job(NOW_MS)
        buffer.jobs.open_send_window(2, "{}", ["second-4"])
    return path


def replay(buffer, ids):
    """A job of three: one recovers before its window closes, one is sent, one fails to be."""
    job_id = buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=ids), 3, "me", "first", NOW_MS)
    buffer.jobs.next_job(NOW_MS)
    buffer.jobs.open_send_window(job_id, "{}", [f"first-{each}" for each in ids])
    buffer.flow.commit(Batch(NOW_MS, outcomes=[ReplayOutcome("first-1", "recovered")]))
    sent = [Sent(f"first-{each}", "orders", 0, each) for each in (1, 2)]
    buffer.jobs.close_send_window(job_id, 2, 1, sent, {"first-3": "too large"}, NOW_MS)
    buffer.jobs.finish(job_id, "done", NOW_MS)


def lines(path):
    return [str(difference) for difference in recount(path)]


def test_a_healthy_buffer_agrees_with_itself(path):
    assert recount(path) == []


def test_an_empty_buffer_agrees_with_itself(tmp_path):
    open_buffer(tmp_path / "new.db").close()
    assert recount(tmp_path / "new.db") == []


@pytest.mark.parametrize(
    ("corruption", "difference"),
    [
        ("UPDATE totals SET orders = 7", "totals: orders is 7, its rows make 6"),
        ("UPDATE totals SET revenue_cents = 1", "totals: revenue_cents is 1, its rows make 2200"),
        ("UPDATE totals SET dead_letters = 4", "totals: dead_letters is 4, its rows make 5"),
        (
            "UPDATE flow_minutes SET orders = orders + 1 WHERE orders = 2",
            "flow_minutes of 2023-11-14 22:14 UTC in orders: orders is 3, its rows make 2",
        ),
        (
            "UPDATE flow_minutes SET revenue_cents = revenue_cents - 5 WHERE orders = 2",
            "flow_minutes of 2023-11-14 22:14 UTC in orders: revenue_cents is 1795, its rows make 1800",
        ),
        (
            "UPDATE flow_minutes SET dead_letters = 9 WHERE dead_letters = 5",
            "flow_minutes of 2023-11-14 22:13 UTC in orders: dead_letters is 9, its rows make 5",
        ),
        (
            "UPDATE product_totals SET orders = 1 WHERE orders = 2",
            "product_totals of mug in orders: orders is 1, its rows make 2",
        ),
        (
            "UPDATE product_totals SET revenue_cents = 0 WHERE orders = 4",
            "product_totals of tea in orders: revenue_cents is 0, its rows make 400",
        ),
        (
            "INSERT INTO product_totals (product_ref, topic, orders) VALUES (99, '', 1)",
            "product_totals of product_ref 99 in no topic: orders is 1, its rows make 0",
        ),
        (
            "UPDATE partitions SET passed_over = 1 WHERE role = 'processor'",
            "partitions of orders[0]: passed_over is 1, its rows make 0",
        ),
        (
            "UPDATE dead_letter_counts SET dead_letters = 8 WHERE status = 'replayed'",
            "dead_letter_counts of replayed: dead_letters is 8, its rows make 1",
        ),
        (
            "DELETE FROM dead_letter_counts WHERE status = 'open'",
            "dead_letter_counts of open: dead_letters is 0, its rows make 1",
        ),
        (
            "UPDATE dead_letter_groups SET total = 6",
            "dead_letter_groups of price: total is 6, its rows make 5",
        ),
        ("UPDATE dead_letter_groups SET open = 0", "dead_letter_groups of price: open is 0, its rows make 1"),
        ("UPDATE jobs SET done = 3 WHERE id = 1", "job 1: done is 3, its rows make 2"),
        ("UPDATE jobs SET failed = 0 WHERE id = 1", "job 1: failed is 0, its rows make 1"),
        ("UPDATE jobs SET total = 5 WHERE id = 2", "job 2: total is 5, its rows make 2"),
        (
            "UPDATE partitions SET next_offset = 7 WHERE role = 'processor'",
            "outbox: 1 rows at or after next_offset 7, the first: orders[0] offset 7",
        ),
        (
            "UPDATE retries SET record_id = record_id + 100",
            "retries: 1 rows at or after next_offset 8, the first: orders[0] offset 106",
        ),
        (
            "UPDATE order_rows SET record_id = record_id + 5 WHERE record_id & 255 >= 4",
            "order_rows: 2 rows at or after next_offset 8, the first: orders[0] offset 9",
        ),
        (
            "UPDATE partitions SET next_offset = 3 WHERE role = 'collector'",
            "dead_letter_rows: 2 rows at or after next_offset 3, the first: orders-dlq[0] offset 3",
        ),
        ("UPDATE retries SET record_id = record_id - 2", "orders[0] offset 4 is accepted and parked"),
        ("UPDATE outbox SET record_id = record_id - 4", "orders[0] offset 3 is accepted and in the outbox"),
        ("UPDATE outbox SET record_id = record_id - 1", "orders[0] offset 6 is parked and in the outbox"),
        (
            "UPDATE dead_letter_rows SET status = 'replaying' WHERE id = 3",
            "dead letter 3 is replaying, but no job has it on its way",
        ),
        (
            "UPDATE dead_letter_rows SET status = 'open' WHERE id = 5",
            "job 2 has dead letter 5 on its way (planned), but that one is open",
        ),
        (
            "UPDATE dead_letter_rows SET status = 'discarded' WHERE id = 4",
            "job 2 has dead letter 4 on its way (sending), but that one is discarded",
        ),
        ("UPDATE jobs SET send_window = '{}' WHERE id = 1", "job 1 is done, but its window is still open"),
        (
            "UPDATE jobs SET state = 'failed', send_window = NULL WHERE id = 2",
            "job 2 is failed, but 2 of its items are still on their way",
        ),
    ],
)
def test_each_figure_that_is_wrong_is_named_and_nothing_else(path, corruption, difference):
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(corruption).rowcount > 0
        connection.commit()
    assert lines(path) == [difference]


def test_every_difference_has_its_line(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER dead_letter_removed")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DELETE FROM dead_letter_rows WHERE id = 3")
        connection.commit()
    assert lines(path) == [
        "totals: dead_letters is 5, its rows make 4",
        "flow_minutes of 2023-11-14 22:13 UTC in orders: dead_letters is 5, its rows make 4",
        "dead_letter_sources of orders: dead_letters is 5, its rows make 4",
        "dead_letter_counts of open: dead_letters is 1, its rows make 0",
        "dead_letter_groups of price: total is 5, its rows make 4",
        "dead_letter_groups of price: open is 1, its rows make 0",
        "dead_letter_kinds of 1: dead_letters is 5, its rows make 4",
        "job_items: 1 rows refer to rows of dead_letter_rows that are not there",
    ]


def test_damage_is_told_and_then_nothing_is_counted(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE totals SET orders = 0")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(FREE_PAGES_AT)
        file.write((9).to_bytes(4, "big"))
    assert lines(path) == ["damaged: Main freelist: size is 0 but should be 9"]


def test_a_page_that_cannot_be_read_ends_the_recount_as_damage(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'alerts'").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(b"\xa5" * 64)
    with pytest.raises(BufferCorruptError, match="damaged"):
        recount(path)


def test_recounting_while_a_writer_is_in_the_middle_of_it_writes_nothing_and_waits_for_nobody(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE totals SET orders = 0")
        assert recount(path) == []
        writer.execute("ROLLBACK")


def test_without_a_buffer_there_is_nothing_to_recount(tmp_path):
    with pytest.raises(BufferUnavailableError, match="no buffer"):
        recount(tmp_path / "missing.db")
