"""Orders to bytes and back, in Confluent's framing and in Avro's single-object encoding.

Formats: https://avro.apache.org/docs/1.12.0/specification/#single-object-encoding and
https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from __future__ import annotations

import io
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException, fingerprint, to_parsing_canonical_form

from pipeline.errors import SettingsError, UndecodableError
from pipeline.records import Order

Schema = Any
"""A schema as JSON has it: the name of a type, a list (a union) or a dict."""

LATEST_VERSION = 2
PRICE_SCALE = 2
CENTS_LIMIT = 10**12
"""Prices are decimal(12, 2): their cents have 12 digits at most, so sums of millions of them still fit 64 bits."""

SINGLE_OBJECT_MARK = b"\xc3\x01"
CONFLUENT_MARK = b"\x00"
_FINGERPRINT_END = 10
_SCHEMA_ID_END = 5
_LONGEST_DECIMAL_BYTES = 64
_VERSIONED_FILE = re.compile(r"order\.v(\d+)\.avsc")
_UNITS_PER_MS = {"timestamp-millis": 1, "timestamp-micros": 1_000, "timestamp-nanos": 1_000_000}
_FIRST_MS, _LAST_MS = -62_135_510_400_000, 253_402_214_400_000  # what a calendar can show: the years 1 to 9999
# What fastavro raises on JSON that is no schema: it checks some of it and trips over the rest.
_SCHEMA_FAULTS = (SchemaParseException, ValueError, KeyError, TypeError, AttributeError, RecursionError)
# What fastavro raises on bytes that do not fit the schema.
_DATA_FAULTS = (
    EOFError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    RecursionError,
    MemoryError,
    struct.error,
    SchemaResolutionError,
)


class SchemaRegistry(Protocol):
    """Where schemas are found by the id that Confluent's framing carries."""

    def get_by_id(self, schema_id: int) -> str | None:
        """The schema's JSON text; None when there is none. Raises RegistryUnavailableError."""


class UnusableSchemaError(Exception):
    """A writer's schema cannot be read as an order; the text says why."""


@dataclass(frozen=True, slots=True)
class WriterSchema:
    """A schema that orders may be written in."""

    json: Schema

    def fingerprint(self) -> bytes:
        """CRC-64-AVRO of the canonical form, little-endian as in single-object encoding."""
        return bytes.fromhex(fingerprint(to_parsing_canonical_form(self.json), "CRC-64-AVRO"))


def parse(text: str) -> WriterSchema:
    """Parses a schema's JSON. Raises UnusableSchemaError saying what is wrong with it."""
    try:
        schema = json.loads(text)
        parse_schema(schema)
    except _SCHEMA_FAULTS as error:
        raise UnusableSchemaError(f"it is no Avro schema ({type(error).__name__}: {error})") from error
    return WriterSchema(schema)


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
        return self._versions[max(self._versions)]

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
    except UnusableSchemaError as error:
        raise SettingsError(f"the schema {path} cannot be used: {error}") from error


def _versions(schemas: dict[str, WriterSchema]) -> dict[int, WriterSchema]:
    named = ((_VERSIONED_FILE.fullmatch(name), schema) for name, schema in schemas.items())
    return {int(match[1]): schema for match, schema in named if match}


def _check_usable(folder: Path, versions: dict[int, WriterSchema], latest: WriterSchema) -> None:
    for number, schema in versions.items():
        try:
            OrderPlan(schema, latest)
        except UnusableSchemaError as error:
            raise SettingsError(f"the schema {folder / f'order.v{number}.avsc'} describes no Order: {error}") from error


