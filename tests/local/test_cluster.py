"""A local cluster keeps out whom it shall, loses a broker and goes on, and gets it back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.local.certificates import CertificateAuthority
from scripts.local.cluster import KafkaCluster
from scripts.local.server_properties import Security
from tests.support.kafkas import Kafka, Sent
from tests.support.running_pipeline import alive


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
