"""Keeps the buffer at its size: prunes what is old in small steps, gives space back, and bounds the write-ahead log."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from typing import NamedTuple

from pipeline.buffer.contract import Compaction, Pruned, Retention, Role
from pipeline.buffer.sqlite.connection import (
    OFFSET_BITS,
    WAL_KEPT_BYTES,
    WriterConnection,
    atomic,
    offset_of,
    reading,
    ref_of,
)
from pipeline.buffer.sqlite.rows import RowsOf
from pipeline.buffer.sqlite.stores.compaction import compact
from pipeline.buffer.sqlite.stores.flow_figures import MINUTE_MS, source_of, topics_of
from pipeline.buffer.sqlite.stores.letter_blocks import write_block
from pipeline.buffer.sqlite.stores.outcomes import conclude
from pipeline.buffer.sqlite.stores.text_index import indexed_shared_of, unindex_letters, unindex_shared
from pipeline.headers import dead_letter_id_of
from pipeline.records import TopicIdentity

ORDERS_AT_ONCE = 500
DEAD_LETTERS_AT_ONCE = 100
JOBS_AT_ONCE = 100
PAGES_AT_ONCE = 128
FREE_SHARE_KEPT = 16
"""One page in so many may stay unused: new rows take it, and the file does not shrink and grow all the time."""


class _OldOrder(NamedTuple):
    """What the figures have to know of an order that goes."""

    record_id: int
    product_ref: int
    price_cents: int
    processed_at_ms: int


class _OldDeadLetter(NamedTuple):
    """What the figures, the partitions and the groups have to know of a dead letter that goes."""

    id: int
    record_id: int | None
    received_at_ms: int
    fingerprint: str
    dead_letter_id: str
    failure_id: str | None
    source_topic: str | None
    source_partition: int | None
    source_offset: int | None


class _FirstOrder(NamedTuple):
    """The first order of a partition; the oldest of several is their minimum."""

    processed_at_ms: int
    partition_ref: int


class _ItemCounts(NamedTuple):
    """How many items of a job go, by what became of them."""

    job_id: int
    done: int
    failed: int
    total: int


_PricesBy = dict[tuple[object, ...], list[int]]
"""The prices of those that go, by the key of a row that counts them."""
_OLD_ORDER = RowsOf(_OldOrder)
_OLD_DEAD_LETTER = RowsOf(_OldDeadLetter)
_ITEM_COUNTS = RowsOf(
    _ItemCounts,
    done="count(*) FILTER (WHERE state IN ('sent', 'recovered', 'dead_again'))",
    failed="count(*) FILTER (WHERE state = 'failed')",
    total="count(*)",
)
_IDENTITY = RowsOf(TopicIdentity)
_SETTLED = "status IN ('recovered', 'dead_again', 'discarded')"

# A record's lives go oldest first, and none whose next life is still on its way to us or whose job still runs.
_PRUNABLE = f"""
FROM dead_letter_rows INDEXED BY dead_letters_settled
WHERE {_SETTLED} AND status_at_ms < :before_ms AND replay_of IS NULL
  AND (status <> 'dead_again'
       OR EXISTS (SELECT 1 FROM dead_letter_rows AS next WHERE next.replay_of = dead_letter_rows.id)
       OR EXISTS (SELECT 1 FROM job_items WHERE job_items.dead_letter_id = dead_letter_rows.id
                  AND state = 'dead_again' AND sent_with IS NOT NULL))
  AND NOT EXISTS (
      SELECT 1 FROM job_items JOIN jobs ON jobs.id = job_id
      WHERE job_items.dead_letter_id = dead_letter_rows.id AND jobs.state IN ('queued', 'running', 'cancelling'))
ORDER BY status_at_ms LIMIT :at_once
"""
# The oldest orders of a partition are those with the lowest offsets; a retried one among them is younger.
_OLD_ORDERS = f"""
SELECT {_OLD_ORDER.sql} FROM (
    SELECT {_OLD_ORDER.sql} FROM order_rows
    WHERE record_id >= :first AND record_id < :end ORDER BY record_id LIMIT :at_once)
