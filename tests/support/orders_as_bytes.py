"""An order, schemas that differ from ours, and what other programs write with them."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest

from pipeline.errors import RegistryUnavailableError, SchemaRefusedError, UndecodableError
from pipeline.orders.avro import PRICE_SCALE
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.fields import ORDER_FIELDS
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order
from pipeline.schema_source import ReferencedSchema, RegisteredSchema, SchemaId, SchemaKind, SchemaRef

SCHEMAS = Path(__file__).parents[2] / "schemas"
STORE = SchemaStore(SCHEMAS)
LOCAL = OrderCodec(STORE)
ORDER = Order("ORD-1", "CUST-7", "Café au lait", 1299, 1_700_000_000_000, "north")
NEWEST: dict[str, Any] = json.loads(STORE.latest.text)
"""Our newest schema."""
FRAME = b"\x00\x00\x00\x00\x07"


class Registry:
    """What a registry says that knows one schema, as id 7, and the schemas that it refers to."""

    def __init__(self, schema: Any, *referenced: Any, kind: SchemaKind = "AVRO") -> None:
        *needed, text = [each if isinstance(each, str) else json.dumps(each) for each in (*referenced, schema)]
        named = tuple(ReferencedSchema(f"number {number}", each) for number, each in enumerate(needed))
        self.schema = RegisteredSchema(kind, text, named)
        self.asked: list[SchemaRef] = []

    def get(self, ref: SchemaRef) -> RegisteredSchema | None:
        self.asked.append(ref)
        return self.schema if ref == SchemaId(7) else None

    def register(self, subject: str, text: str) -> int:
        raise SchemaRefusedError(f"{subject}: this registry takes none")

    def recheck(self) -> None:
        """Nothing was left without an answer."""


class RegistryThatIsAway:
    def get(self, ref: SchemaRef) -> RegisteredSchema | None:
        raise RegistryUnavailableError("connection refused")

    def register(self, subject: str, text: str) -> int:
        raise RegistryUnavailableError("connection refused")

    def recheck(self) -> None:
        raise RegistryUnavailableError("connection refused")


def codec_knowing(schema: Any, *referenced: Any) -> OrderCodec:
    return OrderCodec(STORE, Registry(schema, *referenced))


def written(schema: dict[str, Any], datum: dict[str, Any]) -> bytes:
    """The datum as another program writes it, logical types and all."""
    out = io.BytesIO(FRAME)
    out.seek(len(FRAME))
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), datum)
    return out.getvalue()


def datum(**changes: Any) -> dict[str, Any]:
    """ORDER as fastavro takes it, by the fields' names in Avro."""
    cells = {field: getattr(ORDER, field.name) for field in ORDER_FIELDS}
    usual = {
        field.avro_name: Decimal(cell).scaleb(-PRICE_SCALE) if field.kind == "cents" else cell
        for field, cell in cells.items()
    }
    return usual | changes


def with_field(name: str, /, **changes: Any) -> dict[str, Any]:
    """Our newest schema with one field changed."""
    fields = [field | changes if field["name"] == name else field for field in NEWEST["fields"]]
    return NEWEST | {"fields": fields}


def with_extra_field(kind: Any) -> dict[str, Any]:
    """Our newest schema with a field in front that no order has."""
    return NEWEST | {"fields": [{"name": "extra", "type": kind}, *NEWEST["fields"]]}


def reason_for(value: bytes | None, codec: OrderCodec = LOCAL) -> str:
    with pytest.raises(UndecodableError) as caught:
        codec.decode(value)
    assert caught.value.rule == "avro"
    return caught.value.reason
