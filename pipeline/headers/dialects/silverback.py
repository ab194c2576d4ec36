"""Silverback (.NET): where the record was, and the type of the innermost exception without its message, all text."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import (
    HeadersByName,
    as_iso_timestamp_ms,
    as_number,
    as_text,
    as_timestamp_ms,
    text_positions,
)
from pipeline.records import Failure

TOPIC = "x-source-topic"
PARTITION = "x-source-partition"
OFFSET = "x-source-offset"
TIMESTAMP = "x-source-timestamp"
CONSUMER_GROUP = "x-source-consumer-group-id"
REASON = "x-failure-reason"
ATTEMPTS = "x-failed-attempts"


def read(headers: HeadersByName) -> Failure:
    """The reason is `Type in Assembly`: the type is the class, and all that is known."""
    timestamp, reason = headers.first(TIMESTAMP), as_text(headers.last(REASON))
    return Failure(
        dialect="silverback",
        **text_positions(headers, TOPIC, PARTITION, OFFSET),
        source_timestamp_ms=as_timestamp_ms(timestamp) or as_iso_timestamp_ms(timestamp),
        error_class=reason and reason.partition(" in ")[0],
        message=reason,
        attempts=as_number(headers.last(ATTEMPTS)),
        consumer_group=as_text(headers.last(CONSUMER_GROUP)),
    )


# Anybody may call a header x-source-topic.
_POSITION = frozenset({TOPIC, PARTITION, OFFSET})
DIALECT = Dialect(
    name="silverback",
    header_names=_POSITION | {TIMESTAMP, CONSUMER_GROUP, REASON, ATTEMPTS},
    read=read,
    header_order="appended",
    required=_POSITION,
    not_replayed=frozenset({REASON, ATTEMPTS}),
)
