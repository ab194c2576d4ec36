"""What every registry answers, whatever it is asked by: a schema and the names of those that it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pipeline.errors import SchemaUnusableError
from pipeline.schema_source import ReferencedSchema, RegisteredSchema, SchemaKind, SchemaRef

MOST_REFERENCED = 200
"""So many schemas may be needed by one: each is a question of its own."""

# https://docs.confluent.io/platform/current/schema-registry/develop/api.html#errors
SUBJECT_UNKNOWN: Final = 40401
VERSION_UNKNOWN: Final = 40402
SCHEMA_UNKNOWN: Final = 40403
UNKNOWN = (SUBJECT_UNKNOWN, VERSION_UNKNOWN, SCHEMA_UNKNOWN)

_KINDS: dict[str, SchemaKind] = {"AVRO": "AVRO", "JSON": "JSON", "PROTOBUF": "PROTOBUF"}


@dataclass(frozen=True, slots=True)
class Reference:
    """The name by which a schema refers to another one, and how to ask for that."""

    name: str
    ask: Callable[[], Answer]


@dataclass(frozen=True, slots=True)
class Answer:
    """A schema as it was answered."""

    text: str
    references: tuple[Reference, ...]


def whole(ref: SchemaRef, kind: SchemaKind, answer: Answer) -> RegisteredSchema:
    """The schema with all that it needs. Raises SchemaUnusableError when that is too much."""
    begun: set[str] = set()
    referenced: list[ReferencedSchema] = []

    def add_those_of(schema: Answer) -> None:
        for each in schema.references:
            # By its name, as Confluent's registry does: a name is one thing in a schema with all that it needs.
            if each.name not in begun:
                begun.add(each.name)
                if len(begun) > MOST_REFERENCED:
                    raise SchemaUnusableError(f"{ref} needs more than {MOST_REFERENCED} other schemas")
                found = each.ask()
                add_those_of(found)
                referenced.append(ReferencedSchema(each.name, found.text))

    add_those_of(answer)
    return RegisteredSchema(kind, answer.text, tuple(referenced))


def kind_of(ref: SchemaRef, told: str) -> SchemaKind:
    """The kind that a registry tells by name. Raises SchemaUnusableError when records have none of that."""
    kind = _KINDS.get(told)
    if kind is None:
        raise SchemaUnusableError(f"{ref} is of kind {told[:50]}, which is none of {', '.join(_KINDS)}")
    return kind
