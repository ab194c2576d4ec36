"""Fills a buffer as the pipeline would, the same every time: orders, retries, dead letters, jobs, alerts.

`python -m tests.support.sample_buffer FOLDER` makes one to look at.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pipeline.buffer import (
    Advance,
    Assignment,
    Batch,
    BrakeLimit,
    Buffer,
    DeadLetterFilter,
    DeadLetterRow,
    OrderRow,
    Parked,
    open_buffer,
    record_id,
)
from pipeline.clock import wall_clock_ms
from pipeline.dead_letters.fingerprints import fingerprint
from pipeline.records import Order, TopicIdentity

NOW_MS = 1_767_268_800_000  # 2026-01-01 12:00:00 UTC
ORDERS = 600
DEAD_LETTERS = 24
PARKED = 5
SPAN_MS = 280_000
CLUSTER = "sample-cluster"
PRODUCTS = ("Espresso machine", "Coffee grinder", "Coffee beans 1 kg", "Filter papers", "Travel mug", "Gift card")
REGIONS = ("north", "south", "east", "west")

# Error class, reason, rule, dialect, source topic; each makes one group.
FAULTS = (
    ("RuleBrokenError", "price is -{n} cents, must be positive", "price", "orderpulse", "orders"),
    ("UndecodableError", "record {n} is no order: unknown schema id", "avro", "orderpulse", "orders"),
    (
        "org.apache.kafka.connect.errors.DataException",
        "Failed to deserialize data for topic payments at offset {n}",
        None,
        "kafka_connect",
        "payments",
    ),
    (
        "org.springframework.kafka.listener.ListenerExecutionFailedException",
        "Listener failed for invoice {n}",
        None,
        "spring_kafka",
        "invoices",
    ),
    (None, "=1+{n} looks like a formula", None, "plain", None),
)


def fill(
    database_file: Path,
    orders: int = ORDERS,
    dead_letters: int = DEAD_LETTERS,
    parked: int = PARKED,
    now_ms: int = NOW_MS,
) -> None:
    """Writes so much into the buffer; the newest figures are those of `now_ms`."""
    with open_buffer(database_file) as buffer:
        _fill_orders(buffer, orders, parked, now_ms)
        _fill_dead_letters(buffer, dead_letters, now_ms)
        if dead_letters:
            _fill_jobs(buffer, now_ms)
        _fill_watch(buffer, now_ms)


def add_orders(database_file: Path, count: int, now_ms: int = NOW_MS) -> None:
    """So many orders more."""
    with open_buffer(database_file) as buffer:
        _fill_orders(buffer, count, 0, now_ms)


def make_order(number: int, created_at_ms: int) -> Order:
    """The order of that number."""
    draw = random.Random(number)
    return Order(
        order_id=f"ORD-1-{number:06d}",
        customer_id=f"C{draw.randrange(50):04d}",
        product=PRODUCTS[min(draw.randrange(len(PRODUCTS)), draw.randrange(len(PRODUCTS)))],
        price_cents=draw.randrange(299, 24_999),
        created_at_ms=created_at_ms,
        region=draw.choice(REGIONS),
    )


def _fill_orders(buffer: Buffer, count: int, parked: int, now_ms: int) -> None:
    assignment = buffer.flow.assign("processor", TopicIdentity(CLUSTER, "orders", "orders-id"), 0, 0, now_ms)
    offset = assignment.next_offset
    for at_ms, size in _batches(count, now_ms):
        rows = [
            OrderRow(record_id(assignment.ref, number), make_order(number, at_ms - 40), attempts=1 + (number % 17 == 0))
            for number in range(offset, offset + size)
        ]
        retried = sum(row.attempts > 1 for row in rows)
        buffer.flow.commit(
            Batch(
                at_ms,
                [Advance(assignment.ref, offset, offset + size)],
                rows,
                failed_attempts=Counter({assignment.ref: retried}),
            )
        )
        offset += size
    if parked:
        _park(buffer, assignment, offset, parked, now_ms)


def _batches(count: int, now_ms: int) -> Iterator[tuple[int, int]]:
    """(time, orders) of each batch, oldest first, one every few seconds and the last one at `now_ms`."""
    if not count:
        return
    draw = random.Random(count)
    seconds = {draw.randrange(SPAN_MS) // 1000 for _ in range(min(count, 200))} | {0}
    times = sorted(now_ms - second * 1000 for second in seconds)[-count:]
    share, rest = divmod(count, len(times))
    for index, at_ms in enumerate(times):
        yield at_ms, share + (index < rest)


def _park(buffer: Buffer, assignment: Assignment, offset: int, count: int, now_ms: int) -> None:
    parked = [
        Parked(
            record_id(assignment.ref, number),
            now_ms - 1000,
            b"C0007" if number % 2 else f"C{number:04d}".encode(),
            b"\x00" * 12,
            (),
            attempts=1 + number % 3,
            due_at_ms=now_ms + 1000 * number if number % 2 == 0 else None,
            first_failed_at_ms=now_ms - 2000,
            error_class="TransientError",
            reason="the payment service does not answer",
        )
        for number in range(offset, offset + count)
    ]
    advance = Advance(assignment.ref, offset, offset + count)
    buffer.flow.commit(Batch(now_ms, [advance], parked=parked, failed_attempts=Counter({assignment.ref: count})))


def _fill_dead_letters(buffer: Buffer, count: int, now_ms: int) -> None:
    assignment = buffer.flow.assign("collector", TopicIdentity(CLUSTER, "orders-dlq", "dlq-id"), 0, 0, now_ms)
    for number in range(count):
        at_ms = now_ms - (count - 1 - number) * (SPAN_MS // max(1, count)) // 1000 * 1000
        row = _dead_letter(assignment, number, at_ms)
        buffer.dead_letters.collect([Advance(assignment.ref, number, number + 1)], [row], at_ms)


def _dead_letter(assignment: Assignment, number: int, at_ms: int) -> DeadLetterRow:
    error_class, pattern, rule, dialect, source_topic = FAULTS[number % len(FAULTS)]
    reason = pattern.format(n=100 + number)
    digest, title = fingerprint(error_class, reason, rule, source_topic)
    ours = dialect == "orderpulse"
    return DeadLetterRow(
        record_id=record_id(assignment.ref, number),
        topic=assignment.topic,
        partition=assignment.partition,
        offset=number,
        timestamp_ms=at_ms,
        key=f"C{number:04d}".encode(),
        value=b'{"order": %d}' % number if number % 3 else b"\xff\x00\xfe",
        headers=(("orderpulse.reason", reason.encode()), ("trace", b"\xff"), ("empty", None)),
        dialect=dialect,
        reason=reason,
        fingerprint=digest,
        title=title,
        failed_at_ms=at_ms - 5,
        dead_letter_id=f"dead-letter-{number}",
        source_topic=source_topic,
        source_partition=None if source_topic is None else 0,
        source_offset=None if source_topic is None else 1000 + number,
        order=make_order(10_000 + number, at_ms - 60) if ours and number % 5 == 0 else None,
        error_class=error_class,
        stacktrace=None if ours else f"{error_class}: {reason}\n\tat com.example.Consumer.run(Consumer.java:42)",
        rule=rule,
        stage="VALUE_CONVERTER" if dialect == "kafka_connect" else None,
        consumer_group="orderpulse" if ours else "example-group",
        attempts=1 + number % 4,
        first_failed_at_ms=at_ms - 900,
    )


def _fill_jobs(buffer: Buffer, now_ms: int) -> None:
    """A produce job that is done, a replay job whose two records were sent, and one that failed."""
    produced = buffer.jobs.queue_produce('{"count": 600}', 600, "app", "sample-produce", now_ms - 290_000)
    buffer.jobs.next_job(now_ms - 290_000)
    buffer.jobs.close_send_window(produced, 600, 0, [], {}, now_ms - 280_000)
    buffer.jobs.finish(produced, "done", now_ms - 280_000)
    replayed = buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(1, 2)), 3, "app", "sample-replay", now_ms - 200_000)
    if replayed is not None:
        buffer.jobs.next_job(now_ms - 200_000)
        buffer.jobs.finish(replayed, "failed", now_ms - 190_000, "Kafka does not answer")


def _fill_watch(buffer: Buffer, now_ms: int) -> None:
    buffer.watch.fire("dead_letter_rate", 0.12, 0.05, "12% of the last 50 records failed", now_ms - 250_000)
    buffer.watch.resolve("dead_letter_rate", now_ms - 200_000)
    firing = buffer.watch.fire("dead_letter_rate", 0.09, 0.05, "9% of the last 120 records failed", now_ms - 60_000)
    if firing is not None:
        buffer.watch.noticed(firing, "told 1 of 1")
    buffer.watch.event("worker", "info", "the worker has started", now_ms - 300_000)
    buffer.watch.event("processor", "error", "offsets 10 to 20 of orders[0] are gone from Kafka", now_ms - 100_000)
    buffer.watch.count_judged("orders", 1, 99, BrakeLimit(0.5, 100, 60_000), now_ms - 90_000)
    buffer.watch.resume("app", now_ms - 80_000)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    fill(folder / "orderpulse.db", now_ms=wall_clock_ms() // 1000 * 1000)
