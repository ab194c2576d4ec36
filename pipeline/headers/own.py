"""The headers that we write: those of a dead letter, of a replay, and of orders made to fail."""

from __future__ import annotations

import hashlib
import json

from pipeline.headers.dialects import DIALECTS, kafka_connect, orderpulse
from pipeline.headers.values import as_text, last
from pipeline.records import Headers, Position, TopicIdentity

REPLAY_ID = "orderpulse.replay-id"
REPLAY_OF = "orderpulse.replay-of"

TRANSIENT_FAILURES = "orderpulse.fault.transient-failures"
"""How often the demo cluster's handler fails on this record before it takes it, as decimal text."""

FAULT_REASON = "orderpulse.fault.reason"
"""What the handler says when it fails so."""

# Dead letters must not outgrow what the broker takes because of a long error. In characters.
MESSAGE_LIMIT = 4_000
STACKTRACE_LIMIT = 8_000

_NOT_REPLAYED = frozenset(name for dialect in DIALECTS for name in dialect.not_replayed)


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
    record_time = () if timestamp_ms is None else ((orderpulse.TIMESTAMP_MS, _encoded(timestamp_ms)),)
    # The id comes last: a reader that begins at the end sees by it that the headers before it are ours.
    return (
        (kafka_connect.TOPIC, _encoded(position.topic)),
        (kafka_connect.PARTITION, _encoded(position.partition)),
        (kafka_connect.OFFSET, _encoded(position.offset)),
        (kafka_connect.STAGE, _encoded(stage)),
        (kafka_connect.CLASS_NAME, _encoded(class_name)),
        (kafka_connect.EXCEPTION_CLASS, _encoded(exception_class)),
        (kafka_connect.EXCEPTION_MESSAGE, _encoded(_cut(message, MESSAGE_LIMIT))),
        (kafka_connect.EXCEPTION_STACKTRACE, _encoded(stacktrace[-STACKTRACE_LIMIT:])),
        *record_time,
        (orderpulse.ATTEMPTS, _encoded(attempts)),
        (orderpulse.FIRST_FAILED_AT_MS, _encoded(first_failed_at_ms)),
        (orderpulse.FAILED_AT_MS, _encoded(failed_at_ms)),
        (orderpulse.RULE, _encoded(rule)),
        (orderpulse.DEAD_LETTER_ID, _encoded(dead_letter_id)),
    )


def _encoded(value: str | int) -> bytes:
    # Error texts may hold halves of surrogate pairs, which UTF-8 has no bytes for.
    return str(value).encode("utf-8", "backslashreplace")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def replay_headers(headers: Headers, replay_id: str, replay_of: str) -> Headers:
    """The headers a replay is sent with: those that came, in their order, and after them which replay this is.

    Left out is what a dialect names in `not_replayed`. `replay_of` is the id of the dead letter that is replayed. Of
    repeated replays the last counts.
    """
    kept = [header for header in headers if header[0] not in _NOT_REPLAYED]
    return (*kept, (REPLAY_ID, _encoded(replay_id)), (REPLAY_OF, _encoded(replay_of)))


def dead_letter_id_of(identity: TopicIdentity, partition: int, offset: int) -> str:
    """An id for the failure of one record, the same whoever computes it again: 32 hexadecimal digits."""
    # As JSON no two different positions read the same: a plain join would mix "a" + "b-1" with "a-b" + "1".
    position = json.dumps([identity.cluster_id, identity.topic, identity.topic_id, partition, offset])
    return hashlib.blake2b(position.encode(), digest_size=16).hexdigest()
