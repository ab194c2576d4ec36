"""What tests put into a buffer: rows with the fields that a test does not care for filled in."""

from __future__ import annotations

from typing import Any

from pipeline.buffer import (
    Advance,
    Assignment,
    Batch,
    Buffer,
    DeadLetterRow,
    OrderRow,
    OutboxRow,
    Parked,
    record_id,
)
from pipeline.records import Order, TopicIdentity

NOW_MS = 1_700_000_000_500
ORDERS = TopicIdentity("cluster-1", "orders", "orders-id")
DEAD = TopicIdentity("cluster-1", "orders-dlq", "dlq-id")


def processor(buffer: Buffer, partition: int = 0, identity: TopicIdentity = ORDERS) -> Assignment:
    """A partition of the orders topic, read from its beginning."""
    return buffer.flow.assign("processor", identity, partition, 0, NOW_MS)


def collector(buffer: Buffer, partition: int = 0, identity: TopicIdentity = DEAD) -> Assignment:
    """A partition of the dead-letter topic, read from its beginning."""
    return buffer.flow.assign("collector", identity, partition, 0, NOW_MS)


def order(name: str = "A-1", product: str = "tea", price_cents: int = 250, region: str = "north") -> Order:
    """An order."""
    return Order(name, "C-1", product, price_cents, NOW_MS - 10_000, region)


def order_row(ref: int, offset: int, attempts: int = 1, **fields: Any) -> OrderRow:
    """An accepted order at this offset; `fields` are those of `order`."""
    return OrderRow(record_id(ref, offset), order(f"A-{offset}", **fields), attempts)


def parked(ref: int, offset: int, attempts: int = 1, due_at_ms: int | None = NOW_MS + 1000) -> Parked:
    """A record that waits for its next attempt."""
    return Parked(
        record_id(ref, offset),
        NOW_MS,
        b"key",
        b"value",
        (("trace", b"1"),),
        attempts,
        due_at_ms,
        NOW_MS,
        "handler",
        "not yet",
    )


def outbox_row(ref: int, offset: int, name: str | None = None) -> OutboxRow:
    """A failed record on its way to the dead-letter topic."""
    return OutboxRow(name or f"dl-{ref}-{offset}", record_id(ref, offset), NOW_MS, b"key", b"value", ())


def batch(ref: int, expected: int, next_offset: int, now_ms: int = NOW_MS) -> Batch:
    """A batch that moves one partition on and has no effect yet."""
    return Batch(now_ms, [Advance(ref, expected, next_offset)])


def accept(buffer: Buffer, assignment: Assignment, first: int, count: int, now_ms: int = NOW_MS, **fields: Any) -> None:
    """Commits orders at these offsets."""
    step = batch(assignment.ref, first, first + count, now_ms)
    step.orders = [order_row(assignment.ref, offset, **fields) for offset in range(first, first + count)]
    buffer.flow.commit(step)


def dead_letter(ref: int, offset: int, name: str | None = None, **fields: Any) -> DeadLetterRow:
    """A dead letter at this offset of the dead-letter topic; `fields` are those of its row."""
    row = DeadLetterRow(
        record_id=record_id(ref, offset),
        topic=DEAD.topic,
        partition=0,
        offset=offset,
        timestamp_ms=NOW_MS,
        key=b"key",
        value=b"value",
        headers=(("trace", b"1"),),
        dialect="orderpulse",
        reason="the price is negative",
        fingerprint="price",
        title="the price is negative",
        failed_at_ms=NOW_MS,
        dead_letter_id=name or f"dl-{offset}",
        source_topic=ORDERS.topic,
        source_partition=0,
        source_offset=offset,
    )
    return row._replace(**fields)


def collect(
    buffer: Buffer, assignment: Assignment, first: int, *rows: DeadLetterRow, now_ms: int = NOW_MS, beyond: int = 0
) -> int:
    """Collects rows that stand at `first` and after it; `beyond`: offsets after them that hold no dead letter."""
    advance = Advance(assignment.ref, first, first + len(rows) + beyond)
    return buffer.dead_letters.collect([advance], rows, now_ms)


def collect_many(buffer: Buffer, count: int, **fields: Any) -> list[int]:
    """Collects dead letters `dl-0`, `dl-1`, … into a fresh buffer and returns their ids."""
    assignment = collector(buffer)
    collect(buffer, assignment, 0, *(dead_letter(assignment.ref, offset, **fields) for offset in range(count)))
    return list(range(1, count + 1))
