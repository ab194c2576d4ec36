"""Karafka Pro: where the record was and how often it was tried, as text, but not why it failed."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import as_number, as_text, decimal_text_places, last
from pipeline.records import Failure, Headers

TOPIC = "source_topic"
PARTITION = "source_partition"
OFFSET = "source_offset"
CONSUMER_GROUP = "source_consumer_group"
ATTEMPTS = "source_attempts"
TRACE_ID = "source_trace_id"


def read(headers: Headers) -> Failure:
    """The first place is the origin, the last the newest failure."""
    return Failure(
        dialect="karafka",
        **decimal_text_places(headers, TOPIC, PARTITION, OFFSET),
        attempts=as_number(last(headers, ATTEMPTS)),
        consumer_group=as_text(last(headers, CONSUMER_GROUP)),
    )


# Anybody may call a header source_topic.
_PLACE = frozenset({TOPIC, PARTITION, OFFSET})
DIALECT = Dialect("karafka", _PLACE | {CONSUMER_GROUP, ATTEMPTS, TRACE_ID}, read, needed=_PLACE)
