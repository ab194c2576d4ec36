"""Orders to bytes and back, in Confluent's framing and in Avro's single-object encoding.

Formats: https://avro.apache.org/docs/1.12.0/specification/#single-object-encoding and
https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from fastavro import parse_schema, schemaless_writer
from fastavro.schema import SchemaParseException, fingerprint, to_parsing_canonical_form

from pipeline.errors import SchemaPendingError, SettingsError, UndecodableError
from pipeline.orders.avro import MAXIMUM_DEPTH, Names, OrderPlan, Schema, UnresolvableError, decimal_bytes, plan_order
from pipeline.orders.columns import OrderColumns, Values, joined, read_columns, write_columns
from pipeline.orders.fields import ORDER_FIELDS
from pipeline.records import Order
from pipeline.schema_source import SchemaId, SchemaRef, SchemaRegistry

SINGLE_OBJECT_MARK = b"\xc3\x01"
CONFLUENT_MARK = b"\x00"
_FINGERPRINT_END = 10
_SCHEMA_ID_END = 5
_FRAMES_AT_ONCE = 8
MAXIMUM_SCHEMA_DEPTH = 256
"""So many objects and arrays within each other are handed on to fastavro: no schema of an order needs a tenth of it."""
_FAULT_LENGTH = 100
_VERSIONED_FILE = re.compile(r"order\.v(\d+)\.avsc")
# Numbers as an order may have them, of more than a byte each.
_PROBES: dict[str, int] = {"cents": 12_345, "millis": 1_700_000_000_000}
# What fastavro raises on JSON that is no schema: it checks some of it and trips over the rest.
_SCHEMA_FAULTS = (SchemaParseException, ValueError, KeyError, TypeError, AttributeError, RecursionError)


class OrderEncoder(Protocol):
    """Makes an order the value of a record."""

    def encode(self, order: Order) -> bytes:
        """The bytes."""

    def encode_many(self, orders: OrderColumns) -> list[bytes]:
        """The bytes of each, the same as `encode` makes."""


@dataclass(frozen=True, slots=True)
class WriterSchema:
    """A parsed schema with its named types, and the text it was parsed from."""

    text: str
    parsed: Schema
    names: Names

    def fingerprint(self) -> bytes:
        """CRC-64-AVRO of the canonical form, little-endian as in single-object encoding."""
        return bytes.fromhex(fingerprint(to_parsing_canonical_form(json.loads(self.text)), "CRC-64-AVRO"))


def parse(text: str, referenced: Sequence[str] = (), maximum_depth: int = MAXIMUM_SCHEMA_DEPTH) -> WriterSchema:
    """Parses a schema's JSON, after that of the schemas it refers to. Raises UnresolvableError saying what is wrong."""
    names: dict[str, Schema] = {}
    try:
        for each in referenced:
            parse_schema(_json_of(each, maximum_depth), names)
        parsed = parse_schema(_json_of(text, maximum_depth), names)
    except _SCHEMA_FAULTS as error:
        raise UnresolvableError(f"it is no Avro schema ({_schema_fault(error)})") from error
    for name, schema in names.items():
        _check_named_type(name, schema)
    return WriterSchema(text, parsed, names)


def _schema_fault(error: Exception) -> str:
    """What is wrong, in a line. fastavro quotes the schema, or the part that it tripped over: that is left out."""
    said = re.split(r"[{\[<]", str(error), maxsplit=1)[0]
    return f"{type(error).__name__}: {' '.join(said.split())[:_FAULT_LENGTH]}"


def _json_of(text: str, maximum_depth: int) -> Any:
    """The JSON. Raises UnresolvableError when more than so many objects and arrays are within each other."""
    found = json.loads(text)
    within, depth = [found], 0
    while nodes := [each for each in within if isinstance(each, dict | list)]:
        depth += 1
        if depth > maximum_depth:
            raise UnresolvableError("it is nested too deeply")
        within = [part for node in nodes for part in (node.values() if isinstance(node, dict) else node)]
    return found


def _check_named_type(name: str, schema: Schema) -> None:
    """What the plan of a reader takes for granted of a named type."""
    size = schema.get("size", 0)
    if not isinstance(size, int) or size < 0:
        raise UnresolvableError(f"the size of {name} is {repr(size)[:_FAULT_LENGTH]}")
    for named in (schema, *schema.get("fields", [])):
        aliases = named.get("aliases", [])
        if not isinstance(aliases, list) or not all(isinstance(text, str) for text in (named["name"], *aliases)):
            raise UnresolvableError(f"{name} has a name or an alias that is no text")


