"""Laravel Kafka (PHP): class, message and code of the exception as text, but not where the record was."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_text
from pipeline.records import Failure

MESSAGE = "kafka_throwable_message"
CODE = "kafka_throwable_code"
EXCEPTION = "kafka_throwable_class_name"


def read(headers: HeadersByName) -> Failure:
    """A second failure replaces the three."""
    return Failure(
        dialect="laravel-kafka",
        error_class=as_text(headers.last(EXCEPTION)),
        message=as_text(headers.last(MESSAGE)),
    )


_THROWABLE = frozenset({MESSAGE, CODE, EXCEPTION})
DIALECT = Dialect(
    name="laravel-kafka",
    header_names=_THROWABLE,
    read=read,
    header_order="appended",
    not_replayed=_THROWABLE,
    # `ConsumerBuilder::withDlq`: the first topic and `-dlq`.
    topics=r"-dlq$",
)
