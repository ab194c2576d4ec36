"""Counts the buffer's rows again and compares: every figure must be the sum of its rows and of what was pruned."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pipeline.buffer.sqlite.connection import (
    OFFSET_BITS,
    atomic,
    connect_reader,
    connect_writer,
    translated_errors,
)
from pipeline.buffer.sqlite.damage import damage_in
from pipeline.buffer.sqlite.groups.hours import HOUR_OF
from pipeline.buffer.sqlite.reconcile.blocks import wrong_blocks
from pipeline.buffer.sqlite.reconcile.integrity import contradictions
from pipeline.buffer.sqlite.reconcile.texts import unfindable_texts
from pipeline.buffer.sqlite.stored_once.shared import SHARED_TABLES
from pipeline.buffer.sqlite.stores.flow_figures import SOURCE
from pipeline.buffer.sqlite.stores.passed_over import BLOCK_BITS, count_flags
from pipeline.buffer.sqlite.stores.text_index import EMPTY_THE_INDEX
from pipeline.errors import BufferCorruptError


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure or a row that cannot be true, in words.

    Of a figure also its name, the key of its row, how much it has more than its rows, and the statements with their
    arguments that put it right.
    """

    text: str
    name: str = ""
    key: tuple[object, ...] = ()
    surplus: int = 0
    mend: tuple[tuple[str, tuple[object, ...]], ...] = ()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class _Figures:
    """Figures kept for a key, and how to count them again.

    `counted` selects the columns of `key`, a `label` that says what to call it, and for each name the figure that is
    kept (`kept_` and the name) and the one that is counted again (`counted_` and the name). `made` gives a row to a key
    that has none.
    """

    table: str
    key: tuple[str, ...]
    names: tuple[str, ...]
    counted: str
    made: str = ""

    @property
    def where(self) -> str:
        """A condition for the row of a key, with its arguments."""
        return " AND ".join(f"{column} = ?" for column in self.key)


# Orders of a key and of each partition, and what they need for the name of its topic: of a partition that is gone there
# is none.
_COUNTED = f"record_id >> {OFFSET_BITS} AS ref, count(*) AS counted, sum(price_cents) AS cents"
_WITH_TOPIC = "LEFT JOIN partitions ON partition_ref = ref LEFT JOIN topics USING (topic_ref)"
_TOPIC = "coalesce(topic, '')"

