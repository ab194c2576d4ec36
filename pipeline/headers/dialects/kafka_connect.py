"""Kafka Connect's sink connectors: text headers, off by default in Connect. The message may be null."""

from __future__ import annotations

from typing import Any

from pipeline.headers.causes import with_innermost_cause
from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_text, text_positions
from pipeline.records import Failure

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


def read(headers: HeadersByName, dialect: str = "kafka-connect", **more: Any) -> Failure:
    """The first position is the origin, the last of everything else is the newest failure.

    A `dialect` that borrows these headers passes what its own say as `more`. Of a converter's message that ends in a
    colon, the cause says what is wrong.
    """
    failure = Failure(
        dialect=dialect,
        **text_positions(headers, TOPIC, PARTITION, OFFSET),
        error_class=as_text(headers.last(EXCEPTION_CLASS)),
        message=as_text(headers.last(EXCEPTION_MESSAGE)),
        stacktrace=as_text(headers.last(EXCEPTION_STACKTRACE)),
        stage=as_text(headers.last(STAGE)),
        **more,
    )
    return with_innermost_cause(failure, ())


DIALECT = Dialect(
    name="kafka-connect",
    header_names=frozenset(
        {TOPIC, PARTITION, OFFSET, CONNECTOR_NAME, TASK_ID, STAGE, CLASS_NAME}
        | {EXCEPTION_CLASS, EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE}
    ),
    read=read,
    header_order="appended",
    keeps_timestamp=True,
    writer=(CONNECTOR_NAME, TASK_ID),
)
