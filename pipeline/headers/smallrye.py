"""SmallRye Reactive Messaging, as in Quarkus: dead letters, delayed retries and deserialization failures; all text."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import as_number, as_partition, as_text, first, last
from pipeline.records import Failure, Headers

RETRY_COUNT = "delayed-retry-count"
DESERIALIZATION_REASON = "deserialization-failure-reason"
DESERIALIZATION_CAUSE = "deserialization-failure-cause"
DESERIALIZATION_TOPIC = "deserialization-failure-topic"


def _both(name: str) -> tuple[str, str]:
    return f"dead-letter-{name}", f"delayed-retry-{name}"


# A record that failed to deserialize may have no other name for its topic.
TOPIC = (*_both("topic"), DESERIALIZATION_TOPIC)
PARTITION = _both("partition")
OFFSET = _both("offset")
EXCEPTION = _both("exception-class-name")
CAUSE_CLASS = _both("cause-class-name")
REASON = _both("reason")
CAUSE = _both("cause")


def read(headers: Headers) -> Failure:
    """A record that went through retry topics has their headers before those of the dead letter."""
    return Failure(
        dialect="smallrye",
        source_topic=as_text(first(headers, *TOPIC)),
        source_partition=as_partition(first(headers, *PARTITION)),
        source_offset=as_number(first(headers, *OFFSET)),
        newest_topic=as_text(last(headers, *TOPIC)),
        newest_partition=as_partition(last(headers, *PARTITION)),
        newest_offset=as_number(last(headers, *OFFSET)),
        error_class=as_text(last(headers, *EXCEPTION)) or as_text(last(headers, *CAUSE_CLASS)),
        message=_message(headers),
        attempts=as_number(last(headers, RETRY_COUNT)),
    )


def _message(headers: Headers) -> str | None:
    """The reason; where there is none, what the exception before it or the deserializer said."""
    sources = (REASON, CAUSE, (DESERIALIZATION_REASON,), (DESERIALIZATION_CAUSE,))
    return next((text for names in sources if (text := as_text(last(headers, *names)))), None)


DIALECT = Dialect(
    "smallrye",
    frozenset(
        {*TOPIC, *PARTITION, *OFFSET, *EXCEPTION, *CAUSE_CLASS, *REASON, *CAUSE}
        | {RETRY_COUNT, DESERIALIZATION_REASON, DESERIALIZATION_CAUSE}
    ),
    read,
)
