"""Programs that are not ours write orders while a processor runs, with a real registry between the two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import SerializingProducer
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from google.protobuf import timestamp_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.type import money_pb2

from pipeline.buffer import OrderFilter
from pipeline.kafka import ClusterView
from scripts.local.registry import ApicurioRegistry
from scripts.waiting import wait_for
from tests.support.guid_proxy import GuidProxy
from tests.support.kafkas import own_names
from tests.support.order_recordings import SCHEMA_FOLDER
from tests.support.running_pipeline import RunningPipeline

COUNT = 25
FRAMINGS: dict[str, dict[str, Any]] = {"prefix": {}, "header": {"schema.id.serializer": header_schema_id_serializer}}
SHOP = """
customer_id = "customer.id"
product = "lines[].sku"
currency = { code = "EUR", path = "currency" }
"""
KINDS = {
    "avro": SHOP + 'price = "total"',
    "json": SHOP + 'price = "total"',
    "protobuf": SHOP + 'price = { path = "total_cents", unit = "minor" }',
    "money": 'customer_id = "customer"\nproduct = "sku"\ncurrency = "EUR"\nprice = "total"',
}
BEGINS = datetime(2026, 3, 1, 11, tzinfo=UTC)

SECTION = """
[topics.'^{name}-{kind}-']
order_id = "order_id"
created_at = "created_at"
region = {{ path = "region", default = "nowhere" }}
{more}
"""


def cents_of(number: int) -> int:
    """Amounts that binary fractions do not have, the lowest and the highest that the rules let in among them."""
    return {0: 1, 1: 10_000_000}.get(number, 1010 * number + 9)


def region_of(number: int) -> str:
    return "nowhere" if number % 2 else "west"


def order_of(number: int) -> dict[str, Any]:
    return {
        "order_id": f"S-{number}",
        "customer": {"id": f"C-{number % 7}"},
        "lines": [{"sku": f"SKU-{number % 3}", "unit_price": Decimal(cents_of(number)).scaleb(-2), "quantity": 1}],
        "total": Decimal(cents_of(number)).scaleb(-2),
        "currency": "EUR",
        "created_at": BEGINS + timedelta(milliseconds=1001 * number),
        "region": None if number % 2 else "west",
    }


def as_json(order: dict[str, Any]) -> dict[str, Any]:
    """What most programs in Python make JSON of: amounts are floats, times ISO 8601."""
    lines = [line | {"unit_price": float(line["unit_price"])} for line in order["lines"]]
    told = {"lines": lines, "total": float(order["total"]), "created_at": order["created_at"].isoformat()}
    return order | told


class Messages:
    """The messages of shop.proto, of its descriptor set."""

    def __init__(self) -> None:
        pool = DescriptorPool()
        for file in FileDescriptorSet.FromString((SCHEMA_FOLDER / "shop.desc").read_bytes()).file:
            pool.Add(file)
        assert pool.FindFileByName(timestamp_pb2.DESCRIPTOR.name)
        self.order = GetMessageClass(pool.FindMessageTypeByName("shop.Order"))
        self.paid_order = GetMessageClass(self._with_money(pool))

    @staticmethod
    def _with_money(pool: DescriptorPool) -> Any:
        """An order whose total is Google's Money: its serializer registers nothing of what it imports."""
        pool.AddSerializedFile(money_pb2.DESCRIPTOR.serialized_pb)
        imported = [money_pb2.DESCRIPTOR.name, timestamp_pb2.DESCRIPTOR.name]
        file = FileDescriptorProto(name="paid.proto", package="shop", syntax="proto3", dependency=imported)
        message = file.message_type.add(name="PaidOrder")
        of_messages = {"total": "google.type.Money", "created_at": "google.protobuf.Timestamp"}
        for number, name in enumerate(("order_id", "customer", "sku", "total", "created_at", "region"), start=1):
            kind = FieldDescriptorProto.TYPE_MESSAGE if name in of_messages else FieldDescriptorProto.TYPE_STRING
            field = message.field.add(name=name, number=number, type=kind, label=FieldDescriptorProto.LABEL_OPTIONAL)
            if name in of_messages:
                field.type_name = f".{of_messages[name]}"
        pool.Add(file)
        return pool.FindMessageTypeByName("shop.PaidOrder")

    def paid(self, order: dict[str, Any]) -> Any:
        units, cents = divmod(int(order["total"].scaleb(2)), 100)
        message = self.paid_order(order_id=order["order_id"], customer=order["customer"]["id"])
        message.sku = order["lines"][0]["sku"]
        message.total.units, message.total.nanos, message.total.currency_code = units, cents * 10**7, "EUR"
        message.created_at.FromDatetime(order["created_at"])
        message.region = order["region"] or "nowhere"
        return message

    def of(self, order: dict[str, Any]) -> Any:
        total_cents = int(order["total"].scaleb(2))
        message = self.order(order_id=order["order_id"], total_cents=total_cents, currency=order["currency"])
        message.customer.id = order["customer"]["id"]
        message.created_at.FromDatetime(order["created_at"])
        if order["region"] is not None:
            message.region = order["region"]
        for line in order["lines"]:
            message.lines.add(sku=line["sku"], unit_price_cents=total_cents, quantity=line["quantity"])
        return message


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuidProxy]:
    with ApicurioRegistry(tmp_path_factory.mktemp("registry")) as running, GuidProxy(running.url) as proxy:
        yield proxy


