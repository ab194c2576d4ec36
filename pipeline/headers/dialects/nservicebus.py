"""NServiceBus: which queue failed and the exception, all text. A queue has neither partitions nor offsets."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_text
from pipeline.records import Failure

FAILED_QUEUE = "NServiceBus.FailedQ"
EXCEPTION = "NServiceBus.ExceptionInfo.ExceptionType"
INNER_EXCEPTION = "NServiceBus.ExceptionInfo.InnerExceptionType"
MESSAGE = "NServiceBus.ExceptionInfo.Message"
SOURCE = "NServiceBus.ExceptionInfo.Source"
STACKTRACE = "NServiceBus.ExceptionInfo.StackTrace"


def read(headers: HeadersByName) -> Failure:
    """The failed queue stands for the topic."""
    return Failure(
        dialect="nservicebus",
        source_topic=as_text(headers.first(FAILED_QUEUE)),
        newest_topic=as_text(headers.last(FAILED_QUEUE)),
        error_class=as_text(headers.last(EXCEPTION)) or as_text(headers.last(INNER_EXCEPTION)),
        message=as_text(headers.last(MESSAGE)),
        stacktrace=as_text(headers.last(STACKTRACE)),
    )


# By these it knows how many of its retries a record has had.
_COUNTERS = frozenset(
    {"NServiceBus.Retries", "NServiceBus.Retries.Timestamp", "NServiceBus.FLRetries"}
    | {"NServiceBus.DelayedRetries", "NServiceBus.DelayedRetries.Timestamp"}
)
DIALECT = Dialect(
    name="nservicebus",
    header_names=frozenset({FAILED_QUEUE, EXCEPTION, INNER_EXCEPTION, MESSAGE, SOURCE, STACKTRACE}),
    read=read,
    header_order="appended",
    not_replayed=frozenset({EXCEPTION, INNER_EXCEPTION, MESSAGE, SOURCE, STACKTRACE}) | _COUNTERS,
    # The error queue of its samples and installers, which a bridge to Kafka may keep.
    topics=r"^error$",
)
