"""The fields that a query may name: what each is compared with, and the column of the public table that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pipeline.orders.fields import DEAD_LETTER_FIELDS
from pipeline.records import OrderFieldKind

Kind = Literal["name", "status", "group", "class", "text", "key", "number", "amount", "time"]
"""What a field holds. A `name` is equal in any case, `text` holds what is looked for, and the last three have an order;
`group` is a fingerprint or part of a title, `class` an error's class with or without its package."""
Status = Literal["open", "replaying", "replayed", "recovered", "dead_again", "discarded"]

STATUSES: tuple[str, ...] = get_args(Status)
ORDERED: tuple[Kind, ...] = ("number", "amount", "time")


@dataclass(frozen=True, slots=True)
class Field:
    """A field by its name in queries."""

    name: str
    kind: Kind
    column: str
    means: str


_ORDER_KINDS: dict[OrderFieldKind, Kind] = {"text": "name", "cents": "amount", "millis": "time"}
_ORDER_FIELDS = tuple(
    Field(
        field.name.removesuffix("_id").removesuffix("_cents").removesuffix("_at_ms"),
        _ORDER_KINDS[field.kind],
        field.name,
        f"the order's {field.avro_name}",
    )
    for field in DEAD_LETTER_FIELDS
)
FIELDS = (
    Field("status", "status", "status", "one of " + ", ".join(STATUSES)),
    Field("group", "group", "fingerprint", "a group's fingerprint, or part of its title"),
    Field("class", "class", "error_class", "the error's class, with or without its package"),
    Field("reason", "text", "reason", "part of the reason"),
    Field("source", "name", "source_topic", "the topic that the record came from"),
    Field("topic", "name", "topic", "the dead-letter topic"),
    Field("dialect", "name", "dialect", "what wrote the dead letter"),
    Field("key", "key", "key", "the record's key, as text"),
    *_ORDER_FIELDS,
    Field("failed", "time", "failed_at_ms", "when it failed"),
    Field("first-failed", "time", "first_failed_at_ms", "when it failed for the first time"),
    Field("received", "time", "received_at_ms", "when it was collected"),
    Field("timestamp", "time", "timestamp_ms", "the record's own time"),
    Field("attempts", "number", "attempts", "how often it was tried"),
    Field("replays", "number", "replays", "how often it was replayed"),
    Field("rule", "name", "rule", "the rule that it breaks"),
    Field("stage", "name", "stage", "the step that failed"),
    Field("consumer-group", "name", "consumer_group", "the consumer group that failed"),
    Field("stack", "text", "stacktrace", "part of the stack trace"),
    Field("id", "number", "id", "the dead letter's number"),
    Field("partition", "number", "partition", "its partition in the dead-letter topic"),
    Field("offset", "number", "offset", "its offset there"),
    Field("source-partition", "number", "source_partition", "the partition that the record came from"),
    Field("source-offset", "number", "source_offset", "its offset there"),
)
"""All, those that are asked for most first."""
FIELDS_BY_NAME = {field.name: field for field in FIELDS}
HEADER = "header."
VALUE = "value"
"""`header.NAME` is a header, `value.PATH` a value inside the record's value."""
