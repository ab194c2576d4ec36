"""Counts the work that an order takes which a section of the mapping file reads, as test_work_per_order.py does.

What is left for each order are calls in C: numpy and the libraries take whole columns, Python is called by the piece.
"""

from __future__ import annotations

import gc
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from confluent_kafka import Message
from google.protobuf.message_factory import GetMessageClass

from pipeline.kafka import Fetched
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.formats.protobuf_values import read_descriptor_set
from pipeline.orders.formats.schemas import Schemas
from pipeline.orders.mapped_reader import MappedReader
from pipeline.orders.mapping.mapping_file import parse_mappings
from pipeline.records import Order
from tests.contract.processing.test_work_per_order import ORDERS, counted
from tests.support.buffer_rows import NOW_MS
from tests.support.flow_in_process import ROOT
from tests.support.order_recordings import SCHEMA_FOLDER

TOPIC = "shop"
FIELDS = """
[topics.shop]
order_id = "order_id"
customer_id = "customer.id"
product = "customer.name"
created_at = "created_at"
region = { path = "region", default = "shop" }
"""
SECTIONS = {
    "avro": 'price = "total"\navro_schema = "order.avsc"\n',
    "json": 'price = "total"\n',
    "protobuf": 'price = { path = "total_cents", unit = "minor" }\ndescriptor = "shop.desc"\nmessage = "shop.Order"\n',
}
EXPECTED = [
    Order(f"ORD-{number:08}", f"C{number}", f"product {number % 15}", 100 + number, NOW_MS + number, "north")
    for number in range(ORDERS)
]


def fields_of(order: Order) -> dict[str, Any]:
    """What all formats write alike."""
    customer = {"id": order.customer_id, "name": order.product}
    return {"order_id": order.order_id, "customer": customer, "region": order.region, "note": "as ever"}


def in_avro(orders: list[Order]) -> list[bytes]:
    schema = fastavro.parse_schema(json.loads((SCHEMA_FOLDER / "order.avsc").read_text()))
    line = {"sku": "any", "unit_price": Decimal(1), "quantity": 1}

    def written(order: Order) -> bytes:
        total, out = Decimal(order.price_cents).scaleb(-2), io.BytesIO()
        more = {"lines": [line], "total": total, "currency": "EUR", "created_at": order.created_at_ms}
        fastavro.schemaless_writer(out, schema, fields_of(order) | more)
        return out.getvalue()

    return list(map(written, orders))


def in_json(orders: list[Order]) -> list[bytes]:
    def written(order: Order) -> bytes:
        created = datetime.fromtimestamp(order.created_at_ms / 1000, UTC).isoformat(timespec="milliseconds")
        more = {"total": order.price_cents / 100, "created_at": created}
        return json.dumps(fields_of(order) | more).encode()

    return list(map(written, orders))


def in_protobuf(orders: list[Order]) -> list[bytes]:
    types = read_descriptor_set((SCHEMA_FOLDER / "shop.desc").read_bytes())
    new = GetMessageClass(types.named("shop.Order"))

    def written(order: Order) -> bytes:
        seconds, ms = divmod(order.created_at_ms, 1000)
        created = {"seconds": seconds, "nanos": ms * 1_000_000}
        made: bytes = new(
            **fields_of(order), total_cents=order.price_cents, created_at=created, lines=[{"sku": "any"}]
        ).SerializeToString()
        return made

    return list(map(written, orders))


WRITERS = {"avro": in_avro, "json": in_json, "protobuf": in_protobuf}


def shop_reader(kind: str) -> MappedReader:
    mapped = parse_mappings((FIELDS + SECTIONS[kind]).encode(), SCHEMA_FOLDER / "mapping.toml")
    recipe = mapped.recipe(TOPIC)
    assert recipe is not None
    schemas = Schemas(SchemaStore(ROOT / "schemas"), None)
    return MappedReader(recipe, schemas, mapped.schema_files.get(recipe.section.schema_file))


def records_of(kind: str, orders: list[Order]) -> Fetched:
    values = enumerate(WRITERS[kind](orders))
    return Fetched(
        [Message(topic=TOPIC, partition=0, offset=offset, key=b"key", value=value) for offset, value in values]
    )


@pytest.mark.parametrize(
    ("kind", "calls", "c_calls"), [("avro", 0.17, 0.13), ("json", 0.13, 0.15), ("protobuf", 0.07, 4.9)]
)
def test_a_mapped_order_takes_few_calls(kind, calls, c_calls):
    reader, records = shop_reader(kind), records_of(kind, EXPECTED)
    assert reader.read_many(records).orders.orders() == EXPECTED
    found = counted(lambda: reader.read_many(records))
    assert found["call"] / ORDERS <= calls
    assert found["c_call"] / ORDERS <= c_calls


@pytest.mark.parametrize("kind", WRITERS)
def test_mapped_orders_are_freed_without_the_garbage_collector(kind):
    reader, records = shop_reader(kind), records_of(kind, EXPECTED)
    reader.read_many(records)
    while gc.collect():
        pass  # what other tests have left may take several turns
    gc.disable()
    try:
        reader.read_many(records)
        assert gc.collect() == 0
    finally:
        gc.enable()