def writers_of(client: SchemaRegistryClient, conf: dict[str, Any]) -> dict[str, tuple[Any, Callable[..., Any]]]:
    """Of each format the serializer, and what makes of an order what it takes."""
    messages = Messages()
    avro, json_schema = ((SCHEMA_FOLDER / name).read_text("utf-8") for name in ("order.avsc", "order.schema.json"))
    return {
        "avro": (AvroSerializer(client, avro, conf=conf), lambda order: order),
        "json": (JSONSerializer(json_schema, client, conf=conf), as_json),
        "protobuf": (ProtobufSerializer(messages.order, client, conf=conf), messages.of),
        "money": (ProtobufSerializer(messages.paid_order, client, conf=conf), messages.paid),
    }


@pytest.mark.parametrize("cluster_settings", ["apache"], indirect=True)
def test_what_confluents_serializers_write_in_both_framings_becomes_exactly_those_orders(
    pipeline_with: Callable[..., RunningPipeline], registry: GuidProxy, tmp_path: Path
) -> None:
    name = own_names()["orders_topic"]
    topics = [f"{name}-{kind}-{framing}" for kind in KINDS for framing in FRAMINGS]
    path = tmp_path / "mapping.toml"
    path.write_text("".join(SECTION.format(name=name, kind=kind, more=more) for kind, more in KINDS.items()))
    pipeline = pipeline_with(orders_topic=",".join(topics), mapping_file=str(path), schema_registry_url=registry.url)
    for topic in topics:
        ClusterView(pipeline.settings, pipeline.cluster).ensure_topic(topic)
    pipeline.up()

    client = SchemaRegistryClient({"url": registry.url})
    producers = {
        f"{name}-{kind}-{framing}": (
            SerializingProducer(
                {"bootstrap.servers": pipeline.cluster.bootstrap_servers, "value.serializer": serializer}
            ),
            value_of,
        )
        for framing, conf in FRAMINGS.items()
        for kind, (serializer, value_of) in writers_of(client, conf).items()
    }
    # What comes second comes after the first was read, by readers that are made by then.
    for numbers in (range(COUNT), range(COUNT, 2 * COUNT)):
        for topic, (producer, value_of) in producers.items():
            for number in numbers:
                producer.produce(topic, key=f"C-{number % 7}", value=value_of(order_of(number)), headers=[])
            assert producer.flush(30) == 0
        wait_for("all orders", lambda until=numbers.stop: pipeline.settled() == until * len(topics))

    with pipeline.reader() as reader:
        rows = reader.orders(OrderFilter(), limit=1000).dicts()
        assert reader.totals().dead_letters == 0
    columns = ("topic", "order_id", "customer_id", "product", "price_cents", "created_at_ms", "region")
    assert sorted(tuple(row[each] for each in columns) for row in rows) == sorted(
        (topic, f"S-{n}", f"C-{n % 7}", f"SKU-{n % 3}", cents_of(n), 1772362800000 + 1001 * n, region_of(n))
        for topic in topics
        for n in range(2 * COUNT)
    )
    assert any("/schemas/guids/" in each for each in registry.asked)
    assert pipeline.command("check").stderr == "all figures agree\n"
