"""NServiceBus: which queue failed and the exception, all text. A queue has neither partitions nor offsets."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import as_text, first, last
from pipeline.records import Failure, Headers

FAILED_QUEUE = "NServiceBus.FailedQ"
EXCEPTION = "NServiceBus.ExceptionInfo.ExceptionType"
INNER_EXCEPTION = "NServiceBus.ExceptionInfo.InnerExceptionType"
MESSAGE = "NServiceBus.ExceptionInfo.Message"
SOURCE = "NServiceBus.ExceptionInfo.Source"
STACKTRACE = "NServiceBus.ExceptionInfo.StackTrace"


def read(headers: Headers) -> Failure:
    """The failed queue stands for the topic."""
    return Failure(
        dialect="nservicebus",
        source_topic=as_text(first(headers, FAILED_QUEUE)),
        newest_topic=as_text(last(headers, FAILED_QUEUE)),
        error_class=as_text(last(headers, EXCEPTION)) or as_text(last(headers, INNER_EXCEPTION)),
        message=as_text(last(headers, MESSAGE)),
        stacktrace=as_text(last(headers, STACKTRACE)),
    )


DIALECT = Dialect(
    "nservicebus", frozenset({FAILED_QUEUE, EXCEPTION, INNER_EXCEPTION, MESSAGE, SOURCE, STACKTRACE}), read
)