class OrderCodec:
    """Encodes and decodes orders. Reads both framings; a Confluent schema id needs the registry."""

    def __init__(self, store: SchemaStore, registry: SchemaRegistry | None = None) -> None:
        self._store = store
        self._registry = registry
        self._plans_by_fingerprint: dict[bytes, OrderPlan] = {}
        self._plans_by_id: dict[int, OrderPlan] = {}
        self._writers: dict[int, _OrderWriter] = {}

    def encode(self, order: Order, version: int = LATEST_VERSION) -> bytes:
        """The order in single-object encoding."""
        writer = self._writer(version)
        return writer.encode(order, SINGLE_OBJECT_MARK + writer.fingerprint)

    def encode_confluent(self, order: Order, schema_id: int, version: int = LATEST_VERSION) -> bytes:
        """The order in Confluent's framing; `schema_id` is what the registry calls this version."""
        return self._writer(version).encode(order, CONFLUENT_MARK + schema_id.to_bytes(4, "big"))

    def decode(self, value: bytes | None) -> Order:
        """The order in a record's value, in either framing.

        Raises UndecodableError saying what is wrong with the bytes, and RegistryUnavailableError when they cannot be
        judged just now; nothing else, whatever the bytes.
        """
        if value is None:
            raise UndecodableError("value is null (a tombstone)")
        if not value:
            raise UndecodableError("value is empty")
        if value.startswith(SINGLE_OBJECT_MARK):
            return self._plan_by_fingerprint(value).read(value, _FINGERPRINT_END)
        if value.startswith(CONFLUENT_MARK):
            return self._plan_by_id(value).read(value, _SCHEMA_ID_END)
        raise UndecodableError(
            f"value begins with {_beginning(value)}: neither Avro single-object nor Confluent framing"
        )

    def _writer(self, version: int) -> _OrderWriter:
        writer = self._writers.get(version)
        if writer is None:
            writer = self._writers[version] = _OrderWriter(self._store.version(version))
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
            plan = self._plans_by_id[schema_id] = self._plan(self._by_id(schema_id), f"schema id {schema_id}")
        return plan

    def _by_id(self, schema_id: int) -> WriterSchema:
        # Ids that are not known are asked for again each time: a schema may be registered after its first record.
        if self._registry is None:
            raise UndecodableError(
                f"schema id {schema_id} needs a registry (ORDERPULSE_SCHEMA_REGISTRY_URL is not set)"
            )
        text = self._registry.get_by_id(schema_id)
        if text is None:
            raise UndecodableError(f"unknown schema id {schema_id}")
        try:
            return parse(text)
        except UnusableSchemaError as error:
            raise UndecodableError(f"schema id {schema_id} cannot be read: {error}") from error

    def _plan(self, schema: WriterSchema, what: str) -> OrderPlan:
        try:
            return OrderPlan(schema, self._store.latest)
        except UnusableSchemaError as error:
            raise UndecodableError(f"{what} cannot be read as an Order: {error}") from error


class OrderPlan:
    """How records of one writer's schema become orders.

    fastavro resolves the writer's schema to ours: fields by name or alias in any order, extra ones, defaults, promoted
    types. Price and time are read as the writer's plain bytes and numbers, and become cents and milliseconds here,
    exactly, without a Decimal or datetime for each record.
    """

    def __init__(self, writer: WriterSchema, latest: WriterSchema) -> None:
        """Raises UnusableSchemaError when no order can be read with it."""
        _check_record(writer.json, latest.json)
        price = _written_as("price", writer.json, latest.json)
        created_at = _written_as("created_at", writer.json, latest.json)
        self._price_scale = _decimal_scale(price)
        self._units_per_ms = _units_per_ms(created_at)
        reader = _reader_schema(latest.json, {"price": price, "created_at": created_at})
        self._writer = parse_schema(_without_logical_types(writer.json))
        # Resolving costs more than reading: what is written as we read it, or lacks only defaults, goes without.
        self._reader = None if _is_plain(writer.json, latest.json) else parse_schema(reader)
        self._defaults = {field["name"]: field["default"] for field in reader["fields"] if "default" in field}

    def read(self, data: bytes, start: int) -> Order:
        """Reads the order that begins at `start` and ends with the data. Raises UndecodableError, nothing else."""
        stream = io.BytesIO(data)
        stream.seek(start)
        try:
            datum: Any = schemaless_reader(stream, self._writer, self._reader)
        except EOFError as error:
            raise UndecodableError(f"truncated after {len(data)} bytes") from error
        except UnicodeDecodeError as error:
            raise UndecodableError("a string is not valid UTF-8") from error
        except _DATA_FAULTS as error:
            raise UndecodableError(f"its bytes do not fit its schema ({type(error).__name__}: {error})") from error
        extra = len(data) - stream.tell()
        if extra:
            raise UndecodableError(f"{extra} trailing {'byte' if extra == 1 else 'bytes'} after the order")
        return self._order(self._defaults | datum)

    def _order(self, datum: dict[str, Any]) -> Order:
        price, created_at = datum["price"], datum["created_at"]
        if price is None or created_at is None:
            raise UndecodableError(f"{'price' if price is None else 'created_at'} is null")
        return Order(
            datum["order_id"],
            datum["customer_id"],
            datum["product"],
            cents_of(price, self._price_scale),
            _millis_of(created_at, self._units_per_ms),
            # Version 1 has no region; an order knows by itself what it is then.
            datum.get("region", Order.__dataclass_fields__["region"].default),
        )


