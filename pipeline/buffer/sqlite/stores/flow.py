"""What processors and the collector know of partitions, and the one transaction in which a batch becomes true."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pipeline.buffer.contract import (
    Advance,
    Assignment,
    Attempted,
    Batch,
    DeadLetterRow,
    Generation,
    OutboxRow,
    Parked,
    ParkedEntry,
    ReadUpTo,
    Role,
    TopicGeneration,
)
from pipeline.buffer.sqlite.bulk_insert import BulkInsert
from pipeline.buffer.sqlite.connection import OFFSET_BITS, WriterConnection, atomic, reading
from pipeline.buffer.sqlite.rows import RowsOf
from pipeline.buffer.sqlite.stores.alerts import add_event
from pipeline.buffer.sqlite.stores.flow_figures import (
    FlowFigures,
    PartitionTopics,
    count_seconds_and_minutes,
    currency_of,
)
from pipeline.buffer.sqlite.stores.letters import add_dead_letters
from pipeline.buffer.sqlite.stores.order_table import NO_SALES, OrderTable, Sales, SalesDelta, sales_by_partition
from pipeline.buffer.sqlite.stores.outcomes import note_outcomes
from pipeline.buffer.sqlite.stores.passed_over import note_passed_over
from pipeline.crash_points import reached
from pipeline.errors import StaleWriterError
from pipeline.records import Currency, LastRead, TopicIdentity

OUTBOX_BYTES = 16_000_000
"""Of larger rows, fewer are read at once."""
_IDENTITY = RowsOf(TopicIdentity)
_PARKED = RowsOf(Parked)
_PARKED_ENTRY = RowsOf(ParkedEntry)
_OUTBOX_ROW = RowsOf(OutboxRow)
_CHANGED_BY_A_RETRY = ("attempts", "due_at_ms", "first_failed_at_ms", "error_class", "reason")
_RETRIES = BulkInsert(
    "retries",
    _PARKED.names,
    "ON CONFLICT (record_id) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in _CHANGED_BY_A_RETRY),
)
_OUTBOX = BulkInsert("outbox", (*_OUTBOX_ROW.names, "created_at_ms"))
_PRODUCT_TOTALS = BulkInsert(
    "product_totals",
    ("product_ref", "topic", "orders", "revenue_cents"),
    "ON CONFLICT (product_ref, topic) DO UPDATE SET "
    "orders = orders + excluded.orders, revenue_cents = revenue_cents + excluded.revenue_cents",
)


class SqliteFlowStore:
    """The contract's FlowStore on SQLite."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection
        self._orders = OrderTable(connection)
        self._topics = PartitionTopics(connection)

    def assign(
        self,
        role: Role,
        identity: TopicIdentity,
        partition: int,
        start_offset: int,
        now_ms: int,
        end_offset: int | None = None,
    ) -> Assignment:
        """See FlowStore."""
        with atomic(self._connection) as connection:
            topic_ref = topic_ref_of(connection, identity, now_ms)
            met = connection.execute(
                "INSERT INTO partitions (role, topic_ref, partition, next_offset) VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                (role, topic_ref, partition, start_offset),
            ).rowcount
            ref, next_offset = connection.execute(
                "SELECT partition_ref, next_offset FROM partitions WHERE (role, topic_ref, partition) = (?, ?, ?)",
                (role, topic_ref, partition),
            ).fetchone()
            if met and end_offset:
                connection.execute("INSERT INTO first_looks VALUES (?, ?)", (ref, end_offset))
        return Assignment(ref, identity.topic, partition, next_offset)

    def begin_topic(
        self, role: Role, identity: TopicIdentity, starts: Mapping[int, int], now_ms: int, message: str
    ) -> bool:
        """See FlowStore."""
        reached("start: before it is decided")
        with atomic(self._connection) as connection:
            known = connection.execute(
                "SELECT 1 FROM partitions JOIN topics USING (topic_ref) WHERE (role, cluster_id, topic) = (?, ?, ?)",
                (role, identity.cluster_id, identity.topic),
            ).fetchone()
            if known is None:
                topic_ref = topic_ref_of(connection, identity, now_ms)
                connection.executemany(
                    "INSERT INTO partitions (role, topic_ref, partition, next_offset, read_from) "
                    "VALUES (?, ?, ?, ?, ?)",
                    [(role, topic_ref, partition, start, start) for partition, start in starts.items()],
                )
                add_event(connection, role, "info", message, now_ms)
            reached("start: not committed")
        reached("start: decided")
        return known is None

    def generations(self, role: Role, topic: str, partition: int) -> list[Generation]:
        """See FlowStore."""
        with reading(self._connection):
            rows = self._connection.execute(
                f"SELECT partition_ref, partition, {_IDENTITY.sql} "
                "FROM partitions JOIN topics USING (topic_ref) WHERE (role, topic, partition) = (?, ?, ?) "
                "ORDER BY partition_ref",
                (role, topic, partition),
            ).fetchall()
        return [Generation(ref, _IDENTITY.read(identity), partition_id) for ref, partition_id, *identity in rows]

    def waiting(self) -> list[Generation]:
        """See FlowStore."""
        waits = " OR ".join(
            f"EXISTS (SELECT 1 FROM {table} WHERE record_id >= partition_ref << {OFFSET_BITS} "
            f"AND record_id < partition_ref + 1 << {OFFSET_BITS})"
            for table in ("retries", "outbox")
        )
        with reading(self._connection):
            rows = self._connection.execute(
                f"SELECT partition_ref, partition, {_IDENTITY.sql} FROM partitions JOIN topics USING (topic_ref) "
                f"WHERE role = 'processor' AND ({waits}) ORDER BY partition_ref"
            ).fetchall()
        return [Generation(ref, _IDENTITY.read(identity), partition_id) for ref, partition_id, *identity in rows]

    def topic_generations(self, role: Role, cluster_id: str, topic: str) -> list[TopicGeneration]:
        """See FlowStore."""
        with reading(self._connection):
            rows = self._connection.execute(
                f"SELECT topic_ref, {_IDENTITY.sql}, partition, next_offset, last_offset, last_digest, read_from "
                "FROM topics LEFT JOIN partitions USING (topic_ref) "
                "WHERE (cluster_id, topic) = (?, ?) AND (role = ? OR role IS NULL) ORDER BY topic_ref, partition",
                (cluster_id, topic, role),
            ).fetchall()
        found: dict[int, TopicGeneration] = {}
        for topic_ref, *identity, partition, next_offset, last_offset, last_digest, read_from in rows:
            generation = found.setdefault(topic_ref, TopicGeneration(topic_ref, _IDENTITY.read(identity), {}))
            if partition is not None:
                last = None if last_offset is None else LastRead(last_offset, last_digest)
                generation.read[partition] = ReadUpTo(next_offset, last, read_from)
        return list(found.values())

    def skip(self, ref: int, expected: int, next_offset: int, now_ms: int, message: str) -> None:
        """See FlowStore."""
        with atomic(self._connection) as connection:
            advance(connection, [Advance(ref, expected, next_offset)])
            (role,) = connection.execute("SELECT role FROM partitions WHERE partition_ref = ?", (ref,)).fetchone()
            add_event(connection, role, "error", message, now_ms)
            connection.execute(
                "INSERT INTO lost_offsets (partition_ref, first_offset, next_offset, at_ms) VALUES (?, ?, ?, ?)",
                (ref, expected, next_offset, now_ms),
            )

    def commit(self, batch: Batch) -> None:
        """See FlowStore."""
        reached("processor: before a batch")
        with atomic(self._connection) as connection:
            # 1. The guards: nobody else has moved these partitions or tried these retries since we read them.
            sales_of = sales_by_partition(batch)
            advance(connection, batch.advances, sales_of)
            if batch.taken:
                _check_attempts(connection, batch.taken)
            # 2. Orders, and the figures that count them.
            topic_of = self._topics.of([*sales_of, *batch.failed_attempts])
            sales = self._orders.insert(batch, topic_of)
            _count_flow(connection, batch, sales, topic_of)
            # 3. What waits, and what waits no more.
            _park(connection, batch.parked)
            _settle(connection, batch.settled)
            # 4. What failed for good, on its way to the dead-letter topic.
            _fill_outbox(connection, batch.outbox, batch.now_ms)
            # 5. What is no order and need not be one.
            if batch.passed_over:
                note_passed_over(connection, batch.passed_over)
            # 6. What became of replays.
            if batch.outcomes:
                note_outcomes(connection, batch.outcomes, batch.now_ms)
            reached("processor: batch not committed")
        reached("processor: batch committed")
        self._orders.committed()

    def agree_currency(self, currency: Currency) -> str:
        """See FlowStore."""
        with atomic(self._connection) as connection:
            (orders,) = connection.execute("SELECT orders FROM totals").fetchone()
            summed = currency_of(connection)
            agree = _agree(summed, currency)
            if orders and not agree:
                return (
                    f"the buffer holds {orders:,} orders in {summed}, the mapping says {currency}: one buffer sums one "
                    "currency, use another data folder"
                )
            if currency.code or not agree:
                connection.execute(
                    "UPDATE totals SET currency = ?, currency_digits = ?", (currency.code, currency.digits)
                )
        return ""

    def parked(self, refs: Sequence[int]) -> list[ParkedEntry]:
        """See FlowStore."""
        with reading(self._connection):
            rows = self._connection.execute(
                f"SELECT {_PARKED_ENTRY.sql} FROM retries WHERE record_id >> {OFFSET_BITS} IN "
                "(SELECT value FROM json_each(?)) ORDER BY record_id",
                (json.dumps(list(refs)),),
            ).fetchall()
        return _PARKED_ENTRY.read_all(rows)

    def load_parked(self, record_ids: Iterable[int]) -> list[Parked]:
        """See FlowStore."""
        with reading(self._connection):
            rows = self._connection.execute(
                f"SELECT {_PARKED.sql} FROM retries WHERE record_id IN (SELECT value FROM json_each(?)) "
                "ORDER BY record_id",
                (json.dumps(list(record_ids)),),
            ).fetchall()
        return _PARKED.read_all(rows)

    def outbox_size(self, refs: Sequence[int]) -> int:
        """See FlowStore."""
        with reading(self._connection):
            (count,) = self._connection.execute(
                f"SELECT count(*) FROM outbox WHERE record_id >> {OFFSET_BITS} IN (SELECT value FROM json_each(?))",
                (json.dumps(list(refs)),),
            ).fetchone()
        return int(count)

    def outbox(self, refs: Sequence[int], limit: int, without: Collection[str] = ()) -> list[OutboxRow]:
        """See FlowStore."""
        with reading(self._connection):
            rows = self._connection.execute(
                f"SELECT {_OUTBOX_ROW.sql} FROM outbox "
                f"WHERE record_id >> {OFFSET_BITS} IN (SELECT value FROM json_each(?)) "
                "AND dead_letter_id NOT IN (SELECT value FROM json_each(?)) ORDER BY record_id LIMIT ?",
                (json.dumps(list(refs)), json.dumps(list(without)), limit),
            )
            return _OUTBOX_ROW.read_all(_of_bytes(rows, OUTBOX_BYTES))

    def delivered(self, dead_letter_ids: Sequence[str]) -> None:
        """See FlowStore."""
        with atomic(self._connection) as connection:
            connection.execute(
                "DELETE FROM outbox WHERE dead_letter_id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(dead_letter_ids)),),
            )
            reached("processor: outbox not committed")

    def undeliverable(self, rows: Sequence[DeadLetterRow], now_ms: int) -> int:
        """See FlowStore."""
        currency = json.dumps([row.dead_letter_id for row in rows])
        with atomic(self._connection) as connection:
            # Only what is still in the outbox: somebody else may have been quicker.
            gone = connection.execute(
                "DELETE FROM outbox WHERE dead_letter_id IN (SELECT value FROM json_each(?)) RETURNING dead_letter_id",
                (currency,),
            ).fetchall()
            names = {name for (name,) in gone}
            kept = add_dead_letters(connection, [row for row in rows if row.dead_letter_id in names], now_ms)
            reached("processor: undeliverable dead letters not committed")
        return kept


