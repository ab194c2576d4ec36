"""Offsets are not records: markers of transactions, aborted and compacted ones are nobody's loss."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from pipeline.errors import KafkaUnavailableError
from pipeline.kafka import PartitionReader, records_since
from pipeline.kafka.times import _TimesReader
from scripts.waiting import wait_for
from tests.support.kafkas import Kafka, Sent, on_kafka, read, values
from tests.support.transactions import TransactionalWriter

ON_APACHE = on_kafka("topic_changes")
QUICK_STATISTICS = {"statistics.interval.ms": 100}


@pytest.fixture
def reader(kafka: Kafka) -> Iterator[PartitionReader]:
    kafka.make_topic()
    settings = kafka.with_settings(kafka_config=QUICK_STATISTICS)
    with PartitionReader(settings, kafka.cluster, kafka.settings.group_id) as opened:
        yield opened


@pytest.fixture
def writer(kafka: Kafka, reader: PartitionReader) -> TransactionalWriter:
    return TransactionalWriter(kafka.cluster.bootstrap_servers)


def passes(reader: PartitionReader, kafka: Kafka, offset: int) -> None:
    """Reads nothing until the position is there."""

    def there() -> bool:
        assert reader.read(1000, 0.1) == ([], [])
        return reader.position(kafka.topic, 0) == offset

    wait_for(f"the position {offset}", there)


@on_kafka()
def test_a_position_is_known_after_the_first_record_and_forgotten_with_the_assignment(kafka, reader):
    kafka.send(*(Sent(b"x", partition=0) for _ in range(5)))
    assert reader.position(kafka.topic, 0) is None
    reader.assign(kafka.topic, 0, 0)
    read(reader, 5)
    assert reader.position(kafka.topic, 0) == reader.known_high(kafka.topic, 0) == 5
    reader.seek(kafka.topic, 0, 2)
    assert reader.position(kafka.topic, 0) is None
    read(reader, 3)
    assert reader.position(kafka.topic, 0) == 5


@ON_APACHE
def test_a_position_passes_the_markers_of_transactions_and_aborted_records(kafka, reader, writer):
    writer.write(kafka.topic, [b"%d" % number for number in range(20)])
    writer.write_and_abort(kafka.topic, [b"aborted"] * 1000)
    reader.assign(kafka.topic, 0, 0)
    assert values(read(reader, 20)) == [b"%d" % number for number in range(20)]
    passes(reader, kafka, 1022)
    assert reader.known_high(kafka.topic, 0) == 1022


@ON_APACHE
def test_what_an_undecided_transaction_holds_back_is_not_there_to_be_read(kafka, reader, writer):
    kafka.send(*(Sent(b"before", partition=0) for _ in range(3)))
    reader.assign(kafka.topic, 0, 0)
    read(reader, 3)
    writer.begin(kafka.topic, [b"undecided"] * 5)
    kafka.send(Sent(b"behind it", partition=0))
    wait_for("its end to be told", lambda: reader.read(10, 0.1) == ([], []) and reader.known_high(kafka.topic, 0) == 3)
    writer.commit()
    assert values(read(reader, 6)) == [b"undecided"] * 5 + [b"behind it"]
    passes(reader, kafka, 10)
    assert reader.known_high(kafka.topic, 0) == 10


@ON_APACHE
def test_records_since_ends_behind_aborted_records_and_before_undecided_ones(kafka, writer):
    writer.write(kafka.topic, [b"1", b"2"])
    writer.write_and_abort(kafka.topic, [b"aborted"] * 30)
    assert values(records_since(kafka.settings, kafka.cluster, kafka.topic, {0: 0})) == [b"1", b"2"]
    writer.begin(kafka.topic, [b"undecided"] * 5)
    assert values(records_since(kafka.settings, kafka.cluster, kafka.topic, {0: 0})) == [b"1", b"2"]
    writer.abort()


@pytest.mark.parametrize(
    ("policy", "compacted"), [("delete", False), ("compact", True), ("compact,delete", True)], ids=str
)
@ON_APACHE
def test_a_topic_s_policy_says_whether_compaction_may_have_taken_records(kafka, policy, compacted):
    client = AdminClient({"bootstrap.servers": kafka.cluster.bootstrap_servers})
    client.create_topics([NewTopic(kafka.topic, 1, config={"cleanup.policy": policy})])[kafka.topic].result(10)
    view = kafka.view()
    wait_for("the topic", lambda: kafka.topic in view.partitions())
    assert view.may_be_compacted([kafka.topic]) == ({kafka.topic} if compacted else set())


@on_kafka()
def test_nothing_is_compacted_that_was_not_asked_about(kafka):
    assert kafka.view().may_be_compacted([]) == set()


@ON_APACHE
def test_a_partition_whose_times_are_not_told_is_an_error_not_one_without_such_records(kafka):
    topic = kafka.make_topic()
    kafka.send(Sent(b"x", partition=0))
    with _TimesReader(kafka.settings, kafka.cluster, "looks") as reader:
        assert reader.offsets_at(topic, [0, 1], 0) == {0: 0, 1: -1}
        # It is asked about partitions that the topic had a moment ago.
        with pytest.raises(KafkaUnavailableError, match=rf"records of {topic} by their time: {topic}\[99\]"):
            reader.offsets_at(topic, [0, 99], 0)
