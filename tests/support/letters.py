"""Dead letters for tests, written through the buffer as the collector writes them."""

from __future__ import annotations

from pathlib import Path

from pipeline.buffer import Advance, DeadLetterFilter, DeadLetterRow, open_buffer, record_id
from pipeline.dead_letters.causes import fingerprint
from pipeline.records import Headers, Order, TopicIdentity

NOW_MS = 1_767_268_800_000  # 2026-01-01 12:00:00 UTC
DLQ = TopicIdentity("letters-cluster", "orders-dlq", "dlq-id")
HEADERS: Headers = (("orderpulse.rule", b"price"), ("kafka_dlt-original-offset", bytes(7) + b"\xff"), ("trace", None))


def add_letters(
    database_file: Path,
    count: int,
    reason: str = "price must be positive",
    source_topic: str | None = "orders",
    value: bytes | None = b"\x00\x00\x00\x00\x01\xff",
    key: bytes | None = b"",
    replay_of: str | None = None,
    headers: Headers = HEADERS,
    stacktrace: str | None = "RuleBrokenError: price\n  at check",
) -> None:
    """So many dead letters more; their order ids go on counting."""
    with open_buffer(database_file) as buffer:
        assignment = buffer.flow.assign("collector", DLQ, 0, 0, NOW_MS)
        for offset in range(assignment.next_offset, assignment.next_offset + count):
            digest, title = fingerprint("RuleBrokenError", reason, "price", source_topic)
            row = DeadLetterRow(
                record_id=record_id(assignment.ref, offset),
                topic=DLQ.topic,
                partition=0,
                offset=offset,
                timestamp_ms=NOW_MS + offset,
                key=key,
                value=value,
                headers=headers,
                dialect="orderpulse",
                reason=reason,
                fingerprint=digest,
                title=title,
                failed_at_ms=NOW_MS + offset * 1000,
                dead_letter_id=f"letter-{offset}",
                source_topic=source_topic,
                source_partition=0,
                source_offset=100 + offset,
                source_timestamp_ms=NOW_MS - 90_000,
                order=Order(f"ORD-{offset + 1:06d}", "C0001", "Travel mug", -100, NOW_MS - 60_000),
                error_class="RuleBrokenError",
                rule="price",
                stacktrace=stacktrace,
                attempts=1,
                replay_of=replay_of,
            )
            buffer.dead_letters.collect([Advance(assignment.ref, offset, offset + 1)], [row], NOW_MS)


def replay(database_file: Path, ids: tuple[int, ...], request_id: str) -> int:
    """Queues a replay job of these and starts it."""
    with open_buffer(database_file) as buffer:
        params = '{"rate": 0, "force": true}'
        job_id = buffer.jobs.queue_replay(params, DeadLetterFilter(ids=ids), None, "test", request_id, NOW_MS)
        assert job_id is not None
        buffer.jobs.next_job(NOW_MS)
    return job_id