WHERE processed_at_ms < :before_ms
"""
_OLD_PRODUCE_JOBS = """
FROM jobs WHERE kind = 'produce' AND state IN ('done', 'failed', 'cancelled') AND finished_at_ms < ? ORDER BY id LIMIT ?
"""
_FOREVER_MS = 1 << 62


class SqliteUpkeepStore:
    """The contract's UpkeepStore on SQLite."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def note_for_search(self) -> bool:
        """See UpkeepStore."""
        return write_block(self._connection)

    def used_bytes(self) -> int:
        """See UpkeepStore."""
        return self._pragma("page_size") * (self._pragma("page_count") - self._pragma("freelist_count"))

    def prune(self, retention: Retention) -> Pruned:
        """See UpkeepStore."""
        if retention.max_bytes and self.used_bytes() > retention.max_bytes:
            oldest = self._prune_oldest()
            if oldest:
                return oldest
        if retention.orders_before_ms is not None:
            pruned = self._prune_old_orders(retention.orders_before_ms)
            if pruned:
                return pruned
        if retention.dead_letters_before_ms is not None:
            return self._prune_dead_letters(retention.dead_letters_before_ms)
        return Pruned()

    def conclude(self, replayed_before_ms: int, now_ms: int) -> int:
        """See UpkeepStore."""
        old = "FROM dead_letter_rows WHERE status = 'replayed' AND status_at_ms < ? ORDER BY status_at_ms LIMIT ?"
        chosen = (replayed_before_ms, DEAD_LETTERS_AT_ONCE)
        with reading(self._connection):
            if self._connection.execute(f"SELECT 1 {old}", chosen).fetchone() is None:
                return 0
        with atomic(self._connection) as connection:
            ids = [identifier for (identifier,) in connection.execute(f"SELECT id {old}", chosen)]
            return conclude(connection, ids, now_ms)

    def incremental_vacuum(self) -> int:
        """See UpkeepStore."""
        with reading(self._connection):
            beyond = self._pragma("freelist_count") - self._pragma("page_count") // FREE_SHARE_KEPT
            if beyond <= 0:
                return 0
            before = self._pragma("page_count")
            # A page for each time that the next row is asked for; `execute` asks once where there are no columns.
            with self._connection.turn():
                self._connection.executescript(f"PRAGMA incremental_vacuum({min(beyond, PAGES_AT_ONCE)})")
            return (before - self._pragma("page_count")) * self._pragma("page_size")

    def wal_bytes(self) -> int:
        """See UpkeepStore."""
        wal = self._connection.path.with_name(f"{self._connection.path.name}-wal")
        return wal.stat().st_size if wal.exists() else 0

    def empty_wal(self, above_bytes: int = WAL_KEPT_BYTES) -> bool:
        """See UpkeepStore."""
        if self.wal_bytes() <= above_bytes:
            return True
        with reading(self._connection):
            # Without waiting: while a checkpoint waits for a reader, every writer waits for the checkpoint.
            patience_ms = self._pragma("busy_timeout")
            self._connection.execute("PRAGMA busy_timeout = 0")
            try:
                (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {patience_ms}")
        return not busy

    def compact(self) -> Compaction | None:
        """See UpkeepStore."""
        return compact(self._connection)

    # -- orders

    def _prune_oldest(self) -> Pruned:
        """Of orders and settled dead letters what is oldest, however old that is."""
        order = min((first for ref in self._partitions() for first in self._first_order(ref)), default=None)
        dead_letter_ms = self._first_dead_letter_ms()
        if order is not None and (dead_letter_ms is None or order.processed_at_ms <= dead_letter_ms):
            return self._prune_orders(order.partition_ref, _FOREVER_MS)
        return self._prune_dead_letters(_FOREVER_MS)

    def _prune_old_orders(self, before_ms: int) -> Pruned:
        for ref in self._partitions():
            pruned = self._prune_orders(ref, before_ms)
            if pruned:
                return pruned
        return self._prune_produce_jobs(before_ms)

    def _prune_orders(self, ref: int, before_ms: int) -> Pruned:
        span = {"first": ref << OFFSET_BITS, "end": ref + 1 << OFFSET_BITS}
        chosen = {**span, "before_ms": before_ms, "at_once": ORDERS_AT_ONCE}
        with reading(self._connection):
            if self._connection.execute(_OLD_ORDERS, chosen).fetchone() is None:
                return Pruned()
        with atomic(self._connection) as connection:
            rows = _OLD_ORDER.read_all(connection.execute(_OLD_ORDERS, chosen))
            # 1. What is counted and will not be there any more.
            _count_pruned_orders(connection, rows)
            # 2. Up to where the partition has gaps that are ours.
            _note_pruned_below(connection, ref, max((offset_of(row.record_id) for row in rows), default=-1) + 1)
            # 3. The rows.
            connection.executemany("DELETE FROM order_rows WHERE record_id = ?", [(row.record_id,) for row in rows])
        return Pruned(orders=len(rows))

    def _prune_produce_jobs(self, before_ms: int) -> Pruned:
        """Who asked for orders that are pruned."""
        with reading(self._connection):
            if self._connection.execute(f"SELECT 1 {_OLD_PRODUCE_JOBS}", (before_ms, 1)).fetchone() is None:
                return Pruned()
        with atomic(self._connection) as connection:
            jobs = connection.execute(
                f"DELETE FROM jobs WHERE id IN (SELECT id {_OLD_PRODUCE_JOBS})", (before_ms, JOBS_AT_ONCE)
            ).rowcount
        return Pruned(jobs=jobs)

    # -- dead letters

    def _prune_dead_letters(self, before_ms: int) -> Pruned:
        chosen = {"before_ms": before_ms, "at_once": DEAD_LETTERS_AT_ONCE}
        with reading(self._connection):
            if self._connection.execute(f"SELECT 1 {_PRUNABLE}", chosen).fetchone() is None:
                return Pruned()
        with atomic(self._connection) as connection:
            old = f"SELECT {_OLD_DEAD_LETTER.sql} FROM dead_letters WHERE id IN (SELECT id {_PRUNABLE})"
            rows = _OLD_DEAD_LETTER.read_all(connection.execute(old, chosen))
            ids = json.dumps([row.id for row in rows])
            # 1. What is counted and will not be there any more.
            _count_pruned_dead_letters(connection, rows)
            # 2. Where Kafka may hold what we do not: in the dead-letter topic, and where it came from.
            for row in rows:
                _note_pruned_source(connection, row)
            for record_id in [row.record_id for row in rows if row.record_id is not None] + _copies(connection, ids):
                _note_pruned_below(connection, ref_of(record_id), offset_of(record_id) + 1)
            # 3. The ledger's part, which refers to the rows.
            jobs = _prune_items(connection, ids)
            # 4. The rows. What they became has nothing before it from here on.
            connection.execute(
                "UPDATE dead_letter_rows SET replay_of = NULL WHERE replay_of IN (SELECT value FROM json_each(?))",
                (ids,),
            )
            connection.execute(
                "DELETE FROM dead_letter_copies WHERE dead_letter_id IN (SELECT value FROM json_each(?))", (ids,)
            )
            unindex_letters(connection, ids)
            shared = indexed_shared_of(connection, ids)
            connection.execute("DELETE FROM dead_letter_rows WHERE id IN (SELECT value FROM json_each(?))", (ids,))
            unindex_shared(connection, shared)
            # 5. Groups that have nothing in them.
            fingerprints = {(row.fingerprint,) for row in rows}
            connection.executemany("DELETE FROM dead_letter_groups WHERE fingerprint = ? AND total = 0", fingerprints)
        return Pruned(dead_letters=len(rows), jobs=jobs)

    # -- looking

    def _partitions(self) -> list[int]:
        role: Role = "processor"
        with reading(self._connection):
            # While orders are taken out to be read again they are not pruned: those stay counted, and would be twice.
            rows = self._connection.execute(
                "SELECT partition_ref FROM partitions WHERE role = ? "
                "AND NOT (closed AND EXISTS (SELECT 1 FROM rereads WHERE state = 'taking'))",
                (role,),
            )
            return [ref for (ref,) in rows]

    def _first_order(self, ref: int) -> list[_FirstOrder]:
        """The partition's first order; empty when it has none."""
        with reading(self._connection):
            rows = self._connection.execute(
                "SELECT processed_at_ms FROM order_rows WHERE record_id >= ? AND record_id < ? "
                "ORDER BY record_id LIMIT 1",
                (ref << OFFSET_BITS, ref + 1 << OFFSET_BITS),
            )
            return [_FirstOrder(processed_at_ms, ref) for (processed_at_ms,) in rows]

    def _first_dead_letter_ms(self) -> int | None:
        with reading(self._connection):
            found = self._connection.execute(
                f"SELECT status_at_ms {_PRUNABLE}", {"before_ms": _FOREVER_MS, "at_once": 1}
            ).fetchone()
        return None if found is None else int(found[0])

    def _pragma(self, name: str) -> int:
        with reading(self._connection):
            return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])


