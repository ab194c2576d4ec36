"""Share groups (KIP-1191): the broker writes the dead letter, all text, and often without the record's body."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_number, as_text, text_positions
from pipeline.records import Failure

TOPIC = "__dlq.errors.topic"
PARTITION = "__dlq.errors.partition"
OFFSET = "__dlq.errors.offset"
GROUP = "__dlq.errors.group"
DELIVERY_COUNT = "__dlq.errors.delivery.count"
MESSAGE = "__dlq.errors.message"


def read(headers: HeadersByName) -> Failure:
    """The broker knows no exception, only how often it delivered the record and what a client gave as the reason."""
    return Failure(
        dialect="share-group",
        **text_positions(headers, TOPIC, PARTITION, OFFSET),
        message=as_text(headers.last(MESSAGE)),
        attempts=as_number(headers.last(DELIVERY_COUNT)),
        consumer_group=as_text(headers.last(GROUP)),
    )


DIALECT = Dialect(
    name="share-group",
    header_names=frozenset({TOPIC, PARTITION, OFFSET, GROUP, DELIVERY_COUNT, MESSAGE}),
    read=read,
    header_order="appended",
    may_lack_body=True,
    # KIP-1191: `errors.deadletterqueue.topic.name.prefix` is `dlq.`.
    topics=r"^dlq\.",
)
