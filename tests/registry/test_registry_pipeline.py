"""A whole pipeline with a registry: what others write is read, others read what we write, and outages pass by."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from pipeline.buffer import DeadLetterFilter, OrderFilter
from pipeline.buffer.views import DeadLetterDetail
from pipeline.kafka import records_since
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order, Record
from pipeline.running.statusboard import RoleStatus
from pipeline.settings import PROJECT_DIR
from scripts.local.certificates import CertificateAuthority
from scripts.local.registry import ApicurioRegistry
from scripts.waiting import wait_for
from tests.registry.clients import USER_INFO
from tests.support.registry_proxy import RegistryProxy
from tests.support.running_pipeline import RunningPipeline

CODEC = OrderCodec(SchemaStore(PROJECT_DIR / "schemas"))
ORDER = Order("O-1", "C-1", "Cup", 1299, 1_700_000_000_000, "north")
V1, V2 = (json.loads((PROJECT_DIR / "schemas" / f"order.v{version}.avsc").read_text()) for version in (1, 2))
PASSWORD = USER_INFO.partition(":")[2]
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Stage:
    """A pipeline on the demo cluster that reaches the registry through the proxy, and the registry itself."""

    pipeline: RunningPipeline
    proxy: RegistryProxy
    theirs: SchemaRegistryClient
    """Another program, with a way of its own to the registry."""

    def write(self, schema: dict[str, Any], topic: str = "orders", **fields: Any) -> str:
        """Sends an order as another program does; returns its id."""
        [order_id] = self.write_many([schema], topic, **fields)
        return order_id

    def write_many(self, schemas: Iterable[dict[str, Any]], topic: str = "orders", **fields: Any) -> list[str]:
        """Sends an order of each schema, all at once; returns their ids."""
        made = [self._made(schema, topic, **fields) for schema in schemas]
        self.pipeline.send(*((order_id.encode(), value, ()) for order_id, value in made), topic=topic)
        return [order_id for order_id, _ in made]

    def _made(self, schema: dict[str, Any], topic: str, **fields: Any) -> tuple[str, bytes | None]:
        order_id = f"THEIRS-{next(_numbers)}"
        order = {
            "order_id": order_id,
            "customer_id": f"C-{order_id}",
            "product": "Cup",
            "price": Decimal("12.99"),
            "created_at": datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC),
            "region": "north",
        }
        conf = {"subject.name.strategy": record_subject_name_strategy}
        serialize = AvroSerializer(self.theirs, json.dumps(schema), conf=conf)
        value = serialize(order | fields, SerializationContext(topic, MessageField.VALUE))
        return order_id, value

    def orders(self) -> dict[str, dict[str, Any]]:
        """All orders in the buffer by their id."""
        with self.pipeline.reader() as reader:
            found = reader.orders(OrderFilter(), limit=1000)
        names = ("order_id", "customer_id", "product", "price_cents", "created_at_ms", "region")
        rows = zip(*(found.column(name) for name in names), strict=True)
        return {row[0]: dict(zip(names, row, strict=True)) for row in rows}

    def dead_letters(self) -> list[DeadLetterDetail]:
        """All dead letters in the buffer, whole."""
        with self.pipeline.reader() as reader:
            found = [reader.dead_letter(each.id) for each in reader.dead_letters(DeadLetterFilter(), limit=1000)]
        return [each for each in found if each is not None]

    def records(self) -> list[Record]:
        """All that is on the orders topic."""
        pipeline = self.pipeline
        return list(records_since(pipeline.settings, pipeline.cluster, "orders", dict.fromkeys(range(4), 0)))

    def role(self, name: str) -> RoleStatus:
        status = self.pipeline.role(name)
        assert status is not None
        return status

    def wait_until_all_wait(self, reason: str) -> None:
        """Until processor, collector and worker say that they wait, for this reason."""
        for name in self.pids():
            wait_for(
                f"the {name} waiting because the registry {reason}",
                lambda name=name: self.role(name).state == "waiting" and reason in self.role(name).detail,
            )

    def pids(self) -> dict[str, int]:
        return {name: self.role(name).pid for name in ("processor", "collector", "worker")}


@pytest.fixture(scope="module")
def stage(
    registry: ApicurioRegistry, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    config = {"basic.auth.user.info": USER_INFO, "ssl.ca.location": str(authority.ca_file)}
    with RegistryProxy(registry.url, authority.server(), USER_INFO) as proxy:
        pipeline = RunningPipeline(
            tmp_path_factory.mktemp("data"), schema_registry_url=proxy.url, schema_registry_config=config
        )
        try:
            pipeline.up()
            yield Stage(pipeline, proxy, SchemaRegistryClient({"url": registry.url}))
        finally:
            pipeline.end()


def own_subject(schema: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The schema in a namespace that nobody else has, so under a subject of its own."""
    return schema | {"namespace": f"shop{next(_numbers)}"} | changes


