"""SmallRye Reactive Messaging, as in Quarkus: dead letters, delayed retries and deserialization failures; all text.

SmallRye puts its headers before those that the record came with, so the newest failure stands first.
"""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_number, as_text, as_timestamp_ms, last, text_positions_by_any_of
from pipeline.records import Failure, Headers

RETRY_COUNT = "delayed-retry-count"
RETRY_ORIGINAL_TIMESTAMP = "delayed-retry-original-timestamp"
RETRY_FIRST_PROCESSING_TIMESTAMP = "delayed-retry-first-processing-timestamp"
DESERIALIZATION_REASON = "deserialization-failure-reason"
DESERIALIZATION_CAUSE = "deserialization-failure-cause"
DESERIALIZATION_TOPIC = "deserialization-failure-topic"
DESERIALIZATION_KEY = "deserialization-failure-key"
DESERIALIZER = "deserialization-failure-deserializer"
DESERIALIZATION_DATA = "deserialization-failure-data"
KEY_DATA = "deserialization-failure-key-data"
VALUE_DATA = "deserialization-failure-value-data"


def _both(name: str) -> tuple[str, str]:
    return f"dead-letter-{name}", f"delayed-retry-{name}"


TOPIC = _both("topic")
PARTITION = _both("partition")
OFFSET = _both("offset")
EXCEPTION = _both("exception-class-name")
CAUSE_CLASS = _both("cause-class-name")
REASON = _both("reason")
CAUSE = _both("cause")


def read(headers: HeadersByName) -> Failure:
    """A record that fails again has the headers of all its failures."""
    headers = _oldest_first(headers)
    # A record that failed to deserialize may have no other name for its topic.
    topic = TOPIC if not headers.names.isdisjoint(TOPIC) else (DESERIALIZATION_TOPIC,)
    return Failure(
        dialect="smallrye",
        **text_positions_by_any_of(headers, topic, PARTITION, OFFSET),
        source_timestamp_ms=as_timestamp_ms(headers.first(RETRY_ORIGINAL_TIMESTAMP)),
        error_class=as_text(headers.last(*EXCEPTION)) or as_text(headers.last(*CAUSE_CLASS)),
        message=_message(headers),
        attempts=as_number(headers.last(RETRY_COUNT)),
    )


def original_key_and_value(
    headers: Headers, key: bytes | None, value: bytes | None
) -> tuple[bytes | None, bytes | None]:
    """Key and value as the record had them: what could not be deserialized is null, and its bytes are in a header."""
    return (
        last(headers, KEY_DATA) if key is None else key,
        last(headers, VALUE_DATA) if value is None else value,
    )


def _oldest_first(headers: HeadersByName) -> HeadersByName:
    return headers if _is_oldest_first(headers) else headers.backwards()


def _is_oldest_first(headers: HeadersByName) -> bool:
    """Whether somebody has put the headers of several failures the other way round, as far as their positions tell."""
    positions = text_positions_by_any_of(headers, TOPIC, PARTITION, OFFSET)
    above, below = as_text(headers.first(*TOPIC)) or "", as_text(headers.last(*TOPIC)) or ""
    if (above, positions["source_partition"]) == (below, positions["newest_partition"]):
        return (positions["source_offset"] or 0) < (positions["newest_offset"] or 0)
    return below.startswith(f"{above}_retry_")


def _message(headers: HeadersByName) -> str | None:
    """The reason; where there is none, what the exception before it or the deserializer said."""
    sources = (REASON, CAUSE, (DESERIALIZATION_REASON,), (DESERIALIZATION_CAUSE,))
    return next((text for names in sources if (text := as_text(headers.last(*names)))), None)


DIALECT = Dialect(
    name="smallrye",
    header_names=frozenset(
        {*TOPIC, *PARTITION, *OFFSET, *EXCEPTION, *CAUSE_CLASS, *REASON, *CAUSE}
        | {RETRY_COUNT, RETRY_ORIGINAL_TIMESTAMP, RETRY_FIRST_PROCESSING_TIMESTAMP}
        | {DESERIALIZATION_REASON, DESERIALIZATION_CAUSE, DESERIALIZATION_TOPIC, DESERIALIZATION_KEY}
        | {DESERIALIZER, DESERIALIZATION_DATA, KEY_DATA, VALUE_DATA}
    ),
    read=read,
    header_order="prepended",
    # It counts retries, and the time since the first, in those of its retry topics.
    not_replayed=frozenset(
        {RETRY_COUNT, RETRY_ORIGINAL_TIMESTAMP, RETRY_FIRST_PROCESSING_TIMESTAMP, TOPIC[1], PARTITION[1], OFFSET[1]}
        | {*EXCEPTION, *CAUSE_CLASS, *REASON, *CAUSE}
        | {DESERIALIZATION_REASON, DESERIALIZATION_CAUSE, DESERIALIZATION_TOPIC, DESERIALIZATION_KEY}
        | {DESERIALIZER, DESERIALIZATION_DATA, KEY_DATA, VALUE_DATA}
    ),
    # `KafkaDeadLetterQueue`: `dead-letter-topic-` and the channel. `delayed-retry-topic.topics`: the channel, `_retry_`
    # and the delay in ms.
    topics=r"^dead-letter-topic-|_retry_\d+$",
)
