"""Counts the buffer's rows again and compares: every figure that people see must be the sum of rows that are there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pipeline.buffer.connection import OFFSET_BITS, connect_reader, offset_of, ref_of, translated_errors

_TOTALS = """
SELECT orders, (SELECT count(*) FROM order_rows),
       revenue_cents, (SELECT coalesce(sum(price_cents), 0) FROM order_rows),
       dead_letters, (SELECT count(*) FROM dead_letters)
FROM totals
"""
_MINUTES = """
SELECT coalesce(sum(orders), 0), (SELECT count(*) FROM order_rows),
       coalesce(sum(revenue_cents), 0), (SELECT coalesce(sum(price_cents), 0) FROM order_rows),
       coalesce(sum(dead_letters), 0), (SELECT count(*) FROM dead_letters)
FROM flow_minutes
"""
_TOTALS_COLUMNS = ("orders", "revenue_cents", "dead_letters")

# Figures kept a name, and the rows counted by the same name: name, kept, counted, kept, counted.
_PRODUCTS = """
SELECT coalesce(product, 'product_ref ' || product_ref),
       sum(kept_orders), sum(orders), sum(kept_revenue_cents), sum(revenue_cents)
FROM (SELECT product_ref, orders AS kept_orders, 0 AS orders, revenue_cents AS kept_revenue_cents, 0 AS revenue_cents
      FROM product_totals
      UNION ALL
      SELECT product_ref, 0, count(*), 0, sum(price_cents) FROM order_rows GROUP BY product_ref)
LEFT JOIN products USING (product_ref)
GROUP BY product_ref
"""
_STATUSES = """
SELECT status, sum(kept), sum(counted)
FROM (SELECT status, dead_letters AS kept, 0 AS counted FROM dead_letter_counts
      UNION ALL
      SELECT status, 0, count(*) FROM dead_letters GROUP BY status)
GROUP BY status
"""
_GROUPS = """
SELECT fingerprint, sum(kept_total), sum(total), sum(kept_open), sum(open)
FROM (SELECT fingerprint, total AS kept_total, 0 AS total, open AS kept_open, 0 AS open FROM dead_letter_groups
      UNION ALL
      SELECT fingerprint, 0, count(*), 0, sum(status = 'open') FROM dead_letters GROUP BY fingerprint)
GROUP BY fingerprint
"""
_JOBS = """
SELECT jobs.id, done, count(*) FILTER (WHERE job_items.state IN ('sent', 'recovered', 'dead_again')),
       failed, count(*) FILTER (WHERE job_items.state = 'failed'), total, count(job_items.state)
