"""The clusters that tests share: the demo cluster and Apache Kafka itself, each started when the first test asks."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from pipeline.kafka import DemoBroker
from scripts.local.cluster import KafkaCluster
from tests.support.kafkas import CONSUMER_PROTOCOL, PARTITIONS, SHORT_SESSIONS, Kafka

# How long one example takes says how busy the machine is; what is slow by itself has tests of its own.
settings.register_profile("without deadlines", deadline=None)
settings.load_profile("without deadlines")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spreads files with a browser among those that mostly wait for Kafka: four browsers at once starve each other."""
    files = list(dict.fromkeys(item.path for item in items))
    browsing = [file for file in files if file.parent.name == "browser"]
    waiting = [file for file in files if file.parent.name in ("chaos", "pipeline", "registry")]
    if browsing and waiting:
        place = dict.fromkeys(files, float(len(files)))
        place |= {file: index for index, file in enumerate(waiting)}
        place |= {file: (index + 0.5) * len(waiting) / len(browsing) for index, file in enumerate(browsing)}
        items.sort(key=lambda item: place[item.path])


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """One broker of Apache Kafka for the whole session (of each xdist worker); its tests use names of their own."""
    folder = tmp_path_factory.mktemp("apache")
    with KafkaCluster(folder / "kafka", properties={"num.partitions": str(PARTITIONS), **SHORT_SESSIONS}) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def demo_cluster_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a demo cluster that runs for the whole session."""
    folder = tmp_path_factory.mktemp("demo")
    broker = DemoBroker(folder)
    yield folder
    broker.close()


@pytest.fixture
def kafka(request: pytest.FixtureRequest, tmp_path: Path) -> Kafka:
    """The cluster that `on_kafka` names, with topics and a group that no other test has."""
    if request.param in ("apache", CONSUMER_PROTOCOL):
        config = {"group.protocol": "consumer"} if request.param == CONSUMER_PROTOCOL else {}
        return Kafka("apache", tmp_path, request.getfixturevalue("apache_kafka").bootstrap_servers, config)
    return Kafka("demo", request.getfixturevalue("demo_cluster_dir"))


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
