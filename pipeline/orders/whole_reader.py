"""Reads whatever a record holds, all of it: for who has yet to say what in it is an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.errors import SchemaPendingError, UndecodableError
from pipeline.orders.formats.avro_json import avro_json_value
from pipeline.orders.formats.avro_values import AvroReader, avro_reader
from pipeline.orders.formats.connect_json import envelope_prefix, typed_payload
from pipeline.orders.formats.framing import PLAIN_JSON, Fingerprint, Framing, framings_of, read_message_indexes
from pipeline.orders.formats.json_values import check_json, whole_json
from pipeline.orders.formats.protobuf_values import DescriptorError, MessageTypes, ProtobufReader
from pipeline.orders.formats.schemas import JsonSchema, Schemas
from pipeline.orders.mapping.selection import WHOLE
from pipeline.records import Record
from pipeline.schema_source import SchemaRef

MAXIMUM_BYTES = 200_000
"""All of a value becomes objects, which take ten times its room: of larger ones nothing is read."""
_TOO_DEEP = "value is nested too deeply"


@dataclass(frozen=True, slots=True)
class WholeValue:
    """A record's value, as values of ours, and how it was written, in words."""

    value: Any
    format: str


class WholeReader:
    """Reads records whole, in any format that says what it is."""

    def __init__(self, schemas: Schemas, plain_message: MessageTypes | None = None, message: str = "") -> None:
        """`plain_message`: the types of a descriptor file, of which `message` is what values are without a framing."""
        self._schemas = schemas
        self._avro: dict[SchemaRef | Fingerprint, AvroReader] = {}
        self._plain = ProtobufReader(plain_message.named(message), WHOLE, ()) if plain_message is not None else None

    def read(self, record: Record) -> WholeValue:
        """What the record's value says. Raises UndecodableError, SchemaPendingError and RegistryUnavailableError."""
        value = record.value
        if not value:
            raise UndecodableError("value is null (a tombstone)" if value is None else "value is empty")
        if len(value) > MAXIMUM_BYTES:
            raise UndecodableError(f"value has {len(value)} bytes; at most {MAXIMUM_BYTES} are looked at here")
        if self._plain is not None:
            return WholeValue(self._plain.read(value), f"Protobuf, {self._plain.name}")
        reasons: list[str] = []
        pending: SchemaPendingError | None = None
        framings = framings_of(value, record.headers)
        for framing in framings:
            try:
                return self._read_as(framing, value)
            except SchemaPendingError as error:
                pending = pending or error
            except RecursionError:
                reasons.append(_TOO_DEEP)
            except UndecodableError as error:
                reasons.append(error.reason if len(framings) == 1 else f"as {framing}: {error.reason}")
        if pending is not None:
            raise pending
        raise UndecodableError("; ".join(reasons))

    def _read_as(self, framing: Framing, value: bytes) -> WholeValue:
        if framing is PLAIN_JSON or framing.schema is None:
            return _of_json(value)
        schema = self._schemas.get(framing.schema)
        body = value[framing.begin :]
        if isinstance(schema, JsonSchema):
            return WholeValue(_of_json(body).value, f"JSON, {framing.schema}")
        if isinstance(schema, MessageTypes):
            indexes, begin = read_message_indexes(framing.message_indexes or body, 0)
            try:
                reader = ProtobufReader(schema.at(indexes), WHOLE, ())
            except DescriptorError as error:
                raise UndecodableError(f"{framing.schema}: {error}", "protobuf") from error
            found = reader.read(body if framing.message_indexes else body[begin:])
            return WholeValue(found, f"Protobuf, {framing.schema}")
        if framing.json_encoding:
            return WholeValue(avro_json_value(schema, body), f"Avro as JSON, {framing.schema}")
        if framing.schema not in self._avro:
            self._avro[framing.schema] = avro_reader(schema.parsed, schema.names, WHOLE)
        return WholeValue(self._avro[framing.schema].read(value, framing.begin), f"Avro, {framing.schema}")


def _of_json(value: bytes) -> WholeValue:
    check_json(value)
    if prefix := envelope_prefix(value):
        return WholeValue({"payload": typed_payload(prefix, whole_json(value)["payload"])}, "JSON of Kafka Connect")
    return WholeValue(whole_json(value), "JSON")
