"""A local cluster keeps out whom it shall, loses a broker and goes on, and gets it back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from scripts.local.certificates import CertificateAuthority
from scripts.local.cluster import KafkaCluster
from scripts.local.server_properties import CLIENTS, Security
from scripts.waiting import wait_for
from tests.support.kafka_admin import KafkaAdmin
from tests.support.kafkas import Kafka, Sent
from tests.support.running_pipeline import alive
from tests.support.tcp_proxy import TcpProxy


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    folder = tmp_path_factory.mktemp("secured")
    security = Security(
        listeners=("SSL", "SASL_SSL", "SASL_PLAINTEXT"),
        users={"writer": 'a "pass\\word', "guest": "g"},
        authority=CertificateAuthority(folder / "ca"),
        client_certificates=True,
        acls=True,
        super_users=("writer",),
    )
    # A broker that was killed may return after its session.
    quickly_missed = {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"}
    with KafkaCluster(folder / "kafka", properties=quickly_missed, security=security) as kafka:
        yield kafka


def client(secured: KafkaCluster, folder: Path, listener: str, user: str, mechanism: str) -> Kafka:
    config = secured.client_config(listener, user, mechanism)
    return Kafka("apache", folder, secured.addresses(listener), config)


LOGINS = [
    ("SSL", ""),
    ("SASL_SSL", "SCRAM-SHA-512"),
    ("SASL_SSL", "PLAIN"),
    ("SASL_PLAINTEXT", "SCRAM-SHA-512"),
    ("SASL_PLAINTEXT", "PLAIN"),
]


@pytest.mark.parametrize(("listener", "mechanism"), LOGINS)
def test_every_listener_lets_in_who_may_and_keeps_the_others_from_everything(secured, tmp_path, listener, mechanism):
    writer = client(secured, tmp_path, listener, "writer", mechanism)
    writer.make_topic()
    [delivery] = writer.send(Sent(b"x"))
    assert delivery.error == ""
    guest = client(secured, tmp_path, listener, "guest", mechanism)
    assert guest.view().partitions() == {}
    [delivery] = guest.send(Sent(b"x"), topic=writer.topic)
    assert "authorization failed" in delivery.error.lower()


def test_a_killed_broker_comes_back_on_its_port_with_its_data(secured, tmp_path):
    kafka = Kafka("apache", tmp_path, secured.bootstrap_servers)
    kafka.make_topic()
    assert kafka.send(Sent(b"before"))[0].error == ""
    pid = secured.pid(1)
    secured.kill(1)
    assert not alive(pid)
    secured.restart(1)
    assert kafka.send(Sent(b"after"))[0].error == ""
    assert sorted(record.value or b"" for record in kafka.read_all(2)) == [b"after", b"before"]
    assert secured.ended() == []


def test_three_brokers_go_on_without_one_of_them(tmp_path):
    with KafkaCluster(tmp_path / "kafka", brokers=3) as cluster:
        kafka = Kafka("apache", tmp_path, cluster.bootstrap_servers)
        kafka.make_topic()
        assert kafka.send(Sent(b"before"))[0].error == ""
        cluster.kill(1)
        assert kafka.send(Sent(b"after"))[0].error == ""
        assert len(kafka.read_all(2)) == 2


def test_a_broker_that_is_no_controller_takes_its_partitions_with_it(tmp_path):
    one_replica = {"num.partitions": "4", "default.replication.factor": "1"}
    with KafkaCluster(tmp_path / "kafka", 2, one_replica, controllers=1) as cluster:
        kafka = Kafka("apache", tmp_path, cluster.bootstrap_servers)
        topic, admin = kafka.make_topic(), KafkaAdmin(cluster.bootstrap_servers)
        assert len(admin.ends(topic)) == 4
        cluster.stop_broker(2)
        wait_for("two partitions without a leader", lambda: len(admin.ends(topic)) == 2)
        for partition in admin.ends(topic):
            assert kafka.send(Sent(b"x", partition=partition))[0].error == ""
        cluster.restart(2)
        wait_for("all four", lambda: len(admin.ends(topic)) == 4)


def test_a_client_goes_where_a_broker_sends_it_and_the_brokers_go_to_each_other(tmp_path):
    with TcpProxy() as first, TcpProxy() as second:
        proxies = first, second
        cluster = KafkaCluster(tmp_path / "kafka", 2, advertised=[proxy.address for proxy in proxies])
        with cluster as running:
            for broker, proxy in enumerate(proxies, 1):
                proxy.target_port = running.port(broker, CLIENTS)
            kafka = Kafka("apache", tmp_path, first.address)
            kafka.make_topic()
            assert kafka.send(Sent(b"by the proxies"))[0].error == ""
            first.cut()
            # Each topic has two replicas, and both must confirm.
            directly = Kafka("apache", tmp_path, running.bootstrap_servers)
            directly.make_topic()
            assert directly.send(*(Sent(b"x", partition=number) for number in range(2)))[0].error == ""
            found = AdminClient({"bootstrap.servers": second.address}).list_topics(timeout=10).brokers
            assert {broker: each.port for broker, each in found.items()} == {1: first.port, 2: second.port}
