"""The Kafka binder of Spring Cloud Stream: texts are UTF-8, the position is binary."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_int32, as_int64, as_text, binary_positions
from pipeline.records import Failure

TOPIC = "x-original-topic"
PARTITION = "x-original-partition"
OFFSET = "x-original-offset"
TIMESTAMP = "x-original-timestamp"
TIMESTAMP_TYPE = "x-original-timestamp-type"
EXCEPTION = "x-exception-fqcn"
MESSAGE = "x-exception-message"
STACKTRACE = "x-exception-stacktrace"


def read(headers: HeadersByName) -> Failure:
    """The first position is the origin, the last the newest failure."""
    return Failure(
        dialect="spring-cloud-stream",
        **binary_positions(headers, (TOPIC,), (PARTITION,), (OFFSET,), (TIMESTAMP,)),
        error_class=as_text(headers.last(EXCEPTION)),
        message=as_text(headers.last(MESSAGE)),
        stacktrace=as_text(headers.last(STACKTRACE)),
    )


DIALECT = Dialect(
    name="spring-cloud-stream",
    header_names=frozenset({TOPIC, PARTITION, OFFSET, TIMESTAMP, TIMESTAMP_TYPE, EXCEPTION, MESSAGE, STACKTRACE}),
    read=read,
    header_order="appended",
    not_replayed=frozenset({EXCEPTION, MESSAGE, STACKTRACE}),
    binary_numbers={PARTITION: as_int32, OFFSET: as_int64, TIMESTAMP: as_int64},
    # By the binder's `enableDlq`: `error.<destination>.<group>`.
    topics=r"^error\.[^.].*\.[^.]+$",
)
