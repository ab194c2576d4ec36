"""Reads whatever a record holds, all of it: for who has yet to say what in it is an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.errors import UndecodableError
from pipeline.orders.avro_schemas import WriterSchema
from pipeline.orders.formats.connect_json import envelope_prefix, typed_payload
from pipeline.orders.formats.framing import Framing
from pipeline.orders.formats.json_values import check_json, whole_json
from pipeline.orders.formats.protobuf_values import MessageTypes
from pipeline.orders.formats.schemas import JsonSchema, Schemas
from pipeline.orders.mapped_reader import MappedReader
from pipeline.orders.mapping.paths import Path
from pipeline.orders.mapping.recipe import Recipe
from pipeline.orders.mapping.sections import Section
from pipeline.records import Currency, Record

MAXIMUM_BYTES = 1_000_000
"""All of a value becomes objects, which take ten times its room: of larger ones nothing is read."""
_ALL = Path(())
"""The path of no steps leads to the value itself."""


@dataclass(frozen=True, slots=True)
class WholeValue:
    """A record's value, as values of ours, and how it was written, in words."""

    value: Any
    format: str


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
        self._format = ""

    def read_whole(self, record: Record) -> WholeValue:
        """What the record's value says. Raises UndecodableError, SchemaPendingError and RegistryUnavailableError."""
        value = record.value
        if not value:
            raise UndecodableError("value is null (a tombstone)" if value is None else "value is empty")
        if len(value) > MAXIMUM_BYTES:
            raise UndecodableError(f"value has {len(value)} bytes; at most {MAXIMUM_BYTES} are looked at here")
        try:
            (found,) = self._values(value, record.headers)
        except RecursionError as error:
            raise UndecodableError("value is nested too deeply") from error
        if isinstance(found, Exception):
            raise UndecodableError(f"value is {found}") from found
        return WholeValue(found, self._format)

    def _values_as(self, framing: Framing, value: bytes) -> list[Any]:
        self._format = self._in_words(framing)
        return super()._values_as(framing, value)

    def _in_words(self, framing: Framing) -> str:
        if framing.schema is None:
            return (
                "JSON" if self._unframed is None else "Avro" if isinstance(self._unframed, WriterSchema) else "Protobuf"
            )
        schema = self._schemas.get(framing.schema)
        kind = "JSON" if isinstance(schema, JsonSchema) else "Protobuf" if isinstance(schema, MessageTypes) else "Avro"
        return f"{kind}, {framing.schema}"

    def _json_values(self, value: bytes) -> list[Any]:
        check_json(value)
        prefix = envelope_prefix(value)
        if not prefix:
            return [whole_json(value)]
        self._format = "JSON of Kafka Connect"
        return [{"payload": typed_payload(prefix, whole_json(value)["payload"])}]