_TOTALS = _Figures(
    "totals",
    ("id",),
    ("orders", "revenue_cents", "dead_letters"),
    """
    SELECT id, '' AS label, orders AS kept_orders, revenue_cents AS kept_revenue_cents,
           dead_letters AS kept_dead_letters,
           pruned_orders + (SELECT count(*) FROM order_rows) AS counted_orders,
           pruned_revenue_cents + (SELECT coalesce(sum(price_cents), 0) FROM order_rows) AS counted_revenue_cents,
           pruned_dead_letters + (SELECT count(*) FROM dead_letter_rows) AS counted_dead_letters
    FROM totals
    """,
)
_MINUTES = _Figures(
    "flow_minutes",
    ("minute_ms", "topic"),
    ("orders", "revenue_cents", "dead_letters"),
    f"""
    SELECT minute_ms, topic, minute_ms AS label, sum(kept_orders) AS kept_orders, sum(orders) AS counted_orders,
           sum(kept_revenue_cents) AS kept_revenue_cents, sum(revenue_cents) AS counted_revenue_cents,
           sum(kept_dead_letters) AS kept_dead_letters, sum(dead_letters) AS counted_dead_letters
    FROM (SELECT minute_ms, topic, orders AS kept_orders, pruned_orders AS orders,
                 revenue_cents AS kept_revenue_cents, pruned_revenue_cents AS revenue_cents,
                 dead_letters AS kept_dead_letters, pruned_dead_letters AS dead_letters FROM flow_minutes
          UNION ALL
          SELECT minute_ms, {_TOPIC}, 0, counted, 0, cents, 0, 0
          FROM (SELECT processed_at_ms / 60000 * 60000 AS minute_ms, {_COUNTED} FROM order_rows GROUP BY minute_ms, ref)
          {_WITH_TOPIC}
          UNION ALL
          SELECT received_at_ms / 60000 * 60000 AS minute_ms, {SOURCE} AS topic, 0, 0, 0, 0, 0, count(*)
          FROM dead_letters GROUP BY minute_ms, 2)
    GROUP BY minute_ms, topic
    """,
    "INSERT OR IGNORE INTO flow_minutes (minute_ms, topic) VALUES (?, ?)",
)
_PRODUCTS = _Figures(
    "product_totals",
    ("product_ref", "topic"),
    ("orders", "revenue_cents"),
    f"""
    SELECT product_ref, topic, coalesce(product, 'product_ref ' || product_ref) AS label,
           sum(kept_orders) AS kept_orders, sum(orders) AS counted_orders,
           sum(kept_revenue_cents) AS kept_revenue_cents, sum(revenue_cents) AS counted_revenue_cents
    FROM (SELECT product_ref, topic, orders AS kept_orders, pruned_orders AS orders,
                 revenue_cents AS kept_revenue_cents, pruned_revenue_cents AS revenue_cents FROM product_totals
          UNION ALL
          SELECT product_ref, {_TOPIC}, 0, counted, 0, cents
          FROM (SELECT product_ref, {_COUNTED} FROM order_rows NOT INDEXED GROUP BY product_ref, ref) {_WITH_TOPIC})
    LEFT JOIN products USING (product_ref)
    GROUP BY product_ref, topic
    """,
    "INSERT OR IGNORE INTO product_totals (product_ref, topic) VALUES (?, ?)",
)
_SOURCES = _Figures(
    "dead_letter_sources",
    ("topic",),
    ("dead_letters",),
    f"""
    SELECT topic, iif(topic = '', 'no topic', topic) AS label,
           sum(kept) AS kept_dead_letters, sum(counted) AS counted_dead_letters
    FROM (SELECT topic, dead_letters AS kept, pruned_dead_letters AS counted FROM dead_letter_sources
          UNION ALL
          SELECT {SOURCE} AS topic, 0, count(*) FROM dead_letters GROUP BY 1)
    GROUP BY topic
    """,
    "INSERT OR IGNORE INTO dead_letter_sources (topic) VALUES (?)",
)
_STATUSES = _Figures(
    "dead_letter_counts",
    ("status",),
    ("dead_letters",),
    """
    SELECT status, status AS label, sum(kept) AS kept_dead_letters, sum(counted) AS counted_dead_letters
    FROM (SELECT status, dead_letters AS kept, 0 AS counted FROM dead_letter_counts
          UNION ALL
          SELECT status, 0, count(*) FROM dead_letter_rows GROUP BY status)
    GROUP BY status
    """,
    "INSERT OR IGNORE INTO dead_letter_counts VALUES (?, 0)",
)
_GROUPS = _Figures(
    "dead_letter_groups",
    ("fingerprint",),
    ("total", "open"),
    """
    SELECT fingerprint, fingerprint AS label, sum(kept_total) AS kept_total, sum(total) AS counted_total,
           sum(kept_open) AS kept_open, sum(open) AS counted_open
    FROM (SELECT fingerprint, total AS kept_total, 0 AS total, open AS kept_open, 0 AS open FROM dead_letter_groups
          UNION ALL
          SELECT fingerprint, 0, count(*), 0, sum(status = 'open') FROM dead_letter_rows GROUP BY fingerprint)
    GROUP BY fingerprint
    """,
    # Its title is gone with it; the newest reason says what it was.
    """
    INSERT OR IGNORE INTO dead_letter_groups
        (fingerprint, error_class, title, source_topic, first_seen_ms, last_seen_ms)
    SELECT fingerprint, error_class, reason, source_topic, min(failed_at_ms), max(failed_at_ms)
    FROM dead_letters WHERE fingerprint = ? GROUP BY fingerprint
    """,
)
_GROUP_HOURS = _Figures(
    "group_hours",
    ("fingerprint", "hour_ms"),
    ("dead_letters",),
    f"""
    SELECT fingerprint, hour_ms, fingerprint || ' at ' || hour_ms AS label,
           sum(kept) AS kept_dead_letters, sum(counted) AS counted_dead_letters
    FROM (SELECT fingerprint, hour_ms, dead_letters AS kept, pruned_dead_letters AS counted
          FROM group_hours, group_hours_counted WHERE hour_ms >= from_ms
          UNION ALL
          SELECT fingerprint, {HOUR_OF} AS hour_ms, 0, count(*) FROM dead_letter_rows, group_hours_counted
          WHERE min(failed_at_ms, received_at_ms) >= from_ms GROUP BY fingerprint, 2)
    GROUP BY fingerprint, hour_ms
    """,
    "INSERT OR IGNORE INTO group_hours (fingerprint, hour_ms) VALUES (?, ?)",
)
_JOBS = _Figures(
    "jobs",
    ("id",),
    ("done", "failed", "total"),
    """
    SELECT jobs.id AS id, jobs.id AS label, done AS kept_done, failed AS kept_failed, total AS kept_total,
           pruned_done + count(*) FILTER (WHERE job_items.state IN ('sent', 'recovered', 'dead_again')) AS counted_done,
           pruned_failed + count(*) FILTER (WHERE job_items.state = 'failed') AS counted_failed,
           pruned_total + count(job_items.state) AS counted_total
    FROM jobs LEFT JOIN job_items ON job_id = jobs.id
    WHERE kind = 'replay'
    GROUP BY jobs.id
    """,
)


