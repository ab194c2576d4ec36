"""Watermill's poison queue (Go): topic and error as text, and all headers of the record in random order.

A second failure replaces its headers, and with them the origin.
"""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_text
from pipeline.records import Failure

REASON = "reason_poisoned"
TOPIC = "topic_poisoned"
HANDLER = "handler_poisoned"
SUBSCRIBER = "subscriber_poisoned"
_POISONED = frozenset({REASON, TOPIC, HANDLER, SUBSCRIBER})


def read(headers: HeadersByName) -> Failure:
    """Its records have neither partition nor offset, and errors no class."""
    return Failure(
        dialect="watermill",
        source_topic=as_text(headers.first(TOPIC)),
        newest_topic=as_text(headers.last(TOPIC)),
        message=as_text(headers.last(REASON)),
        stage=as_text(headers.last(HANDLER)),
    )


DIALECT = Dialect(
    name="watermill",
    # Its every record has an id, dead or not.
    header_names=_POISONED | {"_watermill_message_uuid"},
    read=read,
    header_order="unordered",
    required=frozenset({REASON}),
    # By the last two it counts the delays before a retry.
    not_replayed=_POISONED | {"_watermill_delayed_for", "_watermill_delayed_until"},
)
