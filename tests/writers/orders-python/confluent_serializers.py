"""What the serializers of confluent-kafka write: Avro, JSON Schema and Protobuf, with the schema's id before the value
or its GUID in a header. The registry is the tests' stand-in, because Apicurio's gives no GUIDs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka.schema_registry import (
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    header_schema_id_serializer,
)
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from messages import checkout_order, message_class, shop_order, subscription_order
from shared import SCHEMAS, SENT_AFTER_MS, Order, Recording, as_avro, as_json, orders

from tests.support.stand_in_registry import RegisteredSchema, StandInRegistry

FRAMINGS: dict[str, dict[str, Any]] = {"prefix": {}, "header": {"schema.id.serializer": header_schema_id_serializer}}
HOW = {"prefix": "as it comes", "header": "schema.id.serializer = header_schema_id_serializer"}
REFUNDED_EVERY = 4

Serializer = Callable[[Any, SerializationContext], bytes | None]


def write(folder: Path) -> None:
    with StandInRegistry() as registry:
        client = SchemaRegistryClient({"url": registry.url})
        for framing in FRAMINGS:
            _write_plain(folder, registry, client, framing)
            _write_nested_protobuf(folder, registry, client, framing)
        _write_references(folder, registry, client)
        _write_union(folder, registry, client)
        _write_second_message(folder, registry, client)


def _write_plain(folder: Path, registry: StandInRegistry, client: SchemaRegistryClient, framing: str) -> None:
    conf = FRAMINGS[framing]
    avro = AvroSerializer(client, _text("order.avsc"), conf=conf)
    _record(folder, registry, f"confluent-avro-{framing}", "AvroSerializer", HOW[framing], avro, as_avro)
    json_schema = JSONSerializer(_text("order.schema.json"), client, conf=conf)
    _record(folder, registry, f"confluent-json-{framing}", "JSONSerializer", HOW[framing], json_schema, as_json)
    protobuf = ProtobufSerializer(message_class("shop.Order"), client, conf=conf)
    _record(folder, registry, f"confluent-protobuf-{framing}", "ProtobufSerializer", HOW[framing], protobuf, shop_order)


def _write_nested_protobuf(folder: Path, registry: StandInRegistry, client: SchemaRegistryClient, framing: str) -> None:
    """Orders and refunds of one topic are told apart by the message's indexes alone."""
    order_of = ProtobufSerializer(message_class("shop.checkout.Checkout.Order"), client, conf=FRAMINGS[framing])
    refund_class = message_class("shop.checkout.Checkout.Refund")
    refund_of = ProtobufSerializer(refund_class, client, conf=FRAMINGS[framing])
    _record(
        folder,
        registry,
        f"confluent-protobuf-nested-{framing}",
        "ProtobufSerializer",
        f"{HOW[framing]}; messages inside of Checkout, some of them refunds",
        order_of,
        checkout_order,
        lambda order: (refund_of, refund_class(refund_id=_refund_id(order), order_id=order.order_id, amount="1.00")),
    )


def _write_second_message(folder: Path, registry: StandInRegistry, client: SchemaRegistryClient) -> None:
    serializer = ProtobufSerializer(message_class("shop.checkout.SubscriptionOrder"), client)
    how = "as it comes; the second message of its file"
    _record(folder, registry, "confluent-protobuf-second", "ProtobufSerializer", how, serializer, subscription_order)


def _write_references(folder: Path, registry: StandInRegistry, client: SchemaRegistryClient) -> None:
    money = _register(client, "shop.Money", "money.avsc")
    line = _register(client, "shop.Line", "line.avsc", money)
    customer = _register(client, "shop.Customer", "customer.avsc")
    schema = Schema(_text("order_of_references.avsc"), "AVRO", [money, line, customer])
    how = "as it comes; types of other subjects, one of them through another"
    serializer = AvroSerializer(client, schema)
    _record(folder, registry, "confluent-avro-references", "AvroSerializer", how, serializer, as_avro)


def _write_union(folder: Path, registry: StandInRegistry, client: SchemaRegistryClient) -> None:
    """Orders and refunds of one topic are branches of a union."""
    order, refund = _register(client, "shop.Order", "order.avsc"), _register(client, "shop.Refund", "refund.avsc")
    schema = Schema('["shop.Order", "shop.Refund"]', "AVRO", [order, refund])
    serializer = AvroSerializer(client, schema)
    _record(
        folder,
        registry,
        "confluent-avro-union",
        "AvroSerializer",
        "as it comes; the schema is a union of references, some records are refunds",
        serializer,
        lambda order: ("shop.Order", as_avro(order)),
        lambda order: (serializer, ("shop.Refund", _refund(order))),
    )


def _refund(order: Order) -> dict[str, Any]:
    return {"refund_id": _refund_id(order), "order_id": order.order_id, "amount": order.lines[0].unit_price}


def _refund_id(order: Order) -> str:
    return f"R-{order.order_id}"


def _record(
    folder: Path,
    registry: StandInRegistry,
    name: str,
    serializer_name: str,
    how: str,
    serializer: Serializer,
    content: Callable[[Order], Any],
    refund: Callable[[Order], tuple[Serializer, Any]] | None = None,
) -> None:
    writer = f"confluent-kafka (Python) {serializer_name}"
    recording = Recording(name, writer, confluent_kafka.__version__, "orders-python/confluent_serializers.py", how)
    for number, order in enumerate(orders()):
        value, headers = _serialized(serializer, name, content(order))
        recording.add_order(order, value, headers)
        if refund and number % REFUNDED_EVERY == 0:
            refund_of, content_of_refund = refund(order)
            value, headers = _serialized(refund_of, name, content_of_refund)
            sent_ms = order.created_at_ms + 2 * SENT_AFTER_MS
            recording.add(_refund_id(order), None, sent_ms, order.customer_id.encode(), value, headers)
    recording.write(folder, _used(registry, f"{name}-value"))


def _serialized(serializer: Serializer, topic: str, content: Any) -> tuple[bytes, Iterable[tuple[str, bytes]]]:
    headers: list[tuple[str, bytes]] = []
    value = serializer(content, SerializationContext(topic, MessageField.VALUE, headers))
    assert value is not None
    return value, headers


def _register(client: SchemaRegistryClient, name: str, file: str, *references: SchemaReference) -> SchemaReference:
    """Under a subject of another name than the type's."""
    subject = f"types-{name}"
    client.register_schema(subject, Schema(_text(file), "AVRO", list(references)))
    return SchemaReference(name, subject, 1)


def _used(registry: StandInRegistry, subject: str) -> list[RegisteredSchema]:
    """The schemas of a subject and those that they refer to."""
    used: dict[tuple[str, int], RegisteredSchema] = {}
    by_place = {(each.subject, each.version): each for each in registry.schemas}

    def use(schema: RegisteredSchema) -> None:
        for reference in schema.references:
            use(by_place[reference["subject"], reference["version"]])
        used[schema.subject, schema.version] = _readable(schema)

    for schema in registry.schemas:
        if schema.subject == subject:
            use(schema)
    return list(used.values())


def _readable(schema: RegisteredSchema) -> RegisteredSchema:
    """A registry shows Protobuf as text, though the serializer has sent it the base64 of a descriptor."""
    if schema.schema_type != "PROTOBUF":
        return schema
    file = FileDescriptorProto.FromString(base64.b64decode(schema.schema)).name
    return replace(schema, schema=_text(file), serialized=schema.schema)


def _text(file: str) -> str:
    return (SCHEMAS / file).read_text(encoding="utf-8")
