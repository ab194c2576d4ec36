"""Brighter (.NET): the topic, why a message was rejected and when, all text. No partition, no offset, no exception."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_iso_timestamp_ms, as_text
from pipeline.records import Failure

TOPIC = "OriginalTopic"
TYPE = "OriginalType"
REASON = "RejectionReason"
MESSAGE = "RejectionMessage"
TIMESTAMP = "RejectionTimestamp"


def read(headers: HeadersByName) -> Failure:
    """The reason is a word, as `DeliveryError`, and stands for the class."""
    return Failure(
        dialect="brighter",
        source_topic=as_text(headers.first(TOPIC)),
        newest_topic=as_text(headers.last(TOPIC)),
        error_class=as_text(headers.last(REASON)),
        message=as_text(headers.last(MESSAGE)),
        failed_at_ms=as_iso_timestamp_ms(headers.last(TIMESTAMP)),
    )


# Anybody may call a header OriginalTopic.
_ALWAYS = frozenset({TOPIC, TIMESTAMP})
DIALECT = Dialect(
    name="brighter",
    header_names=_ALWAYS | {TYPE, REASON, MESSAGE},
    read=read,
    header_order="appended",
    required=_ALWAYS,
    not_replayed=frozenset({REASON, MESSAGE, TIMESTAMP, "HandledCount"}),
)
