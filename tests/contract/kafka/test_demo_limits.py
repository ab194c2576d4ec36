"""What the app says that the demo cluster cannot do is true, limit by limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from pipeline.kafka import DEMO_LIMITS, DemoBroker, GroupReader, PartitionReader, Sender
from scripts.waiting import wait_for
from tests.support.kafkas import Kafka, Sent

ANSWER_S = 1.0
"""Long enough for a broker in this very process."""
KEPT_BYTES = 5_000_000


class Demo(Kafka):
    """A demo cluster of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.broker = DemoBroker(folder)
        super().__init__("demo", folder)
        self.admin = AdminClient({"bootstrap.servers": self.cluster.bootstrap_servers, "log_level": 0})


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    cluster = Demo(tmp_path)
    yield cluster
    cluster.broker.close()


def loses_everything_with_its_end(demo: Demo) -> None:
    demo.make_topic()
    demo.send(Sent(b"x"))
    demo.broker.close()
    again = DemoBroker(demo.settings.data_dir)
    after = Kafka("demo", demo.settings.data_dir)
    assert after.cluster != demo.cluster
    assert after.view().partitions() == {}
    again.close()


def keeps_the_newest_records_of_a_partition_only(demo: Demo) -> None:
    demo.make_topic()
    record_bytes, sent = 100_000, 80
    one_by_one = Sender(demo.with_settings(kafka_config={"batch.num.messages": 1}), demo.cluster)
    demo.send(*(Sent(bytes(record_bytes), partition=0) for _ in range(sent)), sender=one_by_one)
    with PartitionReader(demo.settings, demo.cluster, "look") as reader:
        low, high = reader.watermarks(demo.topic, 0)
    assert high == sent
    assert KEPT_BYTES * 0.9 <= (high - low) * record_bytes <= KEPT_BYTES * 1.1


def makes_topics_on_first_use_only(demo: Demo) -> None:
    demo.make_topic()
    assert demo.view().partitions() == {demo.topic: 4}
    beginning = TopicPartition(demo.topic, 0, 0)
    refused(lambda: demo.admin.create_topics([NewTopic("t", 1)], request_timeout=ANSWER_S)["t"].result(5))
    refused(lambda: demo.admin.delete_topics([demo.topic], request_timeout=ANSWER_S)[demo.topic].result(5))
    refused(lambda: demo.admin.delete_records([beginning], request_timeout=ANSWER_S)[beginning].result(5))
    assert demo.view().partitions() == {demo.topic: 4}


def lists_no_groups_and_describes_no_cluster(demo: Demo) -> None:
    listed = demo.admin.list_consumer_groups(request_timeout=ANSWER_S).result(5)
    assert (listed.valid, len(listed.errors)) == ([], 1)
    refused(lambda: demo.admin.describe_cluster(request_timeout=ANSWER_S).result(5))


def tells_no_topic_ids(demo: Demo) -> None:
    demo.make_topic()
    names = TopicCollection([demo.topic])
    refused(lambda: demo.admin.describe_topics(names, request_timeout=ANSWER_S)[demo.topic].result(5))
    assert demo.view().identities([demo.topic])[demo.topic].topic_id == ""


def finds_no_offsets_by_time(demo: Demo) -> None:
    demo.make_topic()
    demo.send(Sent(b"x", partition=0, timestamp_ms=2000))
    consumer = Consumer({"bootstrap.servers": demo.cluster.bootstrap_servers, "group.id": "look"})
    [found] = consumer.offsets_for_times([TopicPartition(demo.topic, 0, 1000)], timeout=5)
    consumer.close()
    assert found.offset == -1


def gives_nothing_back_before_the_session_ends(demo: Demo) -> None:
    demo.make_topic()
    first_s = seconds_to_join(demo, "a")
    # A member with a name of its own ends without leaving the group, however it ends.
    assert seconds_to_join(demo, "a") >= first_s + 1


PROOFS: dict[str, Callable[[Demo], None]] = {
    "durability": loses_everything_with_its_end,
    "retention": keeps_the_newest_records_of_a_partition_only,
    "topic_changes": makes_topics_on_first_use_only,
    "cluster_tools": lists_no_groups_and_describes_no_cluster,
    "topic_ids": tells_no_topic_ids,
    "offsets_by_time": finds_no_offsets_by_time,
    "quick_returns": gives_nothing_back_before_the_session_ends,
}


@pytest.mark.parametrize("limit", DEMO_LIMITS)
def test_the_demo_cluster_has_the_limit(limit, demo):
    PROOFS[limit](demo)


def refused(call: Callable[[], object]) -> None:
    with pytest.raises((KafkaException, TimeoutError)):
        call()


def seconds_to_join(demo: Demo, name: str) -> float:
    """How long a member waits for its partitions; then it ends."""
    got = threading.Event()

    def begin(reader: GroupReader, topic: str, partition: int) -> int:
        got.set()
        return 0

    began = time.monotonic()
    with GroupReader(demo.settings, demo.view(), name, begin, lambda *_: None, lambda _: None) as reader:
        reader.subscribe([demo.settings.orders_topic])
        wait_for("partitions", lambda: reader.read(1, 0.05) == ([], []) and got.is_set())
        return time.monotonic() - began