def _shared(table: str, reference: str) -> _Figures:
    """Rows that dead letters refer to, and how many do."""
    return _Figures(
        table,
        (reference,),
        ("dead_letters",),
        f"""
        SELECT {reference}, {reference} AS label, sum(kept) AS kept_dead_letters, sum(counted) AS counted_dead_letters
        FROM (SELECT {reference}, dead_letters AS kept, 0 AS counted FROM {table}
              UNION ALL
              SELECT {reference}, 0, count(*) FROM dead_letter_rows WHERE {reference} IS NOT NULL GROUP BY {reference})
        GROUP BY {reference}
        """,
    )


_SHARED = tuple(_shared(table, reference) for reference, table in SHARED_TABLES.items())
_OF_PARTITION = f"record_id >= partition_ref << {OFFSET_BITS} AND record_id < partition_ref + 1 << {OFFSET_BITS}"
_PASSED_OVER = _Figures(
    "partitions",
    ("partition_ref",),
    ("passed_over",),
    f"""
    SELECT partition_ref, coalesce(topic, 'unknown topic') || '[' || partition || ']' AS label,
           passed_over AS kept_passed_over,
           (SELECT coalesce(sum(count_flags(flags)), 0) FROM passed_over_blocks
            WHERE block >= partition_ref << {OFFSET_BITS - BLOCK_BITS}
              AND block < partition_ref + 1 << {OFFSET_BITS - BLOCK_BITS}) AS counted_passed_over
    FROM partitions LEFT JOIN topics USING (topic_ref)
    """,
)
_PARTITIONS = _Figures(
    "partitions",
    ("partition_ref",),
    ("orders", "revenue_cents"),
    f"""
    SELECT partition_ref, coalesce(topic, 'unknown topic') || '[' || partition || ']' AS label,
           orders AS kept_orders, revenue_cents AS kept_revenue_cents,
           pruned_orders + (SELECT count(*) FROM order_rows WHERE {_OF_PARTITION}) AS counted_orders,
           pruned_revenue_cents
           + (SELECT coalesce(sum(price_cents), 0) FROM order_rows WHERE {_OF_PARTITION}) AS counted_revenue_cents
    FROM partitions LEFT JOIN topics USING (topic_ref)
    """,
)
_ALL = (
    _TOTALS,
    _MINUTES,
    _PRODUCTS,
    _SOURCES,
    _STATUSES,
    _GROUPS,
    _GROUP_HOURS,
    _JOBS,
    *_SHARED,
    _PASSED_OVER,
    _PARTITIONS,
)

_YEAR_10000_MS = 253_402_300_800_000

# What was pruned cannot be counted again, but it is written down in several tables.
_PRUNED = {
    "orders": (_TOTALS, _MINUTES, _PRODUCTS),
    "revenue_cents": (_TOTALS, _MINUTES, _PRODUCTS),
    "dead_letters": (_TOTALS, _MINUTES, _SOURCES),
}


def recount(path: Path) -> list[Difference]:
    """Every difference between figures and rows, and what contradicts itself; empty when all agree.

    Reads one state of the buffer, however much is written meanwhile, and every row of it.
    Raises BufferUnavailableError, BufferTooNewError, and BufferCorruptError where damage ends the reading.
    """
    with closing(connect_reader(path)) as connection, translated_errors(path):
        connection.execute("BEGIN")
        # Counting what is damaged would only add noise.
        return _damage(connection) or list(_differences(connection))


def repair(path: Path) -> tuple[list[Difference], list[Difference]]:
    """Puts every figure right that can be counted again, in one transaction; returns what it changed and what is left.

    No row is changed, and what rows contradict each other in stays as it is. Whoever writes waits meanwhile. Raises
    BufferUnavailableError, BufferTooNewError, and BufferCorruptError for a damaged buffer, which is left as it is.
    """
    with closing(connect_writer(path, "FULL")) as connection, atomic(connection):
        damage = _damage(connection)
        if damage:
            raise BufferCorruptError(f"the buffer {path} is damaged and cannot be repaired: {damage[0]}")
        # What was pruned first: the figures are counted from it.
        mended = _mend(connection, [each for name in _PRUNED for each in _wrongly_pruned(connection, name)])
        doubtful = {name for name in _PRUNED if len(_pruned_sums(connection, name, _PRUNED[name])) > 1}
        mended += _mend(connection, [each for each in _figures(connection) if each.name not in doubtful])
        # The worker makes them anew.
        mended += _mend(connection, list(_made_of_rows(connection)))
        return mended, list(_differences(connection))


