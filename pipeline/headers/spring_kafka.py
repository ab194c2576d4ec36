"""Spring Kafka's DeadLetterPublishingRecoverer, and @RetryableTopic, which leaves `dlt-` out of most names.

Spring appends the original place again at every failure and replaces the exception: the first place is the origin.
"""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import as_big_endian, as_big_integer, as_text, binary_places, last
from pipeline.records import Failure, Headers

# What Spring wraps every exception of a listener in: it says nothing about the cause.
_WRAPPERS = frozenset(
    {
        "org.springframework.kafka.listener.ListenerExecutionFailedException",
        "org.springframework.kafka.listener.TimestampedException",
    }
)


def _both(name: str) -> tuple[str, str]:
    return f"kafka_dlt-{name}", f"kafka_{name}"


TOPIC = _both("original-topic")
PARTITION = _both("original-partition")
OFFSET = _both("original-offset")
CONSUMER_GROUP = _both("original-consumer-group")
EXCEPTION = _both("exception-fqcn")
CAUSE = _both("exception-cause-fqcn")
MESSAGE = _both("exception-message")
STACKTRACE = _both("exception-stacktrace")
KEY_EXCEPTION = _both("key-exception-fqcn")
KEY_MESSAGE = _both("key-exception-message")
KEY_STACKTRACE = _both("key-exception-stacktrace")
ATTEMPTS = "retry_topic-attempts"
BACKOFF_TIMESTAMP = "retry_topic-backoff-timestamp"


def read(headers: Headers) -> Failure:
    """Places are binary, texts are UTF-8."""
    return Failure(
        dialect="spring-kafka",
        **binary_places(headers, TOPIC, PARTITION, OFFSET),
        error_class=_error_class(headers),
        message=as_text(last(headers, *MESSAGE)) or as_text(last(headers, *KEY_MESSAGE)),
        stacktrace=as_text(last(headers, *STACKTRACE)) or as_text(last(headers, *KEY_STACKTRACE)),
        # Old versions write the attempts as a single byte.
        attempts=as_big_endian(last(headers, ATTEMPTS), 4, 1),
        consumer_group=as_text(last(headers, *CONSUMER_GROUP)),
        # The time of the failure plus the delay before the next attempt; a dead-letter topic has no delay.
        failed_at_ms=as_big_integer(last(headers, BACKOFF_TIMESTAMP)),
    )


def _error_class(headers: Headers) -> str | None:
    thrown = as_text(last(headers, *EXCEPTION))
    cause = as_text(last(headers, *CAUSE))
    if cause and (thrown is None or thrown in _WRAPPERS):
        return cause
    return thrown or as_text(last(headers, *KEY_EXCEPTION))


DIALECT = Dialect(
    "spring-kafka",
    frozenset(
        {*TOPIC, *PARTITION, *OFFSET, *CONSUMER_GROUP, *EXCEPTION, *CAUSE, *MESSAGE, *STACKTRACE}
        | {*KEY_EXCEPTION, *KEY_MESSAGE, *KEY_STACKTRACE}
    ),
    read,
)
