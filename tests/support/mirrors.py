"""Copies topics from one cluster to another, as a mirror does: same partitions, times, keys, values and headers."""

from __future__ import annotations

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from pipeline.kafka import Cluster, ClusterView, Sender, records_since
from pipeline.settings import Settings
from scripts.waiting import wait_for


def make_topic(cluster: Cluster, topic: str, partitions: int) -> None:
    """A topic that is there and led."""
    client = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    client.create_topics([NewTopic(topic, partitions)])[topic].result(10)
    wait_for(f"{topic}", lambda: topic in client.list_topics(timeout=10).topics)


def mirror(settings: Settings, source: Cluster, target: Cluster, topic: str, copied_as: str = "") -> int:
    """Makes the topic on `target` and copies all records there; returns how many."""
    name = copied_as or topic
    partitions = ClusterView(settings, source).partitions()[topic]
    if name not in ClusterView(settings, target).partitions():
        make_topic(target, name, partitions)
    sender = Sender(settings, target)
    copied = 0
    for record in records_since(settings, source, topic, dict.fromkeys(range(partitions), 0)):
        sender.send(
            name,
            record.key,
            record.value,
            record.headers,
            lambda delivery: None,
            record.position.partition,
            record.timestamp_ms,
        )
        copied += 1
        sender.poll()
    assert sender.flush(30.0) == 0
    return copied