FROM jobs LEFT JOIN job_items ON job_id = jobs.id
WHERE kind = 'replay'
GROUP BY jobs.id
"""

# Each record may be in one of these places only.
_TWICE = (
    ("accepted and parked", "SELECT record_id FROM retries JOIN order_rows USING (record_id)"),
    ("accepted and in the outbox", "SELECT record_id FROM outbox JOIN order_rows USING (record_id)"),
    ("parked and in the outbox", "SELECT record_id FROM outbox JOIN retries USING (record_id)"),
)
_ROWS_BY_ROLE = {"processor": ("order_rows", "retries", "outbox"), "collector": ("dead_letters",)}

# What contradicts itself: a sentence for each row.
_CONTRADICTIONS = (
    """
    SELECT 'dead letter ' || id || ' is replaying, but no job has it on its way' FROM dead_letters
    WHERE status = 'replaying' AND NOT EXISTS (
        SELECT 1 FROM job_items WHERE job_items.dead_letter_id = dead_letters.id AND state IN ('planned', 'sending'))
    """,
    """
    SELECT 'job ' || job_id || ' has dead letter ' || id || ' on its way (' || state || '), but that one is ' || status
    FROM job_items JOIN dead_letters ON dead_letters.id = job_items.dead_letter_id
    WHERE state IN ('planned', 'sending') AND status <> 'replaying'
    """,
    """
    SELECT 'job ' || id || ' is ' || state || ', but its window is still open' FROM jobs
    WHERE state IN ('done', 'failed', 'cancelled') AND send_window IS NOT NULL
    """,
    """
    SELECT 'job ' || jobs.id || ' is ' || jobs.state || ', but ' || count(*) || ' of its items are still on their way'
    FROM jobs JOIN job_items ON job_id = jobs.id
    WHERE jobs.state IN ('done', 'failed', 'cancelled') AND job_items.state IN ('planned', 'sending') GROUP BY jobs.id
    """,
)


def recount(path: Path) -> list[str]:
    """Every difference between figures and rows, a line each; empty when all agree.

    Reads one state of the buffer, however much is written meanwhile, and every row of it.
    Raises BufferUnavailableError, BufferTooNewError, and BufferCorruptError where damage ends the reading.
    """
    with closing(connect_reader(path)) as connection, translated_errors(path):
        connection.execute("BEGIN")
        found = "\n".join(line for (line,) in connection.execute("PRAGMA quick_check"))
        damage = [f"damaged: {line}" for line in found.splitlines() if line not in ("ok", "*** in database main ***")]
        # Counting what is damaged would only add noise.
        return damage or list(_differences(connection))


def _differences(connection: sqlite3.Connection) -> Iterator[str]:
    for place, sql in (("totals", _TOTALS), ("flow_minutes", _MINUTES)):
        for row in connection.execute(sql):
            yield from _compared(place, _TOTALS_COLUMNS, row)
    for product, *figures in connection.execute(_PRODUCTS):
        yield from _compared(f"product_totals of {product}", ("orders", "revenue_cents"), figures)
    for status, *figures in connection.execute(_STATUSES):
        yield from _compared(f"dead_letter_counts of {status}", ("dead_letters",), figures)
    for fingerprint, *figures in connection.execute(_GROUPS):
        yield from _compared(f"dead_letter_groups of {fingerprint}", ("total", "open"), figures)
    for job_id, *figures in connection.execute(_JOBS):
        yield from _compared(f"job {job_id}", ("done", "failed", "total"), figures)
    yield from _beyond_next_offset(connection)
    for what, sql in _TWICE:
        for (record,) in connection.execute(sql):
            yield f"{_place(connection, record)} is {what}"
    for sql in _CONTRADICTIONS:
        for (line,) in connection.execute(sql):
            yield line


def _compared(place: str, names: tuple[str, ...], figures: list[int] | tuple[int, ...]) -> Iterator[str]:
    """`figures`: for each name the one that is kept and the one that was counted."""
    for name, kept, counted in zip(names, figures[::2], figures[1::2], strict=True):
        if kept != counted:
            yield f"{place}: {name} is {kept}, its rows make {counted}"


def _beyond_next_offset(connection: sqlite3.Connection) -> Iterator[str]:
    partitions = connection.execute("SELECT partition_ref, role, next_offset FROM partitions")
    for ref, role, next_offset in partitions:
        for table in _ROWS_BY_ROLE[role]:
            count, first = connection.execute(
                f"SELECT count(*), min(record_id) FROM {table} WHERE record_id >= ? AND record_id < ?",
                (ref << OFFSET_BITS | next_offset, ref + 1 << OFFSET_BITS),
            ).fetchone()
            if count:
                first_place = _place(connection, first)
                yield f"{table}: {count} rows at or after next_offset {next_offset}, the first: {first_place}"


def _place(connection: sqlite3.Connection, record: int) -> str:
    found = connection.execute(
        "SELECT topic, partition FROM partitions JOIN topics USING (topic_ref) WHERE partition_ref = ?",
        (ref_of(record),),
    ).fetchone()
    topic, partition = found or ("unknown topic", ref_of(record))
    return f"{topic}[{partition}] offset {offset_of(record)}"
