"""A topic or partition that cannot be read keeps nobody from reading the others, and is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from pipeline.clock import steady_clock_ms
from pipeline.kafka import PartitionReader
from pipeline.kafka.connection.refusals import NO_LEADER
from scripts.local.cluster import KafkaCluster
from scripts.local.server_properties import CLIENTS
from scripts.waiting import wait_for
from tests.support.faulty_handler import FAIL_AS_ASKED, FAILURES
from tests.support.kafkas import Kafka, Sent, own_names, read
from tests.support.orders_as_bytes import LOCAL, ORDER
from tests.support.running_pipeline import RunningPipeline
from tests.support.secured_kafka import SecuredKafka, unique
from tests.support.tcp_proxy import TcpProxy
from tests.support.without_topic_ids import tell_no_topic_ids

PARTITIONS = 6
ANSWER_S = 10
LINGER = {"linger.ms": 20, "log_level": 0}


def make_topics(bootstrap_servers: str, topics: list[str], partitions: int = PARTITIONS, replicas: int = 1) -> None:
    """Makes topics and waits until the brokers know them."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    for future in admin.create_topics([NewTopic(topic, partitions, replicas) for topic in topics]).values():
        future.result(ANSWER_S)
    wait_for("the topics", lambda: set(topics) <= admin.list_topics(timeout=ANSWER_S).topics.keys())


