"""The headers that we write: those of a dead letter, and of orders made to fail. `replays` has those of a replay."""

from __future__ import annotations

import hashlib
import json

from pipeline.headers.dialects import kafka_connect, orderpulse
from pipeline.headers.values import as_text, last
from pipeline.records import Headers, Position, TopicIdentity

REPLAY_ID = "orderpulse.replay-id"
REPLAY_OF = "orderpulse.replay-of"

SOURCE_TOPIC = "orderpulse.source-topic"
"""Of a replay, with the three below: the first origin, where no header of another's that is sent along tells it."""
SOURCE_PARTITION = "orderpulse.source-partition"
SOURCE_OFFSET = "orderpulse.source-offset"
SOURCE_TIMESTAMP_MS = "orderpulse.source-timestamp-ms"

TRANSIENT_FAILURES = "orderpulse.fault.transient-failures"
"""How often the demo cluster's handler fails on this record before it takes it, as decimal text."""

FAULT_REASON = "orderpulse.fault.reason"
"""What the handler says when it fails so."""

# Dead letters must not outgrow what the broker takes because of a long error. In characters.
MESSAGE_LIMIT = 4_000
STACKTRACE_LIMIT = 8_000


def last_text(headers: Headers, name: str) -> str | None:
    """The last header of this name as text; None when there is none, or none that is text."""
    return as_text(last(headers, name))


def replay_id_of(headers: Headers) -> str | None:
    """Which replay sent this record last; None for one that was never replayed."""
    return last_text(headers, REPLAY_ID)


def failure_headers(
    position: Position,
    *,
    stage: str,
    class_name: str,
    exception_class: str,
    message: str,
    stacktrace: str,
    timestamp_ms: int | None = None,
    attempts: int,
    first_failed_at_ms: int,
    failed_at_ms: int,
    rule: str,
    dead_letter_id: str,
) -> Headers:
    """The headers that a dead letter of ours has after the ones its record came with.

    `timestamp_ms` is the record's own, None where it has none. A long message loses its end, a long stack trace its
    beginning: the innermost frames are the last.
    """
    record_time = () if timestamp_ms is None else ((orderpulse.TIMESTAMP_MS, encoded(timestamp_ms)),)
    # The id comes last: a reader that begins at the end sees by it that the headers before it are ours.
    return (
        (kafka_connect.TOPIC, encoded(position.topic)),
        (kafka_connect.PARTITION, encoded(position.partition)),
        (kafka_connect.OFFSET, encoded(position.offset)),
        (kafka_connect.STAGE, encoded(stage)),
        (kafka_connect.CLASS_NAME, encoded(class_name)),
        (kafka_connect.EXCEPTION_CLASS, encoded(exception_class)),
        (kafka_connect.EXCEPTION_MESSAGE, encoded(_cut(message, MESSAGE_LIMIT))),
        (kafka_connect.EXCEPTION_STACKTRACE, encoded(stacktrace[-STACKTRACE_LIMIT:])),
        *record_time,
        (orderpulse.ATTEMPTS, encoded(attempts)),
        (orderpulse.FIRST_FAILED_AT_MS, encoded(first_failed_at_ms)),
        (orderpulse.FAILED_AT_MS, encoded(failed_at_ms)),
        (orderpulse.RULE, encoded(rule)),
        (orderpulse.DEAD_LETTER_ID, encoded(dead_letter_id)),
    )


def encoded(value: str | int) -> bytes:
    """A header's value: text as it is, a number in decimal."""
    # Error texts may hold halves of surrogate pairs, which UTF-8 has no bytes for.
    return str(value).encode("utf-8", "backslashreplace")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def dead_letter_id_of(identity: TopicIdentity, partition: int, offset: int) -> str:
    """An id for the failure of one record, the same whoever computes it again: 32 hexadecimal digits."""
    # As JSON no two different positions read the same: a plain join would mix "a" + "b-1" with "a-b" + "1".
    parts: list[object] = [identity.cluster_id, identity.topic, identity.topic_id, partition, offset]
    if identity.reading:
        # Whoever fails when it is read again has failed a second time.
        parts.append(identity.reading)
    position = json.dumps(parts)
    return hashlib.blake2b(position.encode(), digest_size=16).hexdigest()
