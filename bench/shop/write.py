"""Fills a topic with the shop's orders: `python -m bench.shop.write SERVERS REGISTRY FORMAT TOPIC ORDERS`."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from bench.shop.messages import FOLDER, event_class

PRODUCTS = 15
CHANNELS = ("web", "app", "phone", "store")
QUEUE_RECORDS = 1_000_000

Serialize = Callable[[dict[str, Any], SerializationContext], bytes | None]


def main(servers: str, registry: str, format_: str, topic: str, orders: int) -> None:
    """Writes so many orders and waits for every confirmation."""
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "enable.idempotence": True,
            "linger.ms": 50,
            "queue.buffering.max.messages": QUEUE_RECORDS,
            "partitioner": "murmur2_random",
        }
    )
    serialize = FORMATS[format_](SchemaRegistryClient({"url": registry}))
    context = SerializationContext(topic, MessageField.VALUE)
    draw, began_ms = random.Random(1), time.time_ns() // 1_000_000 - orders
    for number in range(orders):
        event = _event(draw, number, began_ms + number)
        key, value = event["order"]["customer"]["id"].encode(), serialize(event, context)
        while True:
            try:
                producer.produce(topic, key=key, value=value)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()


def _event(draw: random.Random, number: int, created_ms: int) -> dict[str, Any]:
    product, cents, customer = draw.randrange(PRODUCTS), 200 + draw.randrange(70_000), f"C{draw.getrandbits(32):08x}"
    return {
        "event_id": f"{draw.getrandbits(32):08x}-0000-4000-8000-{number:012x}",
        "type": "CREATED",
        "version": 3,
        "channel": CHANNELS[draw.getrandbits(2)],
        "order": {
            "id": f"ORD-{draw.getrandbits(48):012x}",
            "created": created_ms,
            "note": None if number % 5 else "Please ring the bell twice",
            "gift": number % 7 == 0,
            "customer": {
                "id": customer,
                "email": f"{customer}@example.com",
                "country": "DE",
                "points": draw.randrange(5000),
                "newsletter": number % 2 == 0,
            },
            "item": {
                "sku": f"SKU-{product:04}",
                "name": f"Product number {product}",
                "quantity": 1 + product % 3,
                "weight_kg": 0.25 + product / 4,
            },
            "total": {
                "amount": Decimal(cents).scaleb(-2),
                "tax": Decimal(cents * 19 // 119).scaleb(-2),
                "currency": "EUR",
            },
        },
    }


def _avro(client: SchemaRegistryClient) -> Serialize:
    serializer = AvroSerializer(client, (FOLDER / "order.avsc").read_text())
    return lambda event, context: serializer(event, context)


def _json(client: SchemaRegistryClient) -> Serialize:
    """Plain JSON, as most programs write it: amounts are numbers, times ISO 8601."""

    def serialize(event: dict[str, Any], context: SerializationContext) -> bytes:
        order = event["order"]
        total = {name: float(each) if name != "currency" else each for name, each in order["total"].items()}
        created = datetime.fromtimestamp(order["created"] / 1000, UTC).isoformat(timespec="milliseconds")
        written = event | {"order": order | {"created": created.replace("+00:00", "Z"), "total": total}}
        return json.dumps(written, separators=(",", ":")).encode()

    return serialize


def _protobuf(client: SchemaRegistryClient) -> Serialize:
    event_type = event_class()
    # Needs what is installed for `make bench` alone.
    from confluent_kafka.schema_registry.protobuf import ProtobufSerializer

    serializer = ProtobufSerializer(event_type, client)

    def serialize(event: dict[str, Any], context: SerializationContext) -> bytes | None:
        order = event["order"]
        total = {
            "amount_cents": int(order["total"]["amount"] * 100),
            "tax_cents": int(order["total"]["tax"] * 100),
            "currency": order["total"]["currency"],
        }
        seconds, ms = divmod(order["created"], 1000)
        created = {"seconds": seconds, "nanos": ms * 1_000_000}
        written: bytes | None = serializer(
            event_type(**event | {"order": order | {"created": created, "total": total}}), context
        )
        return written

    return serialize


FORMATS: dict[str, Callable[[SchemaRegistryClient], Serialize]] = {"avro": _avro, "json": _json, "protobuf": _protobuf}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
