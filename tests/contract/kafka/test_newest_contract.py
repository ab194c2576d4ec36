"""A sample of a topic: its newest records over all partitions, bounded in count, bytes and time."""

from __future__ import annotations

import pytest

from pipeline.clock import wall_clock_ms
from pipeline.errors import KafkaUnavailableError
from pipeline.kafka import Newest, look_at_topics, newest_records
from pipeline.settings import load_settings
from tests.support.kafkas import PARTITIONS, Kafka, Sent, on_kafka, values
from tests.support.transactions import TransactionalWriter

SINCE_MS = wall_clock_ms() - 3_600_000
"""What is older than its retention, a broker may remove at any moment."""


def newest(kafka: Kafka, **limits: int) -> Newest:
    return newest_records(kafka.settings, kafka.cluster, kafka.topic, PARTITIONS, **limits)


@on_kafka()
def test_an_empty_topic_has_none(kafka):
    kafka.make_topic()
    assert newest(kafka) == Newest([], 0)


@on_kafka()
def test_all_of_a_small_topic_are_read_newest_first(kafka):
    kafka.make_topic()
    kafka.send(
        *(Sent(b"%d" % number, partition=number % 4, timestamp_ms=SINCE_MS + 1000 + number) for number in range(30))
    )
    found = newest(kafka)
    assert values(found.records) == [b"%d" % number for number in reversed(range(30))]
    assert (found.held, found.cut) == (30, "")


@on_kafka()
def test_the_newest_of_all_partitions_are_read_however_they_are_spread(kafka):
    kafka.make_topic()
    kafka.send(*(Sent(b"old %d" % number, partition=0, timestamp_ms=SINCE_MS + 1000 + number) for number in range(400)))
    kafka.send(*(Sent(b"new %d" % number, partition=1, timestamp_ms=SINCE_MS + 9000 + number) for number in range(40)))
    kafka.send(Sent(b"one", partition=2, timestamp_ms=SINCE_MS))
    found = newest(kafka, count=60)
    assert found.held == 441
    assert values(found.records) == [
        *(b"new %d" % number for number in reversed(range(40))),
        *(b"old %d" % number for number in reversed(range(380, 400))),
    ]


@on_kafka()
def test_large_records_end_a_sample_early_and_it_says_so(kafka):
    kafka.make_topic()
    kafka.send(*(Sent(b"x" * 100_000, partition=0) for _ in range(40)))
    found = newest(kafka, maximum_bytes=1_000_000)
    assert 0 < len(found.records) <= 40
    assert found.cut.startswith("they are large")


@on_kafka()
def test_a_sample_takes_no_longer_than_it_may(kafka):
    kafka.make_topic()
    kafka.send(Sent(b"x", partition=0))
    found = newest_records(kafka.settings, kafka.cluster, kafka.topic, PARTITIONS, maximum_ms=-1)
    assert found.cut in ("", "reading took too long")


@on_kafka("topic_changes")
def test_what_an_undecided_transaction_holds_back_is_not_in_it(kafka):
    kafka.make_topic()
    kafka.send(Sent(b"before", partition=0))
    writer = TransactionalWriter(kafka.cluster.bootstrap_servers)
    writer.write_and_abort(kafka.topic, [b"aborted"] * 20)
    writer.begin(kafka.topic, [b"undecided"] * 5)
    assert values(newest(kafka).records) == [b"before"]
    writer.commit()


@on_kafka()
def test_nobody_that_answers_is_told(kafka):
    settings = load_settings(data_dir=kafka.settings.data_dir, bootstrap_servers="127.0.0.1:9")
    cluster = kafka.cluster.__class__("127.0.0.1:9")
    with pytest.raises(KafkaUnavailableError):
        newest_records(settings, cluster, kafka.topic, 1)


@on_kafka()
def test_topics_are_looked_at_together(kafka):
    kafka.make_topic()
    kafka.send(*(Sent(b"%d" % number, partition=number % 2) for number in range(10)))
    looks = look_at_topics(kafka.settings, kafka.cluster, {kafka.topic: PARTITIONS}, 10)
    assert [(each.topic, each.held) for each in looks] == [(kafka.topic, 10)]
    assert looks[0].newest is not None
    assert looks[0].newest.value in (b"8", b"9")
    assert look_at_topics(kafka.settings, kafka.cluster, {kafka.topic: PARTITIONS}, 0)[0].newest is None
