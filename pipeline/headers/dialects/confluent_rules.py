"""The rule action DLQ of Confluent's serializers: topic, rule and exception as text. No partition, no offset.

In mode READ the record is as it was; in mode WRITE it is JSON text of what could not be written.
"""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_text
from pipeline.records import Failure

NAME = "__rule.name"
MODE = "__rule.mode"
SUBJECT = "__rule.subject"
TOPIC = "__rule.topic"
EXCEPTION = "__rule.exception"


def read(headers: HeadersByName) -> Failure:
    """The exception is a text without its class."""
    return Failure(
        dialect="confluent-rules",
        source_topic=as_text(headers.first(TOPIC)),
        newest_topic=as_text(headers.last(TOPIC)),
        message=as_text(headers.last(EXCEPTION)),
        stage=as_text(headers.last(MODE)),
        rule=as_text(headers.last(NAME)),
    )


DIALECT = Dialect(
    name="confluent-rules",
    header_names=frozenset({NAME, MODE, SUBJECT, TOPIC, EXCEPTION}),
    read=read,
    header_order="appended",
    never_written=frozenset({"WRITE"}),
    not_replayed=frozenset({NAME, MODE, SUBJECT, EXCEPTION}),
)
