"""A broker refuses a batch as a whole: each of its records is judged alone, so that one costs the others nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from pipeline.kafka import Delivery, Sender
from scripts.waiting import wait_for
from tests.support.kafkas import Kafka, Sent, on_kafka, values
from tests.support.secured_kafka import unique

LIMIT = 100_000


def make_topic(kafka: Kafka, **config: str) -> str:
    topic = unique("narrow")
    admin = AdminClient({"bootstrap.servers": kafka.cluster.bootstrap_servers})
    admin.create_topics(
        [NewTopic(topic, 1, 1, config={name.replace("_", "."): text for name, text in config.items()})]
    )[topic].result(10)
    wait_for("the topic", lambda: topic in kafka.view().partitions())
    return topic


@pytest.fixture
def sender(kafka: Kafka) -> Iterator[Sender]:
    made = Sender(kafka.settings, kafka.cluster)
    yield made
    made.close()


@on_kafka("topic_changes")
def test_small_records_whose_batch_is_too_large_are_all_taken(kafka: Kafka, sender: Sender) -> None:
    topic = make_topic(kafka, max_message_bytes=str(LIMIT))
    records = [Sent(b"%d" % number + bytes(2000), b"k", (("name", b"%d" % number),)) for number in range(160)]
    deliveries = kafka.send(*records, topic=topic, sender=sender)
    assert {(each.error, each.refused) for each in deliveries} == {("", False)}
    found = kafka.read_all(160, topic)
    assert sorted(values(found)) == sorted(record.value for record in records)
    assert sorted(record.headers for record in found) == sorted(record.headers for record in records)
    assert len({each.offset for each in deliveries}) == 160


@on_kafka("topic_changes")
def test_what_is_too_large_alone_is_refused_for_good_and_costs_those_beside_it_nothing(
    kafka: Kafka, sender: Sender
) -> None:
    topic = make_topic(kafka, max_message_bytes=str(LIMIT))
    records = [Sent(bytes(LIMIT + 1) if number % 10 == 5 else b"%d" % number) for number in range(100)]
    deliveries = kafka.send(*records, topic=topic, sender=sender)
    refused = [each for each in deliveries if each.refused]
    assert [number for number, each in enumerate(deliveries) if each.refused] == list(range(5, 100, 10))
    assert {each.error for each in refused} == {
        f"it is larger than topic {topic} takes, see its max.message.bytes (Broker: Message size too large)"
    }
    assert len(kafka.read_all(90, topic)) == 90


@on_kafka("topic_changes")
def test_a_time_that_a_topic_does_not_take_is_the_record_s_own_trouble(kafka: Kafka, sender: Sender) -> None:
    topic = make_topic(kafka, message_timestamp_before_max_ms="60000")
    taken, refused = kafka.send(Sent(b"now"), Sent(b"long ago", timestamp_ms=1), topic=topic, sender=sender)
    assert (taken.error, refused.refused) == ("", True)
    assert "timestamp" in refused.error
    assert values(kafka.read_all(1, topic)) == [b"now"]


@on_kafka()
def test_what_is_too_large_for_the_client_is_refused_at_once(kafka: Kafka) -> None:
    topic = kafka.make_topic()
    sender = Sender(kafka.with_settings(kafka_config={"message.max.bytes": 1000}), kafka.cluster)
    deliveries: list[Delivery] = []
    sender.send(topic, None, bytes(2000), (), deliveries.append, send_id="large")
    assert [(each.send_id, each.refused) for each in deliveries] == [("large", True)]
    sender.close()
