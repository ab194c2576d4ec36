"""Karafka Pro: where the record was and how often it was tried, as text, but not why it failed."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import ByName, as_number, as_text, decimal_text_places
from pipeline.records import Failure

TOPIC = "source_topic"
PARTITION = "source_partition"
OFFSET = "source_offset"
CONSUMER_GROUP = "source_consumer_group"
ATTEMPTS = "source_attempts"
TRACE_ID = "source_trace_id"


def read(headers: ByName) -> Failure:
    """The first place is the origin, the last the newest failure."""
    return Failure(
        dialect="karafka",
        **decimal_text_places(headers, TOPIC, PARTITION, OFFSET),
        attempts=as_number(headers.last(ATTEMPTS)),
        consumer_group=as_text(headers.last(CONSUMER_GROUP)),
    )


# Anybody may call a header source_topic.
_PLACE = frozenset({TOPIC, PARTITION, OFFSET})
DIALECT = Dialect("karafka", _PLACE | {CONSUMER_GROUP, ATTEMPTS, TRACE_ID}, read, needed=_PLACE)
