"""Dapr's dead-letter topics: the first position of the record as text, no reason, all headers in random order."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_text, as_timestamp_ms, text_positions
from pipeline.records import Failure

TOPIC = "__topic"
PARTITION = "__partition"
OFFSET = "__offset"
TIMESTAMP = "__timestamp"
COMPONENT = "pubsubName"


def read(headers: HeadersByName) -> Failure:
    """A second failure keeps the first position."""
    return Failure(
        dialect="dapr",
        **text_positions(headers, TOPIC, PARTITION, OFFSET),
        source_timestamp_ms=as_timestamp_ms(headers.first(TIMESTAMP)),
    )


def _refuses(value: bytes | None) -> bool:
    """Headers become those of an HTTP request: text in one line."""
    text = as_text(value)
    return text is None or "\n" in text or "\r" in text


# Anybody may call a header pubsubName.
_POSITION = frozenset({TOPIC, PARTITION, OFFSET})
DIALECT = Dialect(
    name="dapr",
    header_names=_POSITION | {TIMESTAMP, "__key", COMPONENT},
    read=read,
    header_order="unordered",
    required=_POSITION,
    # Of its component, to which nearly always one application listens.
    writer=(COMPONENT,),
    refuses_value=_refuses,
)