def _of_bytes(rows: Iterable[Sequence[Any]], limit_bytes: int) -> Iterator[Sequence[Any]]:
    """The first rows, up to the one with which they have so many bytes in all."""
    size = 0
    for row in rows:
        yield row
        size += sum([len(cell) for cell in row if isinstance(cell, (str, bytes))])
        if size >= limit_bytes:
            return


def advance(
    connection: sqlite3.Connection, advances: Iterable[Advance], sales: Mapping[int, Sales] = MappingProxyType({})
) -> None:
    """Moves offsets, each only from where its reader believes it to be, and counts orders and revenue of partitions.

    Raises StaleWriterError.
    """
    uncounted = dict(sales)
    for each in advances:
        moved = connection.execute(
            "UPDATE partitions SET next_offset = ?, last_offset = coalesce(?, last_offset), "
            "last_digest = coalesce(?, last_digest), newest_ms = max(newest_ms, ?), "
            "orders = orders + ?, revenue_cents = revenue_cents + ? "
            "WHERE partition_ref = ? AND next_offset = ? AND NOT closed",
            (
                each.next_offset,
                *(each.last or (None, None)),
                each.newest_ms,
                *uncounted.pop(each.ref, NO_SALES),
                each.ref,
                each.expected,
            ),
        ).rowcount
        if moved != 1:
            raise StaleWriterError(
                f"partition {each.ref} is not at offset {each.expected} any more: another process reads it, or its "
                "topic is being read again"
            )
    # Orders that waited for a retry, of partitions of which nothing new was read.
    connection.executemany(
        "UPDATE partitions SET orders = orders + ?, revenue_cents = revenue_cents + ? WHERE partition_ref = ?",
        [(*made, ref) for ref, made in uncounted.items()],
    )


