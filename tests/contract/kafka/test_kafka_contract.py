"""What pipeline/kafka promises, kept by the demo cluster and by Apache Kafka alike.

A test that needs what the demo cluster cannot do names it, from DEMO_LIMITS: `on_kafka("topic_ids")`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from pipeline.errors import KafkaUnavailableError
from pipeline.kafka import (
    ClusterView,
    Gap,
    PartitionReader,
    Sender,
    ends,
    records_since,
)
from scripts.waiting import wait_for
from tests.support.kafkas import PARTITIONS, Kafka, Sent, on_kafka, read, recreate_topic, values

# Of Kafka's own UtilsTest: keys with the murmur2 hash that Java gives them.
JAVA_MURMUR2 = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


def java_partition(key: bytes) -> int:
    return (JAVA_MURMUR2[key] & 0x7FFFFFFF) % PARTITIONS


@pytest.fixture
def reader(kafka: Kafka) -> Iterator[PartitionReader]:
    kafka.make_topic()
    with PartitionReader(kafka.settings, kafka.cluster, kafka.settings.group_id) as opened:
        yield opened


# -- ClusterView


@on_kafka()
def test_a_topic_that_is_not_there_is_made_and_then_left_as_it_is(kafka):
    view = kafka.view()
    assert kafka.topic not in view.partitions()
    kafka.make_topic()
    view.ensure_topic(kafka.topic)
    assert view.partitions()[kafka.topic] == PARTITIONS


@on_kafka("topic_changes")
def test_a_topic_is_made_with_the_partitions_and_retention_of_the_settings(kafka, apache_kafka):
    settings = kafka.with_settings(topic_partitions=7, orders_retention_h=48)
    view = ClusterView(settings, kafka.cluster)
    view.ensure_topic(kafka.topic)
    wait_for("the topic", lambda: view.partitions().get(kafka.topic) == 7)
    told = apache_kafka.tool("org.apache.kafka.tools.TopicCommand", "--describe", "--topic", kafka.topic)
    assert "retention.ms=172800000" in told


@on_kafka("topic_changes")
def test_a_topic_that_kafka_refuses_is_named_with_the_reason_and_the_command(kafka):
    view = ClusterView(kafka.with_settings(topic_replication=3), kafka.cluster)
    with pytest.raises(KafkaUnavailableError, match=rf"{kafka.topic} is not there.*--replication-factor 3"):
        view.ensure_topic(kafka.topic)


@on_kafka()
def test_an_identity_stays_the_same_and_is_told_apart_by_topic(kafka):
    kafka.make_topic()
    kafka.send(Sent(b"x"), topic=kafka.settings.own_dlq_topic)
    topics = [kafka.topic, kafka.settings.own_dlq_topic]
    first, second = kafka.view().identities(topics), kafka.view().identities(topics)
    assert first == second
    assert list(first) == topics
    assert len({*first.values()}) == 2
    assert all(identity.cluster_id for identity in first.values())
    assert kafka.view().identities([]) == {}


@on_kafka("topic_ids")
def test_an_identity_has_kafka_s_own_topic_id(kafka):
    kafka.make_topic()
    before = kafka.view().identities([kafka.topic])[kafka.topic]
    recreate_topic(kafka.cluster, kafka.topic)
    after = kafka.view().identities([kafka.topic])[kafka.topic]
    assert before.topic_id
    assert after.topic_id
    assert before.topic_id != after.topic_id
    assert before.cluster_id == after.cluster_id


@on_kafka("topic_ids")
def test_the_identity_of_a_topic_that_is_not_there_is_an_error_that_names_it(kafka):
    with pytest.raises(KafkaUnavailableError, match=f"looking up {kafka.topic}: "):
        kafka.view().identities([kafka.topic])


# -- Sender


@on_kafka()
def test_keys_values_headers_and_timestamps_arrive_as_they_were_sent(kafka):
    kafka.make_topic()
    headers = (("a", None), ("a", b""), ("b", b"\xff\x00"), ("a", b"1"), ("", b"no name"), ("ü", "ü".encode()))
    sent = [
        Sent(b"\xff\xfe\x00", b"\xff\x00", headers, 1, 1),
        Sent(b"plain", None, (), 1, 1_700_000_000_123),
        Sent(b"", b"", (("empty", b""),), 1, 1_700_000_000_122),
        Sent(None, b"tombstone", (), 1, 1_700_000_000_124),
    ]
    assert {delivery.error for delivery in kafka.send(*sent)} == {""}
    assert [
        Sent(record.value, record.key, record.headers, record.position.partition, record.timestamp_ms)
        for record in kafka.read_all(len(sent))
    ] == sent


@on_kafka()
def test_a_record_without_a_timestamp_is_of_now(kafka):
    kafka.make_topic()
    before_ms = time.time_ns() // 1_000_000
    kafka.send(Sent(b"zero"), Sent(b"unknown", timestamp_ms=-1))
    after_ms = time.time_ns() // 1_000_000
    assert all(before_ms <= record.timestamp_ms <= after_ms for record in kafka.read_all(2))


@on_kafka()
def test_confirmations_say_where_each_record_stands(kafka):
    kafka.make_topic()
    deliveries = kafka.send(*(Sent(b"%d" % number, partition=number % 2) for number in range(100)))
    assert {delivery.error for delivery in deliveries} == {""}
    assert {delivery.topic for delivery in deliveries} == {kafka.topic}
    values = {(record.position.partition, record.position.offset): record.value for record in kafka.read_all(100)}
    assert [values[delivery.partition, delivery.offset] for delivery in deliveries] == [b"%d" % n for n in range(100)]


@on_kafka()
def test_a_partition_that_is_not_there_is_reported_and_the_next_record_goes_out(kafka):
    kafka.make_topic()
    wrong, right = kafka.send(Sent(b"lost", partition=PARTITIONS), Sent(b"found", partition=0))
    assert wrong.error
    assert wrong.offset == -1
    assert (right.partition, right.offset, right.error) == (0, 0, "")


@on_kafka()
def test_a_key_goes_to_the_partition_where_java_puts_it(kafka):
    kafka.make_topic()
    keys = list(JAVA_MURMUR2)
    found = kafka.send(*(Sent(b"x", key) for key in keys))
    assert [delivery.partition for delivery in found] == [java_partition(key) for key in keys]


def test_a_key_goes_where_kafka_s_own_producer_puts_it(apache_kafka, tmp_path):
    kafka = Kafka("apache", tmp_path, apache_kafka.bootstrap_servers)
    kafka.make_topic()
    keys = [f"C{number:04d}".encode() for number in range(60)] + [b""]
    lines = "".join(f"{key.decode()}\tjava\n" for key in keys)
    options = ("--reader-property", "parse.key=true")
    apache_kafka.tool("org.apache.kafka.tools.ConsoleProducer", "--topic", kafka.topic, *options, stdin=lines)
    kafka.send(*(Sent(b"ours", key) for key in keys))
    partitions_of: dict[bytes | None, set[int]] = {}
    for record in kafka.read_all(2 * len(keys)):
        partitions_of.setdefault(record.key, set()).add(record.position.partition)
    assert set(partitions_of) == set(keys)
    assert {len(partitions) for partitions in partitions_of.values()} == {1}


@on_kafka()
def test_records_without_a_key_are_spread(kafka):
    kafka.make_topic()
    # One by one: a batch of records without keys goes to one partition.
    sender = Sender(kafka.with_settings(kafka_config={"sticky.partitioning.linger.ms": 0}), kafka.cluster)
    deliveries = kafka.send(*(Sent(b"x") for _ in range(200)), sender=sender)
    assert {delivery.partition for delivery in deliveries} == set(range(PARTITIONS))


@on_kafka()
def test_a_full_queue_makes_the_sender_wait_and_nothing_is_lost(kafka):
    kafka.make_topic()
    sender = Sender(kafka.with_settings(kafka_config={"queue.buffering.max.messages": 10}), kafka.cluster)
    deliveries = kafka.send(*(Sent(b"%d" % number, partition=0) for number in range(500)), sender=sender)
    assert [delivery.offset for delivery in deliveries] == list(range(500))


@on_kafka("topic_changes")
def test_a_record_that_the_broker_finds_too_large_is_reported(kafka):
    kafka.make_topic()
    [delivery] = kafka.send(Sent(bytes(1_100_000)))
    assert "too large" in delivery.error.lower()


# -- Reader and PartitionReader


@on_kafka()
def test_each_partition_is_read_in_its_order_from_the_offset_that_was_named(kafka, reader):
    kafka.send(*(Sent(b"%d" % number, partition=number % 2) for number in range(1000)))
    reader.assign(kafka.topic, 0, 100)
    reader.assign(kafka.topic, 1, 0)
    found = read(reader, 900)
    for partition, first in ((0, 100), (1, 0)):
        offsets = [record.position.offset for record in found if record.position.partition == partition]
        assert offsets == list(range(first, 500))


@on_kafka()
def test_no_more_records_are_returned_than_were_asked_for(kafka, reader):
    kafka.send(*(Sent(b"%d" % number, partition=0) for number in range(50)))
    reader.assign(kafka.topic, 0, 0)
    sizes: list[int] = []

    def all_read() -> bool:
        sizes.append(len(reader.read(7, 0.2)[0]))
        return sum(sizes) >= 50

    wait_for("50 records", all_read)
    assert sum(sizes) == 50
    assert max(sizes) <= 7


@on_kafka()
def test_watermarks_are_the_oldest_offset_and_the_one_after_the_newest(kafka, reader):
    assert reader.watermarks(kafka.topic, 2) == (0, 0)
    kafka.send(*(Sent(b"x", partition=2) for _ in range(3)))
    assert reader.watermarks(kafka.topic, 2) == (0, 3)
    assert ends(kafka.settings, kafka.cluster, kafka.topic, PARTITIONS) == {0: 0, 1: 0, 2: 3, 3: 0}


@on_kafka()
def test_the_high_watermark_is_known_from_the_last_fetch(kafka, reader):
    kafka.send(*(Sent(b"x", partition=0) for _ in range(5)))
    assert reader.known_high(kafka.topic, 0) is None
    reader.assign(kafka.topic, 0, 0)
    read(reader, 5)
    assert reader.known_high(kafka.topic, 0) == 5


@on_kafka()
def test_seek_goes_on_at_another_offset_forward_and_back(kafka, reader):
    kafka.send(*(Sent(b"%d" % number, partition=0) for number in range(20)))
    reader.assign(kafka.topic, 0, 0)
    read(reader, 20)
    reader.seek(kafka.topic, 0, 17)
    assert values(read(reader, 3)) == [b"17", b"18", b"19"]
    reader.seek(kafka.topic, 0, 0)
    assert values(read(reader, 20)) == [b"%d" % number for number in range(20)]


@on_kafka()
def test_an_offset_beyond_the_end_is_a_gap_that_says_what_there_is(kafka, reader):
    kafka.send(*(Sent(b"%d" % number, partition=0) for number in range(3)))
    reader.assign(kafka.topic, 0, 40)
    assert gap_of(reader) == Gap(kafka.topic, 0, 0, 3)
    reader.seek(kafka.topic, 0, 1)
    assert values(read(reader, 2)) == [b"1", b"2"]


@on_kafka("topic_changes")
def test_deleted_records_are_a_gap_that_says_what_there_is(kafka, reader):
    kafka.send(*(Sent(b"%d" % number, partition=0) for number in range(20)))
    delete_records(kafka, 0, 12)
    assert reader.watermarks(kafka.topic, 0) == (12, 20)
    reader.assign(kafka.topic, 0, 5)
    assert gap_of(reader) == Gap(kafka.topic, 0, 12, 20)
    reader.seek(kafka.topic, 0, 12)
    assert values(read(reader, 8)) == [b"%d" % number for number in range(12, 20)]


@on_kafka()
def test_records_since_ends_where_the_partitions_end(kafka):
    kafka.make_topic()
    kafka.send(*(Sent(b"%d" % number, partition=number % 2) for number in range(3000)))
    found = list(records_since(kafka.settings, kafka.cluster, kafka.topic, {0: 1000, 1: 0, 2: 0}))
    assert sorted(record.position.offset for record in found if record.position.partition == 0) == [*range(1000, 1500)]
    assert len(found) == 2000
    assert list(records_since(kafka.settings, kafka.cluster, kafka.topic, {})) == []


@on_kafka()
def test_records_since_hears_of_empty_partitions_before_the_record_of_another(kafka):
    kafka.make_topic()
    kafka.send(Sent(b"x", partition=0))
    # What comes first is a matter of luck.
    for _ in range(20):
        found = records_since(kafka.settings, kafka.cluster, kafka.topic, dict.fromkeys(range(PARTITIONS), 0))
        assert values(found) == [b"x"]


@on_kafka()
def test_records_since_ends_where_the_partition_ended_though_records_never_stop_coming(kafka):
    # An empty fetch, which the library takes for a partition's end, never comes then.
    kafka.make_topic()
    kafka.send(*(Sent(b"before", partition=0) for _ in range(10)))
    stop = threading.Event()

    def write() -> None:
        sender = Sender(kafka.settings, kafka.cluster)
        while not stop.wait(0.001):
            sender.send(kafka.topic, None, b"meanwhile", (), lambda _: None, 0)
            sender.poll()
        sender.flush(10)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_for("the flow", lambda: ends(kafka.settings, kafka.cluster, kafka.topic, 1)[0] > 20)
        until_s = time.monotonic() + 10
        found = []
        for record in records_since(kafka.settings, kafka.cluster, kafka.topic, {0: 5}):
            assert time.monotonic() < until_s, "it does not end"
            found.append(record)
    finally:
        stop.set()
        writer.join()
    assert values(found)[:6] == [b"before"] * 5 + [b"meanwhile"]


@on_kafka("topic_changes")
def test_records_since_begins_at_the_oldest_there_is(kafka):
    kafka.make_topic()
    kafka.send(*(Sent(b"%d" % number, partition=0) for number in range(20)))
    delete_records(kafka, 0, 15)
    found = list(records_since(kafka.settings, kafka.cluster, kafka.topic, {0: 3, 1: 0}))
    assert values(found) == [b"15", b"16", b"17", b"18", b"19"]


@on_kafka()
def test_what_is_told_kafka_is_a_committed_offset(kafka, reader):
    kafka.send(*(Sent(b"x", partition=0) for _ in range(9)))
    reader.commit_offsets({})
    reader.commit_offsets({(kafka.topic, 0): 4, (kafka.topic, 1): 0})
    looking = Consumer({"bootstrap.servers": kafka.cluster.bootstrap_servers, "group.id": kafka.settings.group_id})
    both = [TopicPartition(kafka.topic, 0), TopicPartition(kafka.topic, 1)]

    def committed() -> list[int]:
        reader.read(1, 0)
        return [each.offset for each in looking.committed(both, timeout=5)]

    wait_for("the committed offsets", lambda: committed() == [4, 0])
    looking.close()


@on_kafka("cluster_tools")
def test_lag_tools_show_what_kafka_was_told(kafka, reader, apache_kafka):
    kafka.send(*(Sent(b"x", partition=0) for _ in range(9)))
    reader.commit_offsets({(kafka.topic, 0): 4})
    tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"

    def lag() -> list[str]:
        shown = apache_kafka.tool(tool, "--describe", "--group", kafka.settings.group_id)
        return next((line.split()[1:6] for line in shown.splitlines() if kafka.topic in line), [])

    wait_for("the group's lag", lambda: lag() == [kafka.topic, "0", "4", "9", "5"])


# -- what only Apache Kafka can be asked to do


def gap_of(reader: PartitionReader) -> Gap:
    [gap] = wait_for("the gap", lambda: reader.read(100, 0.2)[1])
    return gap


def admin(kafka: Kafka) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.cluster.bootstrap_servers})


def delete_records(kafka: Kafka, partition: int, before_offset: int) -> None:
    before = TopicPartition(kafka.topic, partition, before_offset)
    client = admin(kafka)
    assert client.delete_records([before])[before].result(10).low_watermark == before_offset