class SchemaStore:
    """The schemas of the schemas folder. `order.vN.avsc` are ours; other files hold what others write with."""

    def __init__(self, folder: Path) -> None:
        """Reads the folder once. Raises SettingsError when it holds no usable Order."""
        files = sorted(folder.glob("*.avsc")) if folder.is_dir() else []
        schemas = {path.name: _read_schema_file(path) for path in files}
        self._versions = _versions(schemas)
        if not self._versions:
            raise SettingsError(f"the schemas folder {folder} has no order.v1.avsc or order.v2.avsc")
        self._by_fingerprint = {schema.fingerprint(): schema for schema in schemas.values()}
        _check_usable(folder, self._versions, self.latest)

    @property
    def latest(self) -> WriterSchema:
        """The version that orders are read into."""
        return self._versions[self.latest_version]

    @property
    def latest_version(self) -> int:
        """The highest number of an `order.vN.avsc`."""
        return max(self._versions)

    def version(self, version: int) -> WriterSchema:
        """The schema that is written as this version. Raises SettingsError when there is none."""
        if version not in self._versions:
            raise SettingsError(f"the schemas folder has no order.v{version}.avsc")
        return self._versions[version]

    def by_fingerprint(self, fingerprint: bytes) -> WriterSchema | None:
        """The schema with this CRC-64-AVRO fingerprint (8 bytes, little-endian)."""
        return self._by_fingerprint.get(fingerprint)


def _read_schema_file(path: Path) -> WriterSchema:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the schema {path} cannot be read: {error}") from error
    except UnresolvableError as error:
        raise SettingsError(f"the schema {path} cannot be used: {error}") from error


def _versions(schemas: dict[str, WriterSchema]) -> dict[int, WriterSchema]:
    named = ((_VERSIONED_FILE.fullmatch(name), schema) for name, schema in schemas.items())
    return {int(match[1]): schema for match, schema in named if match}


def _check_usable(folder: Path, versions: dict[int, WriterSchema], latest: WriterSchema) -> None:
    for number, schema in versions.items():
        try:
            plan_order(schema.parsed, schema.names, latest.parsed)
        except UnresolvableError as error:
            raise SettingsError(f"the schema {folder / f'order.v{number}.avsc'} describes no Order: {error}") from error


