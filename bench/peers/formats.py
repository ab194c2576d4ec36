"""How programs of others make an order of a value: our own Avro, and the shop's orders in each format."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import msgspec
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from bench.peers.work import Order
from bench.shop.messages import event_class

FRAME_BYTES = 10
CONTEXT = SerializationContext("shop", MessageField.VALUE)

Decode = Callable[[bytes], Order]


def decoder(format_: str, registry: str) -> Decode:
    """What decodes a value of this format; `registry` is the address of the schema registry, where one is needed."""
    if format_ == "order":
        return _order()
    if format_ == "json":
        return _json()
    client = SchemaRegistryClient({"url": registry})
    return _avro(client) if format_ == "avro" else _protobuf(client)


def _order() -> Decode:
    """OrderPulse's own `Order`, in Avro's single-object encoding."""
    schema = fastavro.parse_schema(json.loads(Path("schemas/order.v2.avsc").read_text()))

    def decode(value: bytes) -> Order:
        order: Any = fastavro.schemaless_reader(io.BytesIO(value[FRAME_BYTES:]), schema)
        return Order(
            order["order_id"],
            order["customer_id"],
            order["product"],
            order["region"],
            int(order["price"].scaleb(2)),
            int(order["created_at"].timestamp() * 1000),
        )

    return decode


def _avro(client: SchemaRegistryClient) -> Decode:
    deserializer = AvroDeserializer(client)

    def decode(value: bytes) -> Order:
        event: Any = deserializer(value, CONTEXT)
        order = event["order"]
        return Order(
            order["id"],
            order["customer"]["id"],
            order["item"]["sku"],
            event["channel"],
            int(order["total"]["amount"].scaleb(2)),
            int(order["created"].timestamp() * 1000),
        )

    return decode


class _Customer(msgspec.Struct):
    id: str


class _Item(msgspec.Struct):
    sku: str


class _Total(msgspec.Struct):
    amount: Decimal


class _Order(msgspec.Struct):
    id: str
    created: datetime
    customer: _Customer
    item: _Item
    total: _Total


class _Event(msgspec.Struct):
    channel: str
    order: _Order


def _json() -> Decode:
    read = msgspec.json.Decoder(_Event).decode

    def decode(value: bytes) -> Order:
        event = read(value)
        order = event.order
        return Order(
            order.id,
            order.customer.id,
            order.item.sku,
            event.channel,
            int(order.total.amount.scaleb(2)),
            int(order.created.timestamp() * 1000),
        )

    return decode


def _protobuf(client: SchemaRegistryClient) -> Decode:
    deserializer = ProtobufDeserializer(event_class(), {"use.deprecated.format": False}, client)

    def decode(value: bytes) -> Order:
        event = deserializer(value, CONTEXT)
        assert event is not None
        order = event.order
        return Order(
            order.id,
            order.customer.id,
            order.item.sku,
            event.channel,
            order.total.amount_cents,
            order.created.ToMilliseconds(),
        )

    return decode
