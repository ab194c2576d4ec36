"""Spring Kafka's DeadLetterPublishingRecoverer, and @RetryableTopic, which leaves `dlt-` out of most names.

Positions are binary, texts are UTF-8.
Spring appends the original position again at every failure and replaces the exception: the first one is the origin.
"""

from __future__ import annotations

from pipeline.headers.causes import with_innermost_cause
from pipeline.headers.dialect import Dialect
from pipeline.headers.values import (
    HeadersByName,
    as_big_endian,
    as_big_integer,
    as_int32,
    as_int64,
    as_text,
    as_timestamp_big_integer,
    binary_positions,
)
from pipeline.records import Failure

RETAINED_EXCEPTIONS = frozenset({"springDeserializerExceptionKey", "springDeserializerExceptionValue"})
"""The exception of the failure before, which a replay is to undo."""

# What Spring wraps every exception of a listener in: it says nothing about the cause.
_WRAPPERS = frozenset(
    {
        "org.springframework.kafka.listener.ListenerExecutionFailedException",
        "org.springframework.kafka.listener.TimestampedException",
    }
)
# What it names as the cause of those, and is a wrapper itself.
_WRAPPED_WRAPPERS = frozenset(
    {
        "org.springframework.kafka.listener.BatchListenerFailedException",
        "org.springframework.kafka.support.serializer.DeserializationException",
    }
)


_SAY_NOTHING = _WRAPPERS | _WRAPPED_WRAPPERS


def _both(name: str) -> tuple[str, str]:
    return f"kafka_dlt-{name}", f"kafka_{name}"


TOPIC = _both("original-topic")
PARTITION = _both("original-partition")
OFFSET = _both("original-offset")
TIMESTAMP = _both("original-timestamp")
TIMESTAMP_TYPE = _both("original-timestamp-type")
CONSUMER_GROUP = _both("original-consumer-group")
EXCEPTION = _both("exception-fqcn")
CAUSE = _both("exception-cause-fqcn")
MESSAGE = _both("exception-message")
STACKTRACE = _both("exception-stacktrace")
KEY_EXCEPTION = _both("key-exception-fqcn")
KEY_MESSAGE = _both("key-exception-message")
KEY_STACKTRACE = _both("key-exception-stacktrace")
ATTEMPTS = "retry_topic-attempts"
FIRST_TIMESTAMP = "retry_topic-original-timestamp"
BACKOFF_TIMESTAMP = "retry_topic-backoff-timestamp"


def _attempts(value: bytes | None) -> int | None:
    # Old versions write a single byte.
    return as_big_endian(value, 4, 1)


def read(headers: HeadersByName) -> Failure:
    """A value and a key that fail have names of their own: the newer one counts."""
    failure = Failure(
        dialect="spring-kafka",
        **binary_positions(headers, TOPIC, PARTITION, OFFSET, TIMESTAMP),
        error_class=_error_class(headers),
        message=as_text(headers.last(*MESSAGE, *KEY_MESSAGE)),
        stacktrace=as_text(headers.last(*STACKTRACE, *KEY_STACKTRACE)),
        attempts=_attempts(headers.last(ATTEMPTS)),
        consumer_group=as_text(headers.last(*CONSUMER_GROUP)),
        # The time of the failure plus the delay before the next attempt; a dead-letter topic has no delay.
        failed_at_ms=as_timestamp_big_integer(headers.last(BACKOFF_TIMESTAMP)),
    )
    failure = with_innermost_cause(failure, _SAY_NOTHING)
    if failure.source_timestamp_ms is None:
        return failure._replace(source_timestamp_ms=as_timestamp_big_integer(headers.first(FIRST_TIMESTAMP)))
    return failure


def _error_class(headers: HeadersByName) -> str | None:
    thrown = as_text(headers.last(*EXCEPTION, *KEY_EXCEPTION))
    cause = as_text(headers.last(*CAUSE))
    return cause if cause and (thrown is None or thrown in _WRAPPERS) else thrown


DIALECT = Dialect(
    name="spring-kafka",
    header_names=frozenset(
        {*TOPIC, *PARTITION, *OFFSET, *TIMESTAMP, *TIMESTAMP_TYPE, *CONSUMER_GROUP}
        | {*EXCEPTION, *CAUSE, *MESSAGE, *STACKTRACE, *KEY_EXCEPTION, *KEY_MESSAGE, *KEY_STACKTRACE}
        | {ATTEMPTS, FIRST_TIMESTAMP, BACKOFF_TIMESTAMP}
    ),
    read=read,
    header_order="appended",
    # Spring counts attempts in these and writes the two times again at each hop.
    not_replayed=RETAINED_EXCEPTIONS
    | {ATTEMPTS, FIRST_TIMESTAMP, BACKOFF_TIMESTAMP}
    | {*EXCEPTION, *CAUSE, *MESSAGE, *STACKTRACE, *KEY_EXCEPTION, *KEY_MESSAGE, *KEY_STACKTRACE},
    binary_numbers={
        **dict.fromkeys(PARTITION, as_int32),
        **dict.fromkeys((*OFFSET, *TIMESTAMP), as_int64),
        **dict.fromkeys((FIRST_TIMESTAMP, BACKOFF_TIMESTAMP), as_big_integer),
        ATTEMPTS: _attempts,
    },
    # `DeadLetterPublishingRecoverer` appends `.DLT` up to 3.2, `-dlt` from 3.3. `RetryTopicConstants` has `-retry` and
    # `-dlt`, and an index or a delay in ms may follow (reference, "Topic Naming").
    topics=r"[.-](dlt|DLT)$|-retry(-\d+)*$",
)