class OrderCodec:
    """Encodes and decodes orders. Reads both framings; a Confluent schema id needs the registry."""

    def __init__(
        self, store: SchemaStore, registry: SchemaRegistry | None = None, maximum_depth: int = MAXIMUM_DEPTH
    ) -> None:
        """`maximum_depth`: how many types within types are followed in what an order has no field for."""
        self._store = store
        self._registry = registry
        self._maximum_depth = maximum_depth
        self._plans_by_fingerprint: dict[bytes, OrderPlan] = {}
        self._plans_by_id: dict[int, OrderPlan] = {}
        self._writers: dict[int, _OrderWriter] = {}

    def encode(self, order: Order, version: int | None = None) -> bytes:
        """The order in single-object encoding, of the latest version where none is given."""
        writer = self._writer(version)
        return writer.encode(order, writer.frame)

    def encode_many(self, orders: OrderColumns, version: int | None = None) -> list[bytes]:
        """The orders in single-object encoding, of the latest version where none is given."""
        writer = self._writer(version)
        return writer.encode_many(orders, writer.frame)

    def encode_confluent(self, order: Order, schema_id: int, version: int | None = None) -> bytes:
        """The order in Confluent's framing; `schema_id` is what the registry calls this version."""
        return self._writer(version).encode(order, _confluent_frame(schema_id))

    def encode_many_confluent(self, orders: OrderColumns, schema_id: int, version: int | None = None) -> list[bytes]:
        """The orders in Confluent's framing."""
        return self._writer(version).encode_many(orders, _confluent_frame(schema_id))

    def encoder_for(self, topic: str) -> OrderEncoder:
        """What writes orders to this topic: in Confluent's framing where there is a registry.

        The schema is registered first. Raises RegistryUnavailableError and SchemaRefusedError.
        """
        if self._registry is None:
            return self
        self._writer(None)  # refuses a schema that we cannot write before anybody else sees it
        text = self._store.latest.text
        return _ConfluentEncoder(self, self._registry.register(f"{topic}-value", text))

    def recheck_registry(self) -> None:
        """Raises RegistryUnavailableError while the registry still cannot say what it could not say last."""
        if self._registry is not None:
            self._registry.recheck()

    def decode(self, value: bytes | None) -> Order:
        """The order in a record's value, in either framing.

        Raises UndecodableError saying what is wrong with the bytes, SchemaPendingError while it may turn out that
        nothing is, and RegistryUnavailableError when nobody can be asked just now; nothing else, whatever the bytes.
        """
        if value is None:
            raise UndecodableError("value is null (a tombstone)")
        if not value:
            raise UndecodableError("value is empty")
        plan, begin = self._plan_of(value)
        return plan.read(value, begin)

    def decode_many(self, values: Sequence[bytes | None]) -> OrderColumns:
        """Those of the values that are plain orders. `decode` reads the same order from each of them, and must be asked
        about all others.

        Raises RegistryUnavailableError when some cannot be judged just now.
        """
        laid_out = Values(values)
        left = np.flatnonzero(laid_out.begins < laid_out.ends)
        parts = []
        # Records of a topic begin alike but for the version of their schema; of more than 8 the rest is left to decode.
        for _ in range(_FRAMES_AT_ONCE):
            if not len(left):
                break
            first = values[int(left[0])] or b""
            frame = first[: _SCHEMA_ID_END if first.startswith(CONFLUENT_MARK) else _FINGERPRINT_END]
            alike = laid_out.framed(left, frame)
            alike[0] = True
            plan = self._plan_or_none(first)
            if plan is not None:
                parts.append(read_columns(plan, laid_out, left[alike], len(frame)))
            left = left[~alike]
        return joined(parts)

    def _plan_or_none(self, value: bytes) -> OrderPlan | None:
        try:
            return self._plan_of(value)[0]
        except (UndecodableError, SchemaPendingError):
            return None  # decode says of each record what is wrong with it

    def _plan_of(self, value: bytes) -> tuple[OrderPlan, int]:
        """How to read this value, and where its Avro begins. Raises UndecodableError, RegistryUnavailableError."""
        if value.startswith(SINGLE_OBJECT_MARK):
            return self._plan_by_fingerprint(value), _FINGERPRINT_END
        if value.startswith(CONFLUENT_MARK):
            return self._plan_by_id(value), _SCHEMA_ID_END
        raise UndecodableError(
            f"value begins with {_beginning(value)}: neither Avro single-object nor Confluent framing"
        )

    def _writer(self, version: int | None) -> _OrderWriter:
        version = self._store.latest_version if version is None else version
        writer = self._writers.get(version)
        if writer is None:
            schema = self._store.version(version)
            writer = _OrderWriter(schema, plan_order(schema.parsed, schema.names, self._store.latest.parsed))
            _check_writable(writer, version, self._store.latest_version)
            self._writers[version] = writer
        return writer

    def _plan_by_fingerprint(self, value: bytes) -> OrderPlan:
        mark = value[2:_FINGERPRINT_END]
        plan = self._plans_by_fingerprint.get(mark)
        if plan is not None:
            return plan
        if len(mark) < 8:
            raise UndecodableError(f"truncated after {len(value)} bytes, in the schema fingerprint")
        schema = self._store.by_fingerprint(mark)
        if schema is None:
            raise UndecodableError(f"unknown schema fingerprint {mark.hex()}")
        plan = self._plans_by_fingerprint[mark] = self._plan(schema, f"schema with fingerprint {mark.hex()}")
        return plan

    def _plan_by_id(self, value: bytes) -> OrderPlan:
        if len(value) < _SCHEMA_ID_END:
            raise UndecodableError(f"truncated after {len(value)} bytes, in the schema id")
        schema_id = int.from_bytes(value[1:_SCHEMA_ID_END], "big")
        plan = self._plans_by_id.get(schema_id)
        if plan is None:
            ref = SchemaId(schema_id)
            plan = self._plans_by_id[schema_id] = self._plan(self._registered(ref), str(ref))
        return plan

    def _registered(self, ref: SchemaRef) -> WriterSchema:
        # Whether an unknown one is asked for again is the registry client's to decide: it may be registered later.
        if self._registry is None:
            raise UndecodableError(f"{ref} needs a registry (ORDERPULSE_SCHEMA_REGISTRY_URL is not set)")
        schema = self._registry.get(ref)
        if schema is None:
            raise UndecodableError(f"unknown {ref}")
        if schema.kind != "AVRO":
            raise UndecodableError(f"{ref} is of kind {schema.kind}, not AVRO")
        try:
            return parse(schema.text, [each.text for each in schema.referenced])
        except UnresolvableError as error:
            raise UndecodableError(f"{ref} cannot be read: {error}") from error

    def _plan(self, schema: WriterSchema, what: str) -> OrderPlan:
        try:
            return plan_order(schema.parsed, schema.names, self._store.latest.parsed, self._maximum_depth)
        except (UnresolvableError, RecursionError) as error:
            raise UndecodableError(f"{what} cannot be read as an Order: {error}") from error


