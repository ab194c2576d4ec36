"""Reads whatever a record holds, all of it: for who looks at records, and has yet to say what in them is an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.errors import UndecodableError
from pipeline.orders.avro import type_of
from pipeline.orders.avro_schemas import WriterSchema
from pipeline.orders.formats.connect_json import envelope_prefix, typed_payload
from pipeline.orders.formats.framing import Framing, first_that_reads
from pipeline.orders.formats.json_values import check_json, whole_json
from pipeline.orders.formats.protobuf_values import MessageTypes
from pipeline.orders.formats.schemas import JsonSchema, Schemas
from pipeline.orders.mapped_reader import MappedReader
from pipeline.orders.mapping.paths import Path, RecordValue
from pipeline.orders.mapping.recipe import Recipe
from pipeline.orders.mapping.sections import Section
from pipeline.records import Currency, Record

MAXIMUM_BYTES = 1_000_000
"""All of a value becomes objects, which take ten times its room: of larger ones nothing is read."""
_ALL = Path(())
"""The path of no steps leads to the value itself."""


@dataclass(frozen=True, slots=True)
class WholeValue:
    """A record's value, as values of ours, and how it was written."""

    value: Any
    kind: str
    """Avro, Protobuf, JSON, or JSON of Kafka Connect."""
    named: str = ""
    """How the record names its schema, in words; empty where it names none."""
    type_name: str = ""
    """What its schema calls it; empty where nothing does."""

    @property
    def format(self) -> str:
        """Kind and schema in words."""
        return f"{self.kind}, {self.named}" if self.named else self.kind


class WholeReader(MappedReader):
    """Reads records whole, in any format that says what it is."""

    def __init__(
        self,
        schemas: Schemas,
        section: Section | None = None,
        unframed: MessageTypes | WriterSchema | None = None,
    ) -> None:
        """`section` may say the format, and which message of `unframed` values are without a framing."""
        recipe = Recipe(section or Section({}), Currency(), (_ALL,), (), None, None)
        super().__init__(recipe, schemas, unframed)

    def read_whole(self, record: Record) -> WholeValue:
        """What the record's value says. Raises UndecodableError, SchemaPendingError and RegistryUnavailableError."""
        value = record.value
        if not value:
            raise UndecodableError("value is null (a tombstone)" if value is None else "value is empty")
        if len(value) > MAXIMUM_BYTES:
            raise UndecodableError(f"value has {len(value)} bytes; at most {MAXIMUM_BYTES} are looked at here")
        return first_that_reads(self._framings(value, record.headers), lambda framing: self.read_as(framing, value))

    def read_as(self, framing: Framing, value: bytes) -> WholeValue:
        """What a value says that is framed so; PLAIN is JSON, or what the section says.

        Raises UndecodableError, SchemaPendingError and RegistryUnavailableError.
        """
        try:
            (found,) = self._values_as(framing, value)
        except RecursionError as error:
            raise UndecodableError("value is nested too deeply") from error
        if isinstance(found, Exception):
            raise UndecodableError(f"value is {found}") from found
        kind, called, named = self._told_of(framing, value)
        return WholeValue(found, kind, named, found.type_name if isinstance(found, RecordValue) else called)

    def _told_of(self, framing: Framing, value: bytes) -> tuple[str, str, str]:
        """How a value was written that was read, what its schema is called, and how the record names it."""
        if framing.schema is None:
            if self._unframed is None:
                return "JSON of Kafka Connect" if envelope_prefix(value) else "JSON", "", ""
            if isinstance(self._unframed, WriterSchema):
                return "Avro", _name_of(self._unframed), ""
            if not self._unframed.has_fields(value):
                raise UndecodableError(f"value has no field of {self._unframed.name}", "protobuf")
            return "Protobuf", self._unframed.name, ""
        schema = self._schemas.get(framing.schema)
        named = str(framing.schema)
        if isinstance(schema, WriterSchema):
            return "Avro", _name_of(schema), named
        return ("JSON", schema.title, named) if isinstance(schema, JsonSchema) else ("Protobuf", "", named)

    def _json_values(self, value: bytes) -> list[Any]:
        check_json(value)
        prefix = envelope_prefix(value)
        if not prefix:
            return [whole_json(value)]
        return [{"payload": typed_payload(prefix, whole_json(value)["payload"])}]


def _name_of(schema: WriterSchema) -> str:
    """The full name of a schema; of a type without a name what it is."""
    parsed = schema.parsed
    if isinstance(parsed, list):
        return "union"
    return str(parsed["name"]) if isinstance(parsed, dict) and "name" in parsed else type_of(parsed)