def cents_of(raw: bytes, scale: int) -> int:
    """Whole cents of an Avro decimal: a two's complement big-endian integer times 10^-scale, exactly.

    Raises UndecodableError when it is not in whole cents or has more digits than a price may have.
    """
    # The limit on the bytes keeps a hostile megabyte from becoming a number.
    if not raw or len(raw) > _LONGEST_DECIMAL_BYTES:
        raise UndecodableError(f"price is a decimal of {len(raw)} bytes")
    unscaled = int.from_bytes(raw, "big", signed=True)
    if scale <= PRICE_SCALE:
        cents, rest = int(unscaled * 10 ** (PRICE_SCALE - scale)), 0
    else:
        cents, rest = divmod(unscaled, 10 ** (scale - PRICE_SCALE))
    if rest:
        raise UndecodableError("price is not in whole cents")
    if not -CENTS_LIMIT < cents < CENTS_LIMIT:
        raise UndecodableError("price has more than 12 digits")
    return cents


def _millis_of(number: int, units_per_ms: int) -> int:
    millis = number // units_per_ms
    if not _FIRST_MS <= millis <= _LAST_MS:
        raise UndecodableError(f"created_at is {number}, outside of the years 1 to 9999")
    return millis


def _check_record(writer: Schema, latest: Schema) -> None:
    if not isinstance(writer, dict) or writer.get("type") != "record":
        raise UnusableSchemaError("it is no record")
    known = {_unqualified(name) for name in (latest["name"], *latest.get("aliases", []))}
    if _unqualified(writer["name"]) not in known:
        raise UnusableSchemaError(f"its record is {_unqualified(writer['name'])}, not {_unqualified(latest['name'])}")
    for field in latest["fields"]:
        if "default" not in field and _field(writer, field) is None:
            raise UnusableSchemaError(f"it has no field {field['name']}")
    if any(_is_empty(items) for items in _array_items(writer)):
        # A count of 2^62 of them takes one number in the data and for ever to read.
        raise UnusableSchemaError("it has an array of values that take no bytes")


def _unqualified(name: str) -> str:
    return name.rpartition(".")[2]


def _field(writer: Schema, wanted: Schema) -> Schema | None:
    names = [wanted["name"], *wanted.get("aliases", [])]
    return next((field for name in names for field in writer["fields"] if field["name"] == name), None)


def _written_as(name: str, writer: Schema, latest: Schema) -> Schema:
    """The writer's type of one of our fields; of a union with null the other branch."""
    wanted = next(field for field in latest["fields"] if field["name"] == name)
    field = _field(writer, wanted)
    kind = wanted["type"] if field is None else field["type"]
    branches = [branch for branch in kind if branch != "null"] if isinstance(kind, list) else [kind]
    if len(branches) != 1:
        raise UnusableSchemaError(f"{name} is a union of several types")
    return branches[0]