@dataclass(frozen=True, slots=True)
class _ConfluentEncoder:
    codec: OrderCodec
    schema_id: int

    def encode(self, order: Order) -> bytes:
        return self.codec.encode_confluent(order, self.schema_id)

    def encode_many(self, orders: OrderColumns) -> list[bytes]:
        return self.codec.encode_many_confluent(orders, self.schema_id)


def _confluent_frame(schema_id: int) -> bytes:
    return CONFLUENT_MARK + schema_id.to_bytes(4, "big")


def _beginning(value: bytes) -> str:
    return f"0x{value[: 2 if value[:1] == SINGLE_OBJECT_MARK[:1] else 1].hex()}"


class _OrderWriter:
    """Writes orders in one version of our schema."""

    def __init__(self, schema: WriterSchema, plan: OrderPlan) -> None:
        self.frame = SINGLE_OBJECT_MARK + schema.fingerprint()
        self.plan = plan
        # Without logical types fastavro takes the integers that we hold, and makes no Decimal and datetime of them.
        self._schema = parse_schema(_without_logical_types(json.loads(schema.text)))

    def encode(self, order: Order, frame: bytes) -> bytes:
        out = io.BytesIO()
        out.write(frame)
        schemaless_writer(out, self._schema, _datum(order))
        return out.getvalue()

    def encode_many(self, orders: OrderColumns, frame: bytes) -> list[bytes]:
        if self.plan.kinds is None:
            return [self.encode(orders.order(index), frame) for index in range(len(orders))]
        return write_columns(self.plan, orders, frame)


def _check_writable(writer: _OrderWriter, version: int, latest: int) -> None:
    """A schema that somebody changed may ask for fields we have not, or for another scale: that must never be sent.

    Only a version before the latest may leave out fields.
    """
    slots = {slot for _, slot in writer.plan.steps}
    missing = [each.avro_name for slot, each in enumerate(ORDER_FIELDS) if slot not in slots]
    if missing and version == latest:
        raise SettingsError(f"orders cannot be written as order.v{version}.avsc: it has no field {', '.join(missing)}")
    probe = Order(*(_probe(slot) if slot in slots else writer.plan.defaults[slot] for slot in range(len(ORDER_FIELDS))))
    try:
        same = writer.plan.read(writer.encode(probe, b""), 0) == probe
    except (*_SCHEMA_FAULTS, UndecodableError) as error:
        raise SettingsError(f"orders cannot be written as order.v{version}.avsc: {error}") from error
    if not same:
        raise SettingsError(f"orders cannot be written as order.v{version}.avsc: they would read as other orders")


def _probe(slot: int) -> Any:
    """A value of a field that no other field has."""
    kind = ORDER_FIELDS[slot].kind
    return f"text {slot}" if kind == "text" else _PROBES[kind] + slot


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_logical_types(part) for part in schema]
    if isinstance(schema, dict):
        return {key: _without_logical_types(part) for key, part in schema.items() if key != "logicalType"}
    return schema


def _datum(order: Order) -> dict[str, Any]:
    cells = ((each, getattr(order, each.name)) for each in ORDER_FIELDS)
    return {each.avro_name: decimal_bytes(cell) if each.kind == "cents" else cell for each, cell in cells}
