"""MassTransit (.NET): the exception, its time and the address of the endpoint, all text. No partition, no offset."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_iso_timestamp_ms, as_number, as_text
from pipeline.records import Failure

EXCEPTION = "MT-Fault-ExceptionType"
MESSAGE = "MT-Fault-Message"
STACKTRACE = "MT-Fault-StackTrace"
TIMESTAMP = "MT-Fault-Timestamp"
ADDRESS = "MT-Fault-InputAddress"
CONSUMER = "MT-Fault-ConsumerType"
RETRIES = "MT-Fault-RetryCount"
REASON = "MT-Reason"


def read(headers: HeadersByName) -> Failure:
    """The address of an endpoint on Kafka ends in `/kafka/TOPIC/GROUP`; that of another transport names no topic."""
    topic, group = _topic_and_group(as_text(headers.last(ADDRESS)))
    return Failure(
        dialect="masstransit",
        source_topic=_topic_and_group(as_text(headers.first(ADDRESS)))[0],
        newest_topic=topic,
        error_class=as_text(headers.last(EXCEPTION)),
        message=as_text(headers.last(MESSAGE)),
        stacktrace=as_text(headers.last(STACKTRACE)),
        attempts=as_number(headers.last(RETRIES)),
        consumer_group=group,
        stage=as_text(headers.last(CONSUMER)),
        failed_at_ms=as_iso_timestamp_ms(headers.last(TIMESTAMP)),
    )


def _topic_and_group(address: str | None) -> tuple[str | None, str | None]:
    path = (address or "").partition("?")[0].partition("/kafka/")[2]
    topic, _, group = path.partition("/")
    return topic or None, group or None


_FAULT = frozenset({EXCEPTION, MESSAGE, STACKTRACE, TIMESTAMP, ADDRESS, CONSUMER, RETRIES, REASON})
DIALECT = Dialect(
    name="masstransit",
    header_names=_FAULT,
    read=read,
    header_order="appended",
    not_replayed=_FAULT | {"MT-Redelivery-Count"},
    # Its queues' names, which a bridge to Kafka may keep: `<queue>_error` and `<queue>_skipped`.
    topics=r"_(error|skipped)$",
)
