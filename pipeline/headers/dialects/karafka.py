"""Karafka Pro: where the record was and how often it was tried, as text, but not why it failed.

Up to 2.4 the names began with `original_`. Arroyo has two of those too, but never names a topic.
"""

from __future__ import annotations

from functools import partial

from pipeline.headers.dialect import Dialect
from pipeline.headers.dialects import arroyo
from pipeline.headers.values import HeadersByName, as_number, as_text, text_positions
from pipeline.records import Failure

TOPIC = "source_topic"
PARTITION = "source_partition"
OFFSET = "source_offset"
CONSUMER_GROUP = "source_consumer_group"
ATTEMPTS = "source_attempts"
TRACE_ID = "source_trace_id"


def read(headers: HeadersByName, prefix: str = "source") -> Failure:
    """The first position is the origin, the last the newest failure."""
    return Failure(
        dialect="karafka",
        **text_positions(headers, f"{prefix}_topic", f"{prefix}_partition", f"{prefix}_offset"),
        attempts=as_number(headers.last(f"{prefix}_attempts")),
        consumer_group=as_text(headers.last(f"{prefix}_consumer_group")),
    )


_BEFORE_2_5 = Dialect(
    name="karafka",
    header_names=frozenset(
        {"original_topic", "original_key", "original_consumer_group", "original_attempts", "original_trace_id"}
    ),
    read=partial(read, prefix="original"),
    header_order="appended",
    required=frozenset({"original_topic", arroyo.PARTITION, arroyo.OFFSET}),
    borrows_from=arroyo.DIALECT,
)

# Anybody may call a header source_topic.
_POSITION = frozenset({TOPIC, PARTITION, OFFSET})
DIALECT = Dialect(
    name="karafka",
    header_names=_POSITION | {CONSUMER_GROUP, ATTEMPTS, TRACE_ID},
    read=read,
    header_order="appended",
    required=_POSITION,
    older=(_BEFORE_2_5,),
)