def topic_ref_of(connection: sqlite3.Connection, identity: TopicIdentity, now_ms: int) -> int:
    """The key of a topic generation, which is made where there is none, in the transaction that is open."""
    cells = (identity.cluster_id, identity.topic, identity.topic_id, identity.reading)
    connection.execute(
        f"INSERT INTO topics ({_IDENTITY.sql}, first_seen_ms) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (*cells, now_ms),
    )
    (topic_ref,) = connection.execute(
        f"SELECT topic_ref FROM topics WHERE ({_IDENTITY.sql}) = (?, ?, ?, ?)", cells
    ).fetchone()
    return int(topic_ref)


def _agree(one: Currency, other: Currency) -> bool:
    return one.digits == other.digits and ("" in (one.code, other.code) or one.code == other.code)


def _check_attempts(connection: sqlite3.Connection, taken: Sequence[Attempted]) -> None:
    found = dict(
        connection.execute(
            "SELECT record_id, attempts FROM retries WHERE record_id IN (SELECT value FROM json_each(?))",
            (json.dumps([each.record_id for each in taken]),),
        )
    )
    for each in taken:
        if found.get(each.record_id) != each.attempts:
            raise StaleWriterError(f"the parked record {each.record_id} was tried by another process")


def _count_flow(
    connection: sqlite3.Connection, batch: Batch, sales: Mapping[str, SalesDelta], topic_of: Mapping[int, str]
) -> None:
    made = {topic: (delta.orders, delta.revenue_cents) for topic, delta in sales.items()}
    if made:
        orders = sum([orders for orders, _ in made.values()])
        revenue_cents = sum([cents for _, cents in made.values()])
        # Another guard: the prices are in what is summed.
        code, digits, _ = batch.currency or (None, None, None)
        counted = connection.execute(
            "UPDATE totals SET orders = orders + ?1, revenue_cents = revenue_cents + ?2 "
            "WHERE ?4 IS NULL OR (?4 = currency_digits AND ?3 IN ('', currency))",
            (orders, revenue_cents, code, digits),
        ).rowcount
        if counted != 1:
            raise StaleWriterError(f"the buffer does not sum {batch.currency} any more: another currency was agreed on")
        _PRODUCT_TOTALS.insert(
            connection,
            [(ref, topic, *of_product) for topic, delta in sales.items() for ref, *of_product in delta],
        )
    retries: dict[str, int] = {}
    for ref, attempts in batch.failed_attempts.items():
        retries[topic_of[ref]] = retries.get(topic_of[ref], 0) + attempts
    count_seconds_and_minutes(
        connection,
        batch.now_ms,
        [FlowFigures(topic, *made.get(topic, NO_SALES), retries.get(topic, 0)) for topic in {*made, *retries}],
    )


def _park(connection: sqlite3.Connection, parked: Iterable[Parked]) -> None:
    _RETRIES.insert(connection, map(_PARKED.cells, parked))


def _settle(connection: sqlite3.Connection, settled: Sequence[int]) -> None:
    if settled:
        connection.execute(
            "DELETE FROM retries WHERE record_id IN (SELECT value FROM json_each(?))", (json.dumps(settled),)
        )


def _fill_outbox(connection: sqlite3.Connection, rows: Iterable[OutboxRow], now_ms: int) -> None:
    _OUTBOX.insert(connection, ((*_OUTBOX_ROW.cells(row), now_ms) for row in rows))