def write(
    bootstrap_servers: str,
    topic: str,
    count: int,
    value: Callable[[int], bytes] = lambda n: b"%d" % n,
    headers: Sequence[tuple[str, bytes]] = (),
    partitions: Sequence[int] = range(PARTITIONS),
) -> None:
    """Writes records to these partitions of a topic in turn."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, **LINGER})
    for number in range(count):
        partition = partitions[number % len(partitions)]
        producer.produce(topic, value(number), b"k%d" % number, partition, headers=list(headers))
        producer.poll(0)
    assert producer.flush(30) == 0


def collected(pipeline: RunningPipeline) -> int:
    with pipeline.reader() as reader:
        return reader.totals().dead_letters


def detail_of(pipeline: RunningPipeline, role: str) -> str:
    status = pipeline.role(role)
    return status.detail if status and status.state == "running" else ""


def test_a_forbidden_topic_among_nine_costs_the_others_nothing(
    secured_kafka: SecuredKafka, pipeline_with: Callable[..., RunningPipeline]
) -> None:
    letters = 40_000
    topics = [unique("theirs") for _ in range(9)]
    [forbidden, *readable] = topics
    settings = secured_kafka.settings("SASL_PLAINTEXT", "parts", "PLAIN", roles="collector")
    settings["dlq_topics"] = ",".join(topics)
    make_topics(secured_kafka.cluster.bootstrap_servers, topics)
    secured_kafka.allow("parts", "", settings["group_id"], "Read")
    secured_kafka.allow("parts", forbidden, "", "Describe")
    for topic in readable:
        secured_kafka.allow("parts", topic, "", "Read")
    for topic in topics:
        write(secured_kafka.cluster.bootstrap_servers, topic, letters // 8)
    pipeline = pipeline_with(**settings)
    pipeline.start("collector")
    wait_for("the collector", pipeline.running)
    wait_for("every letter that may be read", lambda: collected(pipeline) == letters, 60)
    detail = wait_for("the forbidden one's name", lambda: detail_of(pipeline, "collector"))
    assert f"not read: {forbidden}[0]" in detail
    assert f"Read on topic {forbidden}" in detail
    assert not any(topic in detail for topic in readable)
    assert len(pipeline.role("collector").figures["unreadable"]) == PARTITIONS
    assert pipeline.log("collector").count("is not read for now") == 1

    # The others are compared all the same.
    checked = pipeline.command("check")
    assert checked.returncode == 3, checked.stdout
    [why] = [line for line in checked.stderr.splitlines() if "not compared with Kafka" in line]
    assert f"Read on topic {forbidden}" in why
    # The broker refuses it once and is silent then; it is still named.
    assert f"not read: {forbidden}[0]" in detail_of(pipeline, "collector")

    # It joins as soon as it may.
    secured_kafka.allow("parts", forbidden, "", "Read")
    wait_for("the rest", lambda: collected(pipeline) == letters // 8 * 9, 60)
    wait_for("no complaint", lambda: pipeline.role("collector").detail == "")


@pytest.fixture(scope="module")
def three_brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    with KafkaCluster(tmp_path_factory.mktemp("three") / "kafka", brokers=3) as kafka:
        yield kafka


def test_partitions_without_a_leader_keep_nobody_from_reading_the_others(
    three_brokers: KafkaCluster, pipeline_with: Callable[..., RunningPipeline]
) -> None:
    names = own_names()
    orders, theirs = names["orders_topic"], unique("theirs")
    address = three_brokers.bootstrap_servers
    make_topics(address, [orders, theirs])
    make_topics(address, [f"{orders}-dlq"], replicas=3)
    write(address, theirs, 600)
    write(address, orders, 600, lambda number: LOCAL.encode(replace(ORDER, order_id=f"O-{number}")))
    leads = leaders_of(address, orders)
    three_brokers.stop_broker(2)
    try:
        wait_for("the leaders' end", lambda: -1 in leaders_of(address, orders) and -1 in leaders_of(address, theirs))
        led = sum(leader >= 0 for leader in leaders_of(address, orders))
        led_letters = sum(leader >= 0 for leader in leaders_of(address, theirs))
        assert 0 < led < PARTITIONS
        pipeline = pipeline_with(
            **names
            | {"bootstrap_servers": address, "dlq_topics": f"{orders}-dlq,{theirs}", "roles": "processor,collector"}
        )
        pipeline.up()
        wait_for("the letters that can be read", lambda: collected(pipeline) == led_letters * 100, 60)
        wait_for("the orders that can be read", lambda: read_orders(pipeline) == led * 100, 60)
        for role, topic in (("processor", orders), ("collector", theirs)):
            unreadable = wait_for("their names", lambda role=role: pipeline.role(role).figures.get("unreadable"))
            missing = [f"{topic}[{n}]" for n, leader in enumerate(leaders_of(address, topic)) if leader < 0]
            assert sorted(unreadable) == missing
            assert all("no broker leads it" in why for why in unreadable.values()), unreadable
        # Nor do they have the group deal out its partitions again and again.
        assert "no owner" not in pipeline.log()
    finally:
        three_brokers.restart(2)
    wait_for("the rest of the letters", lambda: collected(pipeline) == 600, 60)
    wait_for("the rest of the orders", lambda: read_orders(pipeline) == 600, 60)
    for role in ("processor", "collector"):
        wait_for("no complaint", lambda role=role: pipeline.role(role).figures.get("unreadable") == {}, 30)
    assert leaders_of(address, orders) == leads


def test_where_no_topic_ids_are_told_the_partitions_that_have_a_leader_say_which_topic_it_is(
    three_brokers: KafkaCluster, pipeline_with: Callable[..., RunningPipeline]
) -> None:
    names = own_names()
    orders, theirs = names["orders_topic"], unique("theirs")
    address = three_brokers.bootstrap_servers
    make_topics(address, [orders, theirs])
    make_topics(address, [f"{orders}-dlq"], replicas=3)
    pipeline = pipeline_with(
        **names
        | {"bootstrap_servers": address, "dlq_topics": f"{orders}-dlq,{theirs}", "roles": "processor,collector"}
        | {"handler": FAIL_AS_ASKED, "retry_max": 100, "retry_cap_ms": 500}
    )
    tell_no_topic_ids(pipeline)
    pipeline.up()
    # One order of each partition is parked for some seconds, and its processor ends meanwhile.
    write(address, orders, PARTITIONS, an_order, ((FAILURES, b"12"),))
    write(address, theirs, 600)
    with pipeline.reader() as reader:
        wait_for("the letters", lambda: collected(pipeline) == 600)
        wait_for("parked orders", lambda: reader.parked_count() == PARTITIONS)
    process = pipeline.started("up")
    process.terminate()
    assert process.wait(20) == 0
    assert read_orders(pipeline) < PARTITIONS

    three_brokers.stop_broker(2)
    try:
        wait_for("the leaders' end", lambda: -1 in leaders_of(address, orders) and -1 in leaders_of(address, theirs))
        led = [n for n, leader in enumerate(leaders_of(address, orders)) if leader >= 0]
        led_letters = [n for n, leader in enumerate(leaders_of(address, theirs)) if leader >= 0]
        write(address, orders, 100, an_order, partitions=led)
        write(address, theirs, 100, partitions=led_letters)
        pipeline.start("up")
        wait_for("the letters that can be read", lambda: collected(pipeline) == 700, 60)
        wait_for("the orders that can be read, and all that was parked", lambda: read_orders(pipeline) == 106, 60)
    finally:
        three_brokers.restart(2)
    write(address, orders, 60, an_order)
    write(address, theirs, 60)
    wait_for("the rest", lambda: (read_orders(pipeline), collected(pipeline)) == (166, 760), 60)
    with pipeline.reader() as reader:
        assert not any("recreated" in message for message in reader.events().column("message"))
    assert pipeline.command("check").returncode == 0


def an_order(number: int) -> bytes:
    return LOCAL.encode(replace(ORDER, order_id=f"O-{steady_clock_ms()}-{number}"))


def test_a_partition_that_loses_its_leader_while_it_is_read_is_named_for_as_long_as_that_lasts(tmp_path: Path) -> None:
    # By proxies, which take a client's connection and end it: nothing is refused that the client would complain of.
    with TcpProxy() as first, TcpProxy() as second:
        addresses = [first.address, second.address]
        one_replica = {"default.replication.factor": "1", "num.partitions": str(PARTITIONS)}
        with KafkaCluster(tmp_path / "kafka", 2, one_replica, controllers=1, advertised=addresses) as cluster:
            first.target_port, second.target_port = cluster.port(1, CLIENTS), cluster.port(2, CLIENTS)
            kafka = Kafka("apache", tmp_path, ",".join(addresses))
            topic = kafka.make_topic()
            with PartitionReader(kafka.settings, kafka.cluster, "reads") as reader:
                for partition in range(PARTITIONS):
                    reader.assign(topic, partition, 0)
                kafka.send(*(Sent(b"x", partition=partition) for partition in range(PARTITIONS)))
                read(reader, PARTITIONS)
                assert reader.unreadable == {}
                cluster.stop_broker(2)
                leaders = leaders_of(addresses[0], topic)
                lost = {f"{topic}[{partition}]" for partition, leader in enumerate(leaders) if leader < 0}
                assert 0 < len(lost) < PARTITIONS
                wait_for("their names", lambda: reader.read(10, 0.1) and reader.unreadable.keys() == lost, 20)
                assert set(reader.unreadable.values()) == {NO_LEADER}
                cluster.restart(2)
                wait_for("no complaint", lambda: reader.read(10, 0.1) and reader.unreadable == {}, 20)


def leaders_of(bootstrap_servers: str, topic: str) -> list[int]:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    partitions = admin.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions
    return [partitions[number].leader for number in sorted(partitions)]


def read_orders(pipeline: RunningPipeline) -> int:
    with pipeline.reader() as reader:
        return reader.totals().orders


@pytest.fixture
def distant_kafka(tmp_path: Path) -> Iterator[tuple[KafkaCluster, TcpProxy]]:
    """A broker behind a line that takes 80 ms there and back."""
    with TcpProxy() as proxy, KafkaCluster(tmp_path / "kafka", advertised=[proxy.address]) as kafka:
        proxy.target_port = kafka.port(1, CLIENTS)
        yield kafka, proxy


def test_sixty_distant_topics_are_read_within_seconds_and_a_new_one_joins_them(
    distant_kafka: tuple[KafkaCluster, TcpProxy], pipeline_with: Callable[..., RunningPipeline]
) -> None:
    _, proxy = distant_kafka
    topics = [unique("theirs") for _ in range(60)]
    make_topics(proxy.address, topics, 12)
    proxy.delay_s = 0.04
    settings: dict[str, Any] = own_names() | {"bootstrap_servers": proxy.address, "dlq_topics": "^theirs-"}
    pipeline = pipeline_with(**settings | {"roles": "collector"})
    pipeline.start("collector")
    wait_for("its start", lambda: pipeline.role("collector"), 60)
    began_ms = pipeline.role("collector").started_at_ms
    status = wait_for(
        "sixty topics",
        lambda: (role := pipeline.role("collector")) and len(role.figures.get("topics", ())) == 60 and role,
        60,
    )
    assert status.heartbeat_at_ms - began_ms < 15_000
    write(proxy.address, topics[7], 600)
    wait_for("the letters", lambda: collected(pipeline) == 600)

    one_more = unique("theirs")
    make_topics(proxy.address, [one_more], 12)
    write(proxy.address, one_more, 600)
    # While it joins, what comes to the others is collected as ever.
    write(proxy.address, topics[9], 600)
    asked_ms = steady_clock_ms()
    wait_for("all of it", lambda: collected(pipeline) == 1800)
    assert steady_clock_ms() - asked_ms < 15_000
    assert pipeline.role("collector").state == "running"


def test_a_partition_of_the_dead_letter_topic_without_a_leader_holds_up_its_own_dead_letters_only(
    three_brokers: KafkaCluster, pipeline_with: Callable[..., RunningPipeline]
) -> None:
    names = own_names()
    orders, dead = names["orders_topic"], names["dlq_topics"]
    address = three_brokers.bootstrap_servers
    make_topics(address, [orders], replicas=3)
    make_topics(address, [dead])
    pipeline = pipeline_with(**names | {"bootstrap_servers": address, "roles": "processor,collector"})
    pipeline.up()
    three_brokers.stop_broker(2)
    try:
        wait_for("the leaders' end", lambda: -1 in leaders_of(address, dead))
        write(address, orders, 600)
        wait_for("a dead letter", lambda: collected(pipeline) > 0, 60)
        with pipeline.reader() as reader:
            wait_for("all that can be sent", lambda: collected(pipeline) + reader.outbox_count() == 600, 60)
            assert 0 < reader.outbox_count() < 600
        detail = wait_for("the reason", lambda: detail_with(pipeline, "dead letters wait in the outbox"), 60)
        assert f"{dead}[" in detail
        # What comes meanwhile goes by.
        before = collected(pipeline)
        write(address, orders, 600)
        wait_for("more dead letters", lambda: collected(pipeline) >= before + 200, 60)
    finally:
        three_brokers.restart(2)
    wait_for("the rest", lambda: collected(pipeline) == 1200, 90)


def detail_with(pipeline: RunningPipeline, words: str) -> str:
    detail = detail_of(pipeline, "processor")
    return detail if words in detail else ""