def _mend(connection: sqlite3.Connection, differences: Sequence[Difference]) -> list[Difference]:
    mended = [each for each in differences if each.mend]
    for each in mended:
        for sql, arguments in each.mend:
            connection.execute(sql, arguments)
    return mended


def _damage(connection: sqlite3.Connection) -> list[Difference]:
    return [Difference(f"damaged: {line}") for line in damage_in(connection)]


def _differences(connection: sqlite3.Connection) -> Iterator[Difference]:
    for name in _PRUNED:
        sums = _pruned_sums(connection, name, _telling(name))
        if len(sums) > 1:
            by_table = ", ".join(f"{total} in {' and '.join(tables)}" for total, tables in sums.items())
            yield Difference(f"pruned_{name} is {by_table}", name)
    yield from _figures(connection)
    yield from (Difference(line) for line in contradictions(connection))
    yield from _made_of_rows(connection)


def _made_of_rows(connection: sqlite3.Connection) -> Iterator[Difference]:
    """What search asks in place of the rows."""
    if told := wrong_blocks(connection):
        yield Difference(told, mend=(("DELETE FROM dead_letter_blocks", ()),))
    if told := unfindable_texts(connection):
        yield Difference(told, mend=tuple((statement, ()) for statement in EMPTY_THE_INDEX))


def _telling(name: str) -> tuple[_Figures, ...]:
    """All that say how much of a figure was pruned. Of partitions a row may be gone with what it says."""
    return (*_PRUNED[name], _PARTITIONS) if name in _PARTITIONS.names else _PRUNED[name]


def _pruned_sums(connection: sqlite3.Connection, name: str, tables: Sequence[_Figures]) -> dict[int, list[str]]:
    """How much of a figure was pruned, and which tables say so: one sum when all agree."""
    sums: dict[int, list[str]] = {}
    for figures in tables:
        (total,) = connection.execute(f"SELECT coalesce(sum(pruned_{name}), 0) FROM {figures.table}").fetchone()
        sums.setdefault(total, []).append(figures.table)
    return sums


def _wrongly_pruned(connection: sqlite3.Connection, name: str) -> Iterator[Difference]:
    """Where tables do not agree on what was pruned, those whose figures are the sum of their rows are right."""
    sums = _pruned_sums(connection, name, _telling(name))
    wrong = {
        figures.table: [each for each in _of_table(connection, figures) if each.name == name]
        for figures in _telling(name)
    }
    right = {total for total, tables in sums.items() for table in tables if not wrong[table]}
    if len(sums) == 1 or len(right) != 1:
        return
    for total, tables in sums.items():
        for table in tables:
            if total not in right and total + sum(each.surplus for each in wrong[table]) in right:
                yield from (_as_pruned(table, each) for each in wrong[table])


def _as_pruned(table: str, wrong: Difference) -> Difference:
    """The same difference, mended by what was pruned: the figure itself is right."""
    figures = next(each for each in _telling(wrong.name) if each.table == table)
    sql = f"UPDATE {table} SET pruned_{wrong.name} = pruned_{wrong.name} + ? WHERE {figures.where}"
    text = f"{wrong.text} (pruned_{wrong.name} was wrong by {-wrong.surplus})"
    return replace(wrong, text=text, mend=((sql, (wrong.surplus, *wrong.key)),))


def _figures(connection: sqlite3.Connection) -> Iterator[Difference]:
    connection.create_function("count_flags", 1, count_flags, deterministic=True)
    for figures in _ALL:
        yield from _of_table(connection, figures)


def _of_table(connection: sqlite3.Connection, figures: _Figures) -> Iterator[Difference]:
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    for row in cursor.execute(figures.counted).fetchall():
        for name in figures.names:
            kept, rows = row[f"kept_{name}"], row[f"counted_{name}"]
            if kept != rows:
                key = tuple(row[column] for column in figures.key)
                text = f"{_called(figures, row)}: {name} is {kept}, its rows make {rows}"
                made = ((figures.made, key),) if figures.made else ()
                put_right = (f"UPDATE {figures.table} SET {name} = ? WHERE {figures.where}", (rows, *key))
                yield Difference(text, name, key, kept - rows, (*made, put_right))


def _called(figures: _Figures, row: sqlite3.Row) -> str:
    label = row["label"]
    if figures is _TOTALS:
        return figures.table
    if figures is _JOBS:
        return f"job {label}"
    if figures in (_MINUTES, _PRODUCTS):
        label = f"{_minute(label) if figures is _MINUTES else label} in {row['topic'] or 'no topic'}"
    return f"{figures.table} of {label}"


def _minute(minute_ms: object) -> str:
    """Minutes as people read them; a figure's key may be anything after somebody changed it."""
    if isinstance(minute_ms, int) and 0 <= minute_ms < _YEAR_10000_MS:
        return f"{datetime.fromtimestamp(minute_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    return str(minute_ms)
