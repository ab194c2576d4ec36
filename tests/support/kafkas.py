"""Where a test of Kafka runs: on the demo cluster and on Apache Kafka, unless it needs what the demo cannot do."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from pipeline.errors import KafkaUnavailableError
from pipeline.kafka import (
    DEMO_LIMITS,
    Cluster,
    ClusterView,
    Delivery,
    PartitionReader,
    Reader,
    Sender,
    ends,
    find_cluster,
)
from pipeline.records import Headers, Record
from pipeline.settings import Settings, load_settings
from scripts.waiting import wait_for

QUICK_FETCHES = {"fetch.wait.max.ms": 50}
"""By default a broker holds a fetch without news for half a second, and what else is asked meanwhile waits."""
CONSUMER_PROTOCOL = "apache, group.protocol=consumer"
SHORTEST_SESSION_MS = 3000
SHORT_SESSIONS = {
    "group.consumer.min.session.timeout.ms": str(SHORTEST_SESSION_MS),
    "group.consumer.session.timeout.ms": str(SHORTEST_SESSION_MS),
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "500",
}
"""The brokers' own session, where the protocol leaves it to them: by default 45 s, and no shorter one may be set."""
PARTITIONS = 4
"""Of a topic that nobody asked for otherwise, on both clusters."""


def on_kafka(*needs: str) -> pytest.MarkDecorator:
    """Runs a test of one client on the demo cluster and on Apache Kafka; on the latter alone for one of DEMO_LIMITS."""
    return pytest.mark.parametrize("kafka", _clusters(needs), indirect=True)


def on_group_protocols() -> pytest.MarkDecorator:
    """Runs a test of the processors' group on both clusters, and on Apache Kafka with both of its group protocols."""
    return pytest.mark.parametrize("kafka", ["demo", "apache", CONSUMER_PROTOCOL], indirect=True)


def on_clusters(*needs: str) -> pytest.MarkDecorator:
    """The same for a test of whole pipelines."""
    return pytest.mark.parametrize("cluster_settings", _clusters(needs), indirect=True)


def _clusters(needs: tuple[str, ...]) -> list[str]:
    unknown = set(needs) - DEMO_LIMITS.keys()
    assert not unknown, f"{unknown} is no limit of the demo cluster, so the test runs there too"
    return ["apache"] if needs else ["demo", "apache"]


def own_names() -> dict[str, Any]:
    """Settings with topics and a group that no other test has."""
    name = uuid.uuid4().hex[:8]
    return {"orders_topic": f"orders-{name}", "dlq_topics": f"dead-{name}", "group_id": f"group-{name}"}


@dataclass(frozen=True, slots=True)
class Sent:
    """One record to send."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    partition: int | None = None
    timestamp_ms: int = 0


def values(records: Iterable[Record]) -> list[bytes | None]:
    """The value of each."""
    return [record.value for record in records]


def read(reader: Reader, count: int) -> list[Record]:
    """Reads on until so many records have come."""
    found: list[Record] = []

    def enough() -> bool:
        records, gaps = reader.read(1000, 0.2)
        assert gaps == []
        found.extend(records)
        return len(found) >= count

    wait_for(f"{count} records", enough)
    assert len(found) == count
    return found


class Kafka:
    """A cluster that runs, seen by one test."""

    def __init__(
        self, kind: str, data_dir: Path, bootstrap_servers: str = "", config: Mapping[str, Any] | None = None
    ) -> None:
        self.kind = kind
        self.settings: Settings = load_settings(
            data_dir=data_dir,
            bootstrap_servers=bootstrap_servers,
            kafka_config={**QUICK_FETCHES, **(config or {})},
            **own_names(),
        )
        self.topic = self.settings.orders_topic
        self.cluster: Cluster = find_cluster(self.settings)

    def with_settings(self, **changes: Any) -> Settings:
        """The test's settings with some of them changed."""
        given = self.settings.model_dump(exclude_unset=True)
        config = {**given["kafka_config"], **changes.pop("kafka_config", {})}
        return load_settings(**{**given, "kafka_config": config, **changes})

    def view(self) -> ClusterView:
        """What the cluster says of its topics."""
        return ClusterView(self.settings, self.cluster)

    def make_topic(self) -> str:
        """The test's topic, made, and led: Kafka tells of a topic before its partitions can be asked for anything."""
        view = self.view()
        view.ensure_topic(self.topic)
        wait_for(f"{self.topic} and its leaders", lambda: self._led(view.partitions().get(self.topic, 0)))
        return self.topic

    def _led(self, partitions: int) -> bool:
        try:
            return bool(ends(self.settings, self.cluster, self.topic, partitions))
        except KafkaUnavailableError:
            return False

    def send(self, *records: Sent, topic: str = "", sender: Sender | None = None) -> list[Delivery]:
        """Sends records, one after the other, and returns their confirmations in that order."""
        sender = sender or Sender(self.settings, self.cluster)
        confirmed: dict[int, Delivery] = {}
        for number, record in enumerate(records):
            sender.send(
                topic or self.topic,
                record.key,
                record.value,
                record.headers,
                partial(confirmed.__setitem__, number),
                record.partition,
                record.timestamp_ms,
            )
        assert sender.flush(30.0) == 0
        return [confirmed[number] for number in range(len(records))]

    def read_all(self, count: int, topic: str = "") -> list[Record]:
        """So many records of a topic, from all its partitions, by partition and offset."""
        name = topic or self.topic
        with PartitionReader(self.settings, self.cluster, f"{self.settings.group_id}-all") as reader:
            for partition in range(self.view().partitions()[name]):
                reader.assign(name, partition, reader.watermarks(name, partition)[0])
            return sorted(read(reader, count), key=lambda record: (record.position.partition, record.position.offset))


def recreate_topic(cluster: Cluster, topic: str, partitions: int = PARTITIONS) -> None:
    """Deletes a topic and makes another one of its name."""
    client = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    client.delete_topics([topic])[topic].result(10)
    wait_for("the topic's end", lambda: topic not in client.list_topics(timeout=10).topics)
    client.create_topics([NewTopic(topic, partitions)])[topic].result(10)
