"""Wolverine (.NET): the exception, the time and where the record was, all text. Its retry topics count, too."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_number, as_partition, as_text, as_timestamp_ms
from pipeline.records import Failure

EXCEPTION = "exception-type"
MESSAGE = "exception-message"
STACKTRACE = "exception-stack"
FAILED_AT = "failed-at"
DESTINATION = "original-destination"
PARTITION = "original-partition"
OFFSET = "original-offset"
RETRY_SOURCE = "wolverine-kafka-retry-source"
RETRY_ATTEMPT = "wolverine-kafka-retry-attempt"
_RETRIES = frozenset(
    {RETRY_SOURCE, RETRY_ATTEMPT, "wolverine-kafka-retry-tier", "wolverine-kafka-retry-first-failed"}
    | {"wolverine-kafka-retry-exception-type", "wolverine-kafka-retry-exception-message"}
)


def read(headers: HeadersByName) -> Failure:
    """The position is where it failed, which may be a retry topic: then the origin is known by its topic only."""
    first_topic = _topic(as_text(headers.first(DESTINATION)))
    origin = as_text(headers.first(RETRY_SOURCE)) or first_topic
    was_at_origin = origin == first_topic
    return Failure(
        dialect="wolverine",
        source_topic=origin,
        source_partition=as_partition(headers.first(PARTITION)) if was_at_origin else None,
        source_offset=as_number(headers.first(OFFSET)) if was_at_origin else None,
        newest_topic=_topic(as_text(headers.last(DESTINATION))),
        newest_partition=as_partition(headers.last(PARTITION)),
        newest_offset=as_number(headers.last(OFFSET)),
        error_class=as_text(headers.last(EXCEPTION)),
        message=as_text(headers.last(MESSAGE)),
        stacktrace=as_text(headers.last(STACKTRACE)),
        attempts=as_number(headers.last(RETRY_ATTEMPT)),
        failed_at_ms=as_timestamp_ms(headers.last(FAILED_AT)),
    )


def _topic(destination: str | None) -> str | None:
    """The topic of an address as kafka://topic/orders; None of another transport."""
    scheme, _, topic = (destination or "").partition("://topic/")
    return (topic.rstrip("/") or None) if scheme == "kafka" else None


# Others use these names too, but hardly all three.
_FAILURE = frozenset({EXCEPTION, MESSAGE, FAILED_AT})
DIALECT = Dialect(
    name="wolverine",
    header_names=_FAILURE | {STACKTRACE, DESTINATION, PARTITION, OFFSET} | _RETRIES,
    read=read,
    header_order="appended",
    required=_FAILURE,
    not_replayed=_FAILURE | {STACKTRACE} | _RETRIES | {"attempts"},
    # `KafkaTransport.DeadLetterQueueTopicName`; `MoveToKafkaRetryTopic` sends to `<topic>.retry.<delay>`.
    topics=r"^wolverine-dead-letter-queue$|\.retry\.\w+$",
)