def with_field(name: str, /, **changes: Any) -> dict[str, Any]:
    return V2 | {"fields": [field | changes if field["name"] == name else field for field in V2["fields"]]}


def test_what_we_write_is_read_by_others_and_what_cannot_be_read_is_a_dead_letter(stage: Stage) -> None:
    done = stage.pipeline.command("produce", "--count", "60", "--invalid-share", "0.1", "--malformed-share", "0.2")
    assert done.returncode == 0, done.stderr
    wait_for("60 records settled", lambda: stage.pipeline.settled() >= 60)
    assert stage.theirs.get_compatibility("orders-value") == "BACKWARD"
    [schema_id] = {each.schema_id for each in [stage.theirs.get_latest_version("orders-value")]}

    letters = stage.dead_letters()
    broken = {letter.key: letter for letter in letters if letter.rule == "avro"}
    assert len([letter for letter in letters if letter.rule == "avro"]) == 12
    assert "unknown schema id 2147483647" in "".join(letter.row.reason for letter in letters)
    assert all(letter.row.order_id is None for letter in broken.values())
    invalid = [letter for letter in letters if letter.rule != "avro"]
    assert len(invalid) == 6
    assert all(letter.row.order_id for letter in invalid)

    read = AvroDeserializer(stage.theirs)
    values = [record.value or b"" for record in stage.records()]
    ours = [value for value in values if value not in {letter.value for letter in letters}]
    assert len(ours) == 42
    assert {value[:5] for value in ours} == {b"\0" + (schema_id or 0).to_bytes(4, "big")}
    orders = stage.orders()
    for value in ours:
        order = read(value, SerializationContext("orders", MessageField.VALUE))
        assert isinstance(order, dict)
        kept = orders[order["order_id"]]
        assert order["price"] == Decimal(kept["price_cents"]).scaleb(-2)
        assert (order["customer_id"], order["region"]) == (kept["customer_id"], kept["region"])
        assert int(order["created_at"].timestamp() * 1000) == kept["created_at_ms"]


def test_a_replay_sends_the_bytes_that_came(stage: Stage) -> None:
    order_id = stage.write(own_subject(V2), price=Decimal("-3.00"))
    [letter] = wait_for("its dead letter", lambda: [x for x in stage.dead_letters() if x.row.order_id == order_id])
    assert letter.row.price_cents == -300
    done = stage.pipeline.command("replay", "--id", str(letter.row.id))
    assert done.returncode == 0, done.stderr
    assert [r.value for r in stage.records() if r.key == order_id.encode()] == [letter.value] * 2


EXTRA = {"name": "extra", "type": {"type": "map", "values": ["null", "double"]}}
# A schema of theirs, what is in its record other than usual, and what becomes of it.
OF_OTHERS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "version 1": (V1, {}, {"region": "unknown"}),
    "another order, more fields": (
        V2 | {"fields": [EXTRA, *reversed(V2["fields"])]},
        {"extra": {"a": None, "b": 1.5}},
        {},
    ),
    "int for long": (
        with_field("created_at", type="int"),
        {"created_at": 1_000_000_000},
        {"created_at_ms": 1_000_000_000},
    ),
    "bytes for string": (with_field("product", type="bytes"), {"product": "Café".encode()}, {"product": "Café"}),
    "a union": (with_field("region", type=["null", "string"], default=None), {"region": "west"}, {"region": "west"}),
}


def test_what_others_write_with_schemas_of_their_own_is_read(stage: Stage) -> None:
    sent = {
        stage.write(own_subject(schema), **fields): (what, expected)
        for what, (schema, fields, expected) in OF_OTHERS.items()
    }
    wait_for("the orders", lambda: sent.keys() <= stage.orders().keys())
    orders = stage.orders()
    for order_id, (what, expected) in sent.items():
        usual = {"order_id": order_id, "customer_id": f"C-{order_id}", "product": "Cup", "price_cents": 1299}
        usual |= {"created_at_ms": 1_767_323_045_678, "region": "north"}
        assert orders[order_id] == usual | expected, what


