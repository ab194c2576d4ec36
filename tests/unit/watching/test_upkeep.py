"""The worker's upkeep: what the settings allow is pruned in rounds, and an operator hears of what cannot be helped."""

import sqlite3
from contextlib import closing

import pytest

from pipeline.buffer import DeadLetterFilter, Sent, open_buffer, recount
from pipeline.buffer.sqlite.connection import WAL_KEPT_BYTES
from pipeline.settings import load_settings
from pipeline.watching.upkeep import DAY_MS, HOUR_MS, STEPS_AT_ONCE, Upkeep, retention_of
from tests.support.buffer_rows import NOW_MS, accept, collect, collect_many, collector, dead_letter, processor


@pytest.fixture
def buffer(tmp_path):
    with open_buffer(tmp_path / "orderpulse.db") as opened:
        yield opened


def upkeep(buffer, pauses=None, **settings):
    """The upkeep with these settings; `pauses` takes down how often it let others in."""
    return Upkeep(load_settings(**settings), buffer, lambda seconds: bool((pauses or []).append(seconds)))


def rows(tmp_path, sql):
    with closing(sqlite3.connect(tmp_path / "orderpulse.db")) as connection:
        return connection.execute(sql).fetchall()


def test_without_limits_everything_stays():
    assert retention_of(load_settings(), NOW_MS) == retention_of(load_settings(), 0)


def test_limits_are_counted_back_from_now():
    retention = retention_of(load_settings(orders_kept_days=2, dead_letters_kept_days=0.5, buffer_max_mb=3), NOW_MS)
    assert retention.orders_before_ms == NOW_MS - 2 * DAY_MS
    assert retention.dead_letters_before_ms == NOW_MS - DAY_MS // 2
    assert retention.max_bytes == 3_000_000


def test_a_round_takes_so_many_steps_and_lets_others_in_between_them(tmp_path, buffer):
    accept(buffer, processor(buffer), 0, 25_000)
    pauses = [0.0]
    work = upkeep(buffer, pauses, orders_kept_days=1)
    work.round(NOW_MS + 2 * DAY_MS)
    assert len(pauses) - 1 == STEPS_AT_ONCE
    assert rows(tmp_path, "SELECT count(*) FROM orders") == [(15_000,)]
    work.round(NOW_MS + 2 * DAY_MS + 1000)
    assert rows(tmp_path, "SELECT count(*) FROM orders") == [(5_000,)]


def test_rounds_end_with_the_space_given_back_and_every_figure_true(tmp_path, buffer):
    empty = buffer.upkeep.used_bytes()
    accept(buffer, processor(buffer), 0, 20_000)
    used_before = buffer.upkeep.used_bytes() - empty
    work = upkeep(buffer, orders_kept_days=1)
    for second in range(20):
        work.round(NOW_MS + 2 * DAY_MS + second * 1000)
    assert buffer.upkeep.used_bytes() - empty < used_before / 4
    assert buffer.upkeep.incremental_vacuum() == 0
    assert rows(tmp_path, "SELECT orders, pruned_orders FROM totals") == [(20_000, 20_000)]
    assert recount(tmp_path / "orderpulse.db") == []


def test_old_seconds_go_and_their_minutes_stay(tmp_path, buffer):
    accept(buffer, processor(buffer), 0, 3)
    upkeep(buffer).round(NOW_MS + 2 * DAY_MS)
    assert rows(tmp_path, "SELECT count(*) FROM flow_seconds") == [(0,)]
    assert rows(tmp_path, "SELECT orders FROM flow_minutes") == [(3,)]


def test_an_operator_hears_once_that_the_buffer_is_too_big_and_nothing_may_go(tmp_path, buffer):
    collect_many(buffer, 300, value=b"x" * 10_000)
    work = upkeep(buffer, buffer_max_mb=1)
    for second in range(30):
        work.round(NOW_MS + second * 1000)
    [(message,)] = rows(tmp_path, "SELECT message FROM events")
    assert "more than 1 MB" in message
    assert rows(tmp_path, "SELECT count(*) FROM dead_letters") == [(300,)]


def test_an_operator_hears_once_that_a_long_read_lets_the_log_grow(tmp_path, buffer):
    assignment, offset = collector(buffer), 0
    work = upkeep(buffer)
    with closing(sqlite3.connect(tmp_path / "orderpulse.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM totals").fetchone()
        while buffer.upkeep.wal_bytes() <= WAL_KEPT_BYTES:
            collect(buffer, assignment, offset, dead_letter(assignment.ref, offset, value=b"x" * 4_000_000))
            offset += 1
        work.round(NOW_MS)
        work.round(NOW_MS + 1000)
    work.round(NOW_MS + 2000)
    [(message,)] = rows(tmp_path, "SELECT message FROM events")
    assert "a long read" in message
    assert buffer.upkeep.wal_bytes() < WAL_KEPT_BYTES / 100


@pytest.mark.parametrize(("hours", "left"), [(0, [("replayed",)]), (2, [])])
def test_a_replay_without_an_outcome_is_settled_after_the_time_that_is_set_and_goes(tmp_path, buffer, hours, left):
    collect_many(buffer, 1)
    job_id = buffer.jobs.queue_replay("{}", DeadLetterFilter(), 3, "me", "click", NOW_MS)
    buffer.jobs.next_job(NOW_MS)
    [item] = buffer.jobs.planned_items(job_id, 1)
    buffer.jobs.open_send_window(job_id, "{}", [item.replay_id])
    buffer.jobs.close_send_window(job_id, 1, 0, [Sent(item.replay_id, "orders", 0, 1)], {}, NOW_MS)
    buffer.jobs.finish(job_id, "done", NOW_MS)
    work = upkeep(buffer, replayed_settled_after_h=hours, dead_letters_kept_days=1)
    work.round(NOW_MS + 2 * HOUR_MS)
    assert rows(tmp_path, "SELECT status FROM dead_letters") == [("replayed",)]
    work.round(NOW_MS + 3 * HOUR_MS)
    assert rows(tmp_path, "SELECT status FROM dead_letters") == [("recovered" if hours else "replayed",)]
    work.round(NOW_MS + 3 * HOUR_MS + 2 * DAY_MS)
    assert rows(tmp_path, "SELECT status FROM dead_letters") == left
    assert recount(tmp_path / "orderpulse.db") == []