def _decimal_scale(kind: Schema) -> int:
    if not isinstance(kind, dict) or kind.get("logicalType") != "decimal" or kind.get("type") not in ("bytes", "fixed"):
        raise UnusableSchemaError(f"price is of type {_type_name(kind)} and must be a decimal")
    scale = kind.get("scale", 0)
    if not isinstance(scale, int) or not 0 <= scale <= _LONGEST_DECIMAL_BYTES:
        raise UnusableSchemaError(f"price has the scale {scale!r}")
    return scale


def _units_per_ms(kind: Schema) -> int:
    logical = kind.get("logicalType") if isinstance(kind, dict) else "timestamp-millis" if kind == "long" else None
    if logical not in _UNITS_PER_MS:
        raise UnusableSchemaError(f"created_at is of type {_type_name(kind)} and must be a timestamp")
    return _UNITS_PER_MS[logical]


def _type_name(kind: Schema) -> str:
    return str(kind.get("logicalType") or kind.get("type")) if isinstance(kind, dict) else str(kind)


def _reader_schema(latest: Schema, kinds: dict[str, Schema]) -> Schema:
    """Our schema with price and time as this writer has them; both may turn out to be null."""
    fields = []
    for field in latest["fields"]:
        kind = kinds.get(field["name"])
        plain = {"type": ["null", _without_logical_types(kind)]} if kind is not None else {}
        fields.append(_without_logical_types({key: part for key, part in field.items() if key != "doc"}) | plain)
    return latest | {"fields": fields}


def _is_plain(writer: Schema, latest: Schema) -> bool:
    """Whether every field of ours is written under its own name and as the same type, or has a default."""
    written = {field["name"]: field["type"] for field in writer["fields"]}
    return all(
        written[field["name"]] == field["type"] if field["name"] in written else "default" in field
        for field in latest["fields"]
    )


def _array_items(schema: Schema) -> Iterator[Schema]:
    if isinstance(schema, list):
        for branch in schema:
            yield from _array_items(branch)
    elif isinstance(schema, dict):
        if schema.get("type") == "array":
            yield schema["items"]
        for part in (schema.get("type"), schema.get("items"), schema.get("values")):
            if isinstance(part, (dict, list)):
                yield from _array_items(part)
        for field in schema.get("fields", []):
            yield from _array_items(field["type"])


def _is_empty(schema: Schema) -> bool:
    if isinstance(schema, dict):
        kind = schema.get("type")
        if kind in ("record", "error"):
            return all(_is_empty(field["type"]) for field in schema["fields"])
        return (kind == "fixed" and schema.get("size") == 0) or (isinstance(kind, (dict, list)) and _is_empty(kind))
    return bool(schema == "null")


def _beginning(value: bytes) -> str:
    return f"0x{value[: 2 if value[:1] == SINGLE_OBJECT_MARK[:1] else 1].hex()}"


class _OrderWriter:
    """Writes orders in one version of our schema."""

    def __init__(self, schema: WriterSchema) -> None:
        self.fingerprint = schema.fingerprint()
        # Without logical types fastavro takes the integers that we hold, and makes no Decimal and datetime of them.
        self._schema = parse_schema(_without_logical_types(schema.json))

    def encode(self, order: Order, frame: bytes) -> bytes:
        out = io.BytesIO()
        out.write(frame)
        schemaless_writer(out, self._schema, _datum(order))
        return out.getvalue()


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_logical_types(part) for part in schema]
    if isinstance(schema, dict):
        return {key: _without_logical_types(part) for key, part in schema.items() if key != "logicalType"}
    return schema


def _datum(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "product": order.product,
        "price": decimal_bytes(order.price_cents),
        "created_at": order.created_at_ms,
        "region": order.region,
    }


def decimal_bytes(cents: int) -> bytes:
    """Whole cents as an Avro decimal of scale 2: the shortest two's complement, big-endian."""
    if not -CENTS_LIMIT < cents < CENTS_LIMIT:
        raise ValueError(f"{cents} cents do not fit decimal(12, 2)")
    return cents.to_bytes((cents if cents >= 0 else ~cents).bit_length() // 8 + 1, "big", signed=True)
