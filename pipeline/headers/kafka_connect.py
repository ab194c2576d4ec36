"""Kafka Connect's sink connectors: text headers, off by default in Connect. The message may be null."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import as_text, decimal_text_places, last
from pipeline.records import Failure, Headers

TOPIC = "__connect.errors.topic"
PARTITION = "__connect.errors.partition"
OFFSET = "__connect.errors.offset"
CONNECTOR_NAME = "__connect.errors.connector.name"
TASK_ID = "__connect.errors.task.id"
STAGE = "__connect.errors.stage"
CLASS_NAME = "__connect.errors.class.name"
EXCEPTION_CLASS = "__connect.errors.exception.class.name"
EXCEPTION_MESSAGE = "__connect.errors.exception.message"
EXCEPTION_STACKTRACE = "__connect.errors.exception.stacktrace"


def read(headers: Headers) -> Failure:
    """Connect appends: the first place is the origin, the last of everything else is the newest failure."""
    return Failure(
        dialect="kafka-connect",
        **decimal_text_places(headers, TOPIC, PARTITION, OFFSET),
        error_class=as_text(last(headers, EXCEPTION_CLASS)),
        message=as_text(last(headers, EXCEPTION_MESSAGE)),
        stacktrace=as_text(last(headers, EXCEPTION_STACKTRACE)),
        stage=as_text(last(headers, STAGE)),
    )


DIALECT = Dialect(
    "kafka-connect",
    frozenset(
        {TOPIC, PARTITION, OFFSET, CONNECTOR_NAME, TASK_ID, STAGE, CLASS_NAME}
        | {EXCEPTION_CLASS, EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE}
    ),
    read,
    keeps_timestamp=True,
)
