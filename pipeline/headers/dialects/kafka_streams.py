"""Kafka Streams' own dead-letter queue (KIP-1034): all text.

A send that fails later, as of a record that is too large, and a punctuation have neither key nor value.
"""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_text, text_positions
from pipeline.records import Failure

TOPIC = "__streams.errors.topic"
PARTITION = "__streams.errors.partition"
OFFSET = "__streams.errors.offset"
EXCEPTION = "__streams.errors.exception"
MESSAGE = "__streams.errors.message"
STACKTRACE = "__streams.errors.stacktrace"


def read(headers: HeadersByName) -> Failure:
    """The first position is the origin, the last the newest failure."""
    return Failure(
        dialect="kafka-streams",
        **text_positions(headers, TOPIC, PARTITION, OFFSET),
        error_class=as_text(headers.last(EXCEPTION)),
        message=as_text(headers.last(MESSAGE)),
        stacktrace=as_text(headers.last(STACKTRACE)),
    )


DIALECT = Dialect(
    name="kafka-streams",
    header_names=frozenset({TOPIC, PARTITION, OFFSET, EXCEPTION, MESSAGE, STACKTRACE}),
    read=read,
    header_order="appended",
    keeps_timestamp=True,
    may_lack_body=True,
)