def _count_pruned_orders(connection: sqlite3.Connection, rows: list[_OldOrder]) -> None:
    topic_of = topics_of(connection, {ref_of(row.record_id) for row in rows})
    by_partition: _PricesBy = {}
    by_product: _PricesBy = {}
    by_minute: _PricesBy = {}
    for row in rows:
        ref = ref_of(row.record_id)
        minute_ms = row.processed_at_ms - row.processed_at_ms % MINUTE_MS
        by_partition.setdefault((ref,), []).append(row.price_cents)
        by_product.setdefault((row.product_ref, topic_of[ref]), []).append(row.price_cents)
        by_minute.setdefault((minute_ms, topic_of[ref]), []).append(row.price_cents)
    added = "SET pruned_orders = pruned_orders + ?, pruned_revenue_cents = pruned_revenue_cents + ?"
    connection.execute(f"UPDATE totals {added}", (len(rows), sum(row.price_cents for row in rows)))
    connection.executemany(f"UPDATE partitions {added} WHERE partition_ref = ?", _sums(by_partition))
    connection.executemany(f"UPDATE product_totals {added} WHERE product_ref = ? AND topic = ?", _sums(by_product))
    connection.executemany(f"UPDATE flow_minutes {added} WHERE minute_ms = ? AND topic = ?", _sums(by_minute))


