"""Orders to bytes and back, in Confluent's framing and in Avro's single-object encoding.

Formats: https://avro.apache.org/docs/1.12.0/specification/#single-object-encoding and
https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from fastavro import parse_schema, schemaless_writer

from pipeline.errors import SchemaPendingError, SettingsError, UndecodableError
from pipeline.orders.avro import MAXIMUM_DEPTH, OrderPlan, UnresolvableError, decimal_bytes, plan_order
from pipeline.orders.avro_schemas import SCHEMA_FAULTS, SchemaStore, WriterSchema
from pipeline.orders.columns import OrderColumns, Values, joined, read_columns, write_columns
from pipeline.orders.fields import ORDER_FIELDS
from pipeline.orders.formats.framing import (
    CONFLUENT_MARK,
    FINGERPRINT_END,
    SCHEMA_ID_END,
    SINGLE_OBJECT_MARK,
    Fingerprint,
    Framing,
    first_that_reads,
    framings_of,
)
from pipeline.orders.formats.schemas import Schemas
from pipeline.records import Headers, Order
from pipeline.schema_source import SchemaRef, SchemaRegistry

_FRAMES_AT_ONCE = 8
# Numbers as an order may have them, of more than a byte each.
_PROBES: dict[str, int] = {"cents": 12_345, "millis": 1_700_000_000_000}


class OrderEncoder(Protocol):
    """Makes an order the value of a record."""

    def encode(self, order: Order) -> bytes:
        """The bytes."""

    def encode_many(self, orders: OrderColumns) -> list[bytes]:
        """The bytes of each, the same as `encode` makes."""


class OrderCodec:
    """Encodes and decodes orders. Reads both framings; a Confluent schema id needs the registry."""

    def __init__(
        self, store: SchemaStore, registry: SchemaRegistry | None = None, maximum_depth: int = MAXIMUM_DEPTH
    ) -> None:
        """`maximum_depth`: how many types within types are followed in what an order has no field for."""
        self._store = store
        self._registry = registry
        self._maximum_depth = maximum_depth
        self.schemas = Schemas(store, registry)
        self._plans: dict[SchemaRef | Fingerprint, OrderPlan] = {}
        self._plans_by_frame: dict[bytes, OrderPlan] = {}
        """By what a value begins with, up to its body."""
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

    def decode(self, value: bytes | None, headers: Headers = ()) -> Order:
        """The order in a record's value, in any framing of Avro.

        Raises UndecodableError saying what is wrong with the bytes, SchemaPendingError while it may turn out that
        nothing is, and RegistryUnavailableError when nobody can be asked just now; nothing else, whatever the bytes.
        """
        if value is None:
            raise UndecodableError("value is null (a tombstone)")
        if not value:
            raise UndecodableError("value is empty")
        # Nearly all say by their first bytes alone what they are.
        frame = value[: SCHEMA_ID_END if value.startswith(CONFLUENT_MARK) else FINGERPRINT_END]
        known = None if headers else self._plans_by_frame.get(frame)
        if known is not None:
            return known.read(value, len(frame))
        return first_that_reads(framings_of(value, headers), lambda framing: self._read_as(framing, value))

    def _read_as(self, framing: Framing, value: bytes) -> Order:
        return self._plan_of(framing).read(value, framing.begin)

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
            frame = first[: SCHEMA_ID_END if first.startswith(CONFLUENT_MARK) else FINGERPRINT_END]
            alike = laid_out.framed(left, frame)
            alike[0] = True
            plan = self._plans_by_frame.get(frame) or self._plan_or_none(first, frame)
            if plan is not None:
                parts.append(read_columns(plan, laid_out, left[alike], len(frame)))
            left = left[~alike]
        return joined(parts)

    def _plan_or_none(self, value: bytes, frame: bytes) -> OrderPlan | None:
        try:
            (framing,) = framings_of(value, ())
            plan = self._plan_of(framing)
        except (UndecodableError, SchemaPendingError):
            return None  # decode says of each record what is wrong with it
        self._plans_by_frame[frame] = plan
        return plan

    def _plan_of(self, framing: Framing) -> OrderPlan:
        """How to read a value so framed. Raises UndecodableError, SchemaPendingError, RegistryUnavailableError."""
        if framing.schema is None or framing.json_encoding:
            raise UndecodableError(
                "value is JSON, and `Order` is Avro; a section for the topic in the mapping file says how to read it"
            )
        plan = self._plans.get(framing.schema)
        if plan is None:
            schema = self.schemas.get(framing.schema)
            if not isinstance(schema, WriterSchema):
                raise UndecodableError(f"{framing.schema} is of kind {schema.kind}, not AVRO")
            plan = self._plans[framing.schema] = self._plan(schema, framing.schema)
        return plan

    def _writer(self, version: int | None) -> _OrderWriter:
        version = self._store.latest_version if version is None else version
        writer = self._writers.get(version)
        if writer is None:
            schema = self._store.version(version)
            writer = _OrderWriter(schema, plan_order(schema.parsed, schema.names, self._store.latest.parsed))
            _check_writable(writer, version, self._store.latest_version)
            self._writers[version] = writer
        return writer

    def _plan(self, schema: WriterSchema, what: object) -> OrderPlan:
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
    except (*SCHEMA_FAULTS, UndecodableError) as error:
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
