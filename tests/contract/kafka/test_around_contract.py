"""Records around a place: those after it and before it, bounded in count and time; and how long topics keep theirs."""

from __future__ import annotations

import pytest
from confluent_kafka.cimpl import TopicPartition

from pipeline.errors import KafkaUnavailableError
from pipeline.kafka import AroundReader, LookedAt, TopicKeeping
from pipeline.kafka.around import spans_around
from pipeline.records import Position
from pipeline.settings import load_settings
from tests.support.kafka_admin import KafkaAdmin
from tests.support.kafkas import Kafka, Sent, on_kafka
from tests.support.transactions import TransactionalWriter

LONG_MS = 30_000


def look(kafka: Kafka, offset: int, most_ms: int = LONG_MS, **limits: int) -> tuple[LookedAt, list[int]]:
    """What was looked at in partition 0, and the offsets of the records in the order in which they came."""
    offsets: list[int] = []
    with AroundReader(kafka.settings, kafka.cluster, most_ms=most_ms, **limits) as reader:
        place = Position(kafka.topic, 0, offset)
        looked = reader.look(place, lambda record: offsets.append(record.position.offset))
    return looked, offsets


def send(kafka: Kafka, count: int) -> None:
    kafka.make_topic()
    kafka.send(*(Sent(b"%d" % number, partition=0) for number in range(count)))


@pytest.mark.parametrize(
    ("place", "spans"),
    [
        ((0, 100, 50, 10), [(50, 55), (45, 50)]),
        ((0, 100, 98, 10), [(98, 100), (90, 98)]),
        ((0, 100, 2, 10), [(2, 10), (0, 2)]),
        ((0, 100, 50, 1), [(50, 51)]),
        ((0, 100, 50, 1_000), [(50, 100), (0, 50)]),
        ((60, 100, 50, 10), [(60, 70)]),
        ((0, 100, 400, 10), [(90, 100)]),
        ((7, 7, 3, 10), []),
    ],
)
def test_what_is_looked_at_is_shared_out_between_both_sides(place, spans) -> None:
    assert spans_around(*place) == spans


@on_kafka()
def test_records_after_the_place_come_first_and_then_those_before_it(kafka: Kafka) -> None:
    send(kafka, 30)
    looked, offsets = look(kafka, 20)
    assert offsets == [*range(20, 30), *range(20)]
    assert looked == LookedAt(0, 30, ((0, 30),), 30)


@on_kafka()
def test_no_more_records_are_looked_at_than_one_may(kafka: Kafka) -> None:
    send(kafka, 60)
    looked, offsets = look(kafka, 40, most_records=10)
    assert offsets == [*range(40, 45), *range(35, 40)]
    assert looked == LookedAt(0, 60, ((35, 45),), 10)


@on_kafka()
def test_all_looks_of_one_reader_share_the_limit(kafka: Kafka) -> None:
    send(kafka, 30)
    found: list[int] = []
    with AroundReader(kafka.settings, kafka.cluster, most_records=6, most_ms=LONG_MS) as reader:
        for offset, most in ((29, 1), (10, None)):
            place = Position(kafka.topic, 0, offset)
            reader.look(place, lambda record: found.append(record.position.offset), most)
    assert found == [29, 10, 11, 12, 8, 9]


@on_kafka()
def test_it_takes_no_longer_than_it_may_and_says_so(kafka: Kafka) -> None:
    send(kafka, 30)
    looked, offsets = look(kafka, 10, most_ms=-1)
    assert (looked.spans, looked.records, offsets) == ((), 0, [])
    assert looked.cut.startswith("it took longer than")


@on_kafka("topic_changes")
def test_what_was_removed_is_not_looked_for(kafka: Kafka) -> None:
    send(kafka, 30)
    remove_before(kafka, 15)
    looked, offsets = look(kafka, 5)
    assert offsets == [*range(15, 30)]
    assert (looked.low, looked.high, looked.spans) == (15, 30, ((15, 30),))


def remove_before(kafka: Kafka, offset: int) -> None:
    from confluent_kafka.admin import AdminClient

    client = AdminClient({"bootstrap.servers": kafka.cluster.bootstrap_servers})
    before = TopicPartition(kafka.topic, 0, offset)
    assert client.delete_records([before])[before].result(10).low_watermark == offset


@on_kafka("topic_changes")
def test_aborted_records_and_markers_are_passed(kafka: Kafka) -> None:
    kafka.make_topic()
    writer = TransactionalWriter(kafka.cluster.bootstrap_servers)
    writer.write(kafka.topic, [b"first"])
    writer.write_and_abort(kafka.topic, [b"aborted"] * 20)
    looked, offsets = look(kafka, 0)
    assert offsets == [0]
    assert looked.spans == ((0, looked.high),)
    assert not looked.cut


def test_nobody_that_answers_is_told(tmp_path) -> None:
    settings = load_settings(data_dir=tmp_path, bootstrap_servers="127.0.0.1:9")
    from pipeline.kafka import Cluster

    with AroundReader(settings, Cluster("127.0.0.1:9")) as reader, pytest.raises(KafkaUnavailableError):
        reader.look(Position("orders", 0, 0), lambda record: None)


# ---- how long topics keep their records


@on_kafka("topic_changes")
def test_how_long_a_topic_keeps_its_records_is_asked(kafka: Kafka) -> None:
    kafka.make_topic()
    admin = KafkaAdmin(kafka.cluster.bootstrap_servers)
    with (
        admin.topic_config(kafka.topic, "retention.ms", "3600000"),
        admin.topic_config(kafka.topic, "retention.bytes", "1000000"),
    ):
        assert kafka.view().keeping([kafka.topic]) == (
            {kafka.topic: TopicKeeping(True, False, 3_600_000, 1_000_000)},
            {},
        )
    with admin.topic_config(kafka.topic, "cleanup.policy", "compact"):
        assert kafka.view().keeping([kafka.topic])[0][kafka.topic] == TopicKeeping(False, True, None, None)
    with (
        admin.topic_config(kafka.topic, "cleanup.policy", "compact,delete"),
        admin.topic_config(kafka.topic, "retention.ms", "-1"),
    ):
        assert kafka.view().keeping([kafka.topic])[0][kafka.topic] == TopicKeeping(True, True, None, None)


@on_kafka("topic_changes")
def test_of_a_topic_that_there_is_not_it_is_said_why_nothing_is_known(kafka: Kafka) -> None:
    found, missing = kafka.view().keeping(["no-such-topic"])
    assert found == {}
    assert missing["no-such-topic"]


@on_kafka()
def test_the_demo_cluster_says_what_it_does_instead(kafka: Kafka) -> None:
    kafka.make_topic()
    found, missing = kafka.view().keeping([kafka.topic])
    if kafka.kind == "demo":
        assert "keeps the newest 5 MB" in missing[kafka.topic]
    else:
        assert found[kafka.topic].deletes