def _sums(prices_by: _PricesBy) -> list[tuple[object, ...]]:
    return [(len(prices), sum(prices), *key) for key, prices in prices_by.items()]


def _count_pruned_dead_letters(connection: sqlite3.Connection, rows: list[_OldDeadLetter]) -> None:
    added = "SET pruned_dead_letters = pruned_dead_letters +"
    sources = [source_of(row.source_topic) for row in rows]
    connection.execute(f"UPDATE totals {added} ?", (len(rows),))
    connection.executemany(
        f"UPDATE dead_letter_sources {added} ? WHERE topic = ?",
        [(count, topic) for topic, count in Counter(sources).items()],
    )
    connection.executemany(
        f"UPDATE flow_minutes {added} 1 WHERE minute_ms = ? AND topic = ?",
        [
            (row.received_at_ms - row.received_at_ms % MINUTE_MS, topic)
            for row, topic in zip(rows, sources, strict=True)
        ],
    )


def _note_pruned_below(connection: sqlite3.Connection, ref: int, offset: int) -> None:
    connection.execute(
        "UPDATE partitions SET pruned_below = max(pruned_below, ?) WHERE partition_ref = ?", (offset, ref)
    )


def _note_pruned_source(connection: sqlite3.Connection, row: _OldDeadLetter) -> None:
    """Notes that the failed record has no trace any more. Its id shows which of the topic's generations it was of."""
    topic, partition, offset = row.source_topic, row.source_partition, row.source_offset
    if topic is None or partition is None or offset is None:
        return
    generations = connection.execute(
        f"SELECT partition_ref, {_IDENTITY.sql} FROM partitions JOIN topics USING (topic_ref) "
        "WHERE (role, topic, partition) = ('processor', ?, ?)",
        (topic, partition),
    ).fetchall()
    for ref, *identity in generations:
        if dead_letter_id_of(_IDENTITY.read(identity), partition, offset) in (row.dead_letter_id, row.failure_id):
            _note_pruned_below(connection, ref, offset + 1)


def _copies(connection: sqlite3.Connection, ids: str) -> list[int]:
    """Where copies of these dead letters stand in dead-letter topics."""
    found = connection.execute(
        "SELECT record_id FROM dead_letter_copies WHERE dead_letter_id IN (SELECT value FROM json_each(?))", (ids,)
    )
    return [record_id for (record_id,) in found]


def _prune_items(connection: sqlite3.Connection, ids: str) -> int:
    """Takes these dead letters' items out of the ledger, and the jobs that had no others; returns how many jobs."""
    items = "FROM job_items WHERE dead_letter_id IN (SELECT value FROM json_each(?))"
    rows = connection.execute(f"SELECT {_ITEM_COUNTS.sql} {items} GROUP BY job_id", (ids,))
    counts = _ITEM_COUNTS.read_all(rows)
    connection.executemany(
        "UPDATE jobs SET pruned_done = pruned_done + :done, pruned_failed = pruned_failed + :failed, "
        "pruned_total = pruned_total + :total WHERE id = :job_id",
        [each._asdict() for each in counts],
    )
    connection.execute(f"DELETE {items}", (ids,))
    return connection.executemany(
        "DELETE FROM jobs WHERE id = ? AND NOT EXISTS (SELECT 1 FROM job_items WHERE job_id = jobs.id)",
        [(each.job_id,) for each in counts],
    ).rowcount