def test_an_id_that_the_registry_gets_to_know_a_moment_later_is_waited_for_beside_all_others(stage: Stage) -> None:
    known, late = own_subject(V2), own_subject(V2)
    stage.write(known)
    before = len(stage.dead_letters())
    late_id = stage.theirs.register_schema(f"{late['namespace']}.Order", Schema(json.dumps(late), "AVRO"))
    stage.proxy.lagging_behind.add(late_id)
    try:
        sent = stage.write_many([late] * 60)
        beside = stage.write_many([known] * 20)
        wait_for("those with a known schema", lambda: set(beside) <= stage.orders().keys())
        assert not set(sent) & stage.orders().keys()
        wait_for("a second look", lambda: len([each for each in stage.proxy.asked if f"/ids/{late_id}" in each]) > 1)
    finally:
        stage.proxy.lagging_behind.clear()
    wait_for("the late ones", lambda: set(sent) <= stage.orders().keys())
    assert len(stage.dead_letters()) == before


def test_an_id_that_never_comes_is_a_dead_letter_after_some_seconds(stage: Stage) -> None:
    never = CODEC.encode_confluent(ORDER, 999_999)
    before = len(stage.dead_letters())
    stage.pipeline.send(*((b"k", never, ()) for _ in range(3)))
    wait_for("the dead letters", lambda: len(stage.dead_letters()) == before + 3)
    found = [each for each in stage.dead_letters() if each.value == never]
    assert {each.row.reason.partition(": ")[2] for each in found} == {"unknown schema id 999999 (rule avro)"}
    assert {each.row.error_class for each in found} == {"pipeline.errors.UndecodableError"}


def test_the_sender_in_the_docs_works_as_it_stands_there(stage: Stage, registry: ApicurioRegistry) -> None:
    [code] = re.findall(r"^```python\n(.*?)^```$", (PROJECT_DIR / "schemas/README.md").read_text(), re.M | re.S)
    environment = stage.pipeline.environment | {
        "ORDERPULSE_BOOTSTRAP_SERVERS": stage.pipeline.cluster.bootstrap_servers,
        "ORDERPULSE_SCHEMA_REGISTRY_URL": registry.url,
    }
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, env=environment, check=True, timeout=30)
    assert wait_for("the order", lambda: stage.orders().get("A-1001"))["price_cents"] == 1299


def test_an_outage_is_waited_for_in_plain_sight_and_costs_nothing(stage: Stage) -> None:
    dead_letters, pids = len(stage.dead_letters()), stage.pids()

    # The registry ends; then comes what needs it.
    stage.proxy.stop()
    order_id = stage.write(own_subject(V2))
    dead_id = stage.write(own_subject(V2), topic="orders-dlq")
    queued = stage.pipeline.command("produce", "--count", "5", "--no-wait")
    assert queued.returncode == 0, queued.stderr
    stage.wait_until_all_wait("Connection refused")
    shown = stage.pipeline.command("status").stdout
    assert all(re.search(rf"{name}-0 +waiting +the schema registry at https://127", shown) for name in pids)

    # It is back with other trouble, and with no trouble in the end.
    stage.proxy.user_info = "reader:another"
    stage.proxy.start()
    stage.wait_until_all_wait("refuses our user or password (401); check basic.auth.user.info")
    stage.proxy.answer_with = 503
    stage.wait_until_all_wait("answers 503 to ")
    assert len(stage.dead_letters()) == dead_letters
    assert order_id not in stage.orders()
    stage.proxy.answer_with, stage.proxy.user_info = None, USER_INFO

    # Everything goes on by itself, and nothing became a dead letter that was none.
    wait_for("the order", lambda: order_id in stage.orders())
    [found] = wait_for("the dead letter", lambda: [x for x in stage.dead_letters() if x.row.order_id == dead_id])
    assert (found.row.product, found.row.price_cents) == ("Cup", 1299)
    with stage.pipeline.reader() as reader:
        wait_for("the job's end", lambda: reader.job(int(queued.stdout.split()[1])).state == "done")
    assert len(stage.dead_letters()) == dead_letters + 1
    assert stage.pids() == pids
    assert PASSWORD not in stage.pipeline.log() + shown


def test_a_job_whose_schema_is_refused_fails_with_the_reason(registry: ApicurioRegistry, tmp_path: Path) -> None:
    theirs = SchemaRegistryClient({"url": registry.url})
    theirs.set_compatibility("taken-value", "BACKWARD")
    theirs.register_schema("taken-value", Schema('"string"', "AVRO"))
    pipeline = RunningPipeline(tmp_path, schema_registry_url=registry.url, orders_topic="taken")
    try:
        for role in ("broker", "worker"):
            pipeline.start(role)
        refused = pipeline.command("produce", "--count", "5")
        assert refused.returncode == 1
        assert "the schema registry refuses our schema for subject taken-value: " in refused.stderr
        # The worker lives, and goes on with the next one.
        again = pipeline.command("produce", "--count", "5")
        assert "refuses our schema" in again.stderr
    finally:
        pipeline.end()
