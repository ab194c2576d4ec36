"""Our own headers: Kafka Connect's names, which many tools know, and a few of ours; all text.

Also what our producer and replays add to a record.
"""

from __future__ import annotations

import hashlib
import json

from pipeline.headers.dialect import Dialect
from pipeline.headers.dialects import kafka_connect
from pipeline.headers.values import ByName, as_number, as_text, as_timestamp_ms, last
from pipeline.records import Failure, Headers, Position, TopicIdentity

ATTEMPTS = "orderpulse.attempts"
FIRST_FAILED_AT_MS = "orderpulse.first-failed-at-ms"
FAILED_AT_MS = "orderpulse.failed-at-ms"
RULE = "orderpulse.rule"
DEAD_LETTER_ID = "orderpulse.dead-letter-id"
REPLAY_ID = "orderpulse.replay-id"
REPLAY_OF = "orderpulse.replay-of"

TRANSIENT_FAILURES = "orderpulse.fault.transient-failures"
"""How often the demo cluster's handler fails on this record before it takes it, as decimal text."""

FAULT_REASON = "orderpulse.fault.reason"
"""What the handler says when it fails so."""

# Dead letters must not outgrow what the broker takes because of a long error.
MESSAGE_LIMIT = 4_000
STACKTRACE_LIMIT = 16_000

# Spring's exception of the failure before, which a replay is to undo.
STRIPPED_ON_REPLAY = frozenset({"springDeserializerExceptionKey", "springDeserializerExceptionValue"})


def read(headers: ByName) -> Failure:
    """A record that failed again carries our headers twice: the first place is the origin, the last the newest."""
    return kafka_connect.read(
        headers,
        dialect="orderpulse",
        attempts=as_number(headers.last(ATTEMPTS)),
        rule=as_text(headers.last(RULE)),
        first_failed_at_ms=as_timestamp_ms(headers.first(FIRST_FAILED_AT_MS)),
        failed_at_ms=as_timestamp_ms(headers.last(FAILED_AT_MS)),
        dead_letter_id=as_text(headers.last(DEAD_LETTER_ID)),
    )


DIALECT = Dialect(
    "orderpulse", frozenset({DEAD_LETTER_ID}), read, keeps_timestamp=True, same_places_as=kafka_connect.DIALECT.name
)


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
    attempts: int,
    first_failed_at_ms: int,
    failed_at_ms: int,
    rule: str,
    dead_letter_id: str,
) -> Headers:
    """The headers that a dead letter of ours has after the ones its record came with."""
    # The id comes last: whoever reads headers from behind sees by it that those before it are ours.
    return (
        (kafka_connect.TOPIC, _encoded(position.topic)),
        (kafka_connect.PARTITION, _encoded(position.partition)),
        (kafka_connect.OFFSET, _encoded(position.offset)),
        (kafka_connect.STAGE, _encoded(stage)),
        (kafka_connect.CLASS_NAME, _encoded(class_name)),
        (kafka_connect.EXCEPTION_CLASS, _encoded(exception_class)),
        (kafka_connect.EXCEPTION_MESSAGE, _encoded(_cut(message, MESSAGE_LIMIT))),
        (kafka_connect.EXCEPTION_STACKTRACE, _encoded(_cut(stacktrace, STACKTRACE_LIMIT))),
        (ATTEMPTS, _encoded(attempts)),
        (FIRST_FAILED_AT_MS, _encoded(first_failed_at_ms)),
        (FAILED_AT_MS, _encoded(failed_at_ms)),
        (RULE, _encoded(rule)),
        (DEAD_LETTER_ID, _encoded(dead_letter_id)),
    )


def _encoded(value: str | int) -> bytes:
    # Error texts may hold halves of surrogate pairs, which UTF-8 has no bytes for.
    return str(value).encode("utf-8", "backslashreplace")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def replay_headers(headers: Headers, replay_id: str, replay_of: str) -> Headers:
    """The headers a replay is sent with: all that came, in their order, and after them which replay this is.

    `replay_of` is the id of the dead letter that is replayed. Of repeated replays the last counts.
    """
    kept = [header for header in headers if header[0] not in STRIPPED_ON_REPLAY]
    return (*kept, (REPLAY_ID, _encoded(replay_id)), (REPLAY_OF, _encoded(replay_of)))


def dead_letter_id_of(identity: TopicIdentity, partition: int, offset: int) -> str:
    """An id for the failure of one record, the same whoever computes it again: 32 hexadecimal digits."""
    # As JSON no two different places read the same: a plain join would mix "a" + "b-1" with "a-b" + "1".
    place = json.dumps([identity.cluster_id, identity.topic, identity.topic_id, partition, offset])
    return hashlib.blake2b(place.encode(), digest_size=16).hexdigest()
