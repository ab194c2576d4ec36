"""Karafka Pro: where the record was and how often it was tried, as text, but not why it failed."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_number, as_text, text_positions
from pipeline.records import Failure

TOPIC = "source_topic"
PARTITION = "source_partition"
OFFSET = "source_offset"
CONSUMER_GROUP = "source_consumer_group"
ATTEMPTS = "source_attempts"
TRACE_ID = "source_trace_id"


def read(headers: HeadersByName) -> Failure:
    """The first position is the origin, the last the newest failure."""
    return Failure(
        dialect="karafka",
        **text_positions(headers, TOPIC, PARTITION, OFFSET),
        attempts=as_number(headers.last(ATTEMPTS)),
        consumer_group=as_text(headers.last(CONSUMER_GROUP)),
    )


# Anybody may call a header source_topic.
_POSITION = frozenset({TOPIC, PARTITION, OFFSET})
DIALECT = Dialect(
    name="karafka",
    header_names=_POSITION | {CONSUMER_GROUP, ATTEMPTS, TRACE_ID},
    read=read,
    header_order="appended",
    required=_POSITION,
)
