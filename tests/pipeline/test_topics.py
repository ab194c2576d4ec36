"""Which topics are made on a real Kafka, how, and by whom; and what becomes of those that are somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.buffer import DeadLetterFilter
from scripts.waiting import wait_for
from tests.support.running_pipeline import RunningPipeline
from tests.support.secured_kafka import SecuredKafka, unique

NONE = DeadLetterFilter()
OPEN = "PLAINTEXT"


def spring(topic: str, offset: int = 42) -> tuple[tuple[str, bytes | None], ...]:
    """The headers of a dead letter that Spring Kafka wrote."""
    return (
        ("kafka_dlt-original-topic", topic.encode()),
        ("kafka_dlt-original-partition", (0).to_bytes(4, "big")),
        ("kafka_dlt-original-offset", offset.to_bytes(8, "big")),
        ("kafka_dlt-exception-fqcn", b"java.lang.IllegalStateException"),
        ("kafka_dlt-exception-message", b"no such account"),
    )


@pytest.fixture
def workbench(
    secured_kafka: SecuredKafka, pipeline_with: Callable[..., RunningPipeline]
) -> Callable[..., RunningPipeline]:
    """Starts the workbench alone, for dead-letter topics of somebody else's application."""

    def start(dlq_topics: str) -> RunningPipeline:
        settings: dict[str, Any] = secured_kafka.settings(OPEN, roles="collector,worker")
        pipeline = pipeline_with(**settings | {"dlq_topics": dlq_topics})
        pipeline.up()
        return pipeline

    return start


def collected(pipeline: RunningPipeline, count: int):
    with pipeline.reader() as reader:
        wait_for(f"{count} dead letters", lambda: reader.totals().dead_letters == count)
        return reader.dead_letters(NONE)


def test_topics_are_made_on_first_use_as_the_settings_say(secured_kafka, pipeline_with):
    settings = secured_kafka.settings(
        OPEN, topic_partitions=3, topic_replication=1, orders_retention_h=48, dlq_retention_h=-1
    )
    pipeline = pipeline_with(**settings)
    pipeline.up()
    orders, dead_letters = settings["orders_topic"], settings["dlq_topics"]
    topics = secured_kafka.topics()
    for topic in (orders, dead_letters):
        assert len(topics[topic].partitions) == 3
        assert {len(partition.replicas) for partition in topics[topic].partitions.values()} == {1}
    assert secured_kafka.topic_config(orders, "retention.ms") == str(48 * 3_600_000)
    assert secured_kafka.topic_config(dead_letters, "retention.ms") == "-1"


def test_the_workbench_alone_makes_no_topic_and_replays_to_the_source_topic(secured_kafka, workbench):
    payments, dead_letters = unique("payments"), unique("payments-dlt")
    secured_kafka.make_topics(payments, dead_letters)
    before = set(secured_kafka.topics())
    pipeline = workbench(dead_letters)
    pipeline.send((b"k", b"payload", spring(payments)), topic=dead_letters)
    [letter] = collected(pipeline, 1)
    assert letter.source == f"{payments}[0] offset 42"
    replayed = pipeline.command("replay", "--all")
    assert replayed.returncode == 0, replayed.stderr
    with pipeline.reader() as reader:
        assert reader.replays_of(letter.id).column("topic") == [payments]
    assert set(secured_kafka.topics()) - {"__consumer_offsets"} == before - {"__consumer_offsets"}


def test_a_source_topic_that_is_gone_fails_the_item_with_a_reason_and_makes_nothing(secured_kafka, workbench):
    payments, dead_letters = unique("payments"), unique("payments-dlt")
    secured_kafka.make_topics(dead_letters)
    pipeline = workbench(dead_letters)
    pipeline.send((b"k", b"payload", spring(payments)), topic=dead_letters)
    collected(pipeline, 1)
    refused = pipeline.command("replay", "--all")
    assert refused.returncode == 1
    assert f"the topic {payments} is not there" in refused.stderr
    assert payments not in secured_kafka.topics()
    with pipeline.reader() as reader:
        [job] = reader.jobs()
        assert (job.state, job.done, job.failed) == ("failed", 0, 1)
        assert reader.status_counts() == {"open": 1}


def test_several_dead_letter_topics_and_a_pattern_are_read_and_new_ones_are_found(secured_kafka, workbench):
    family = unique("family")
    first, second, late = f"{family}-a-dlt", unique("named"), f"{family}-b-dlt"
    secured_kafka.make_topics(first, second)
    pipeline = workbench(f"{second},^{family}-.*-dlt$")
    pipeline.send((b"1", b"one", spring("x", 1)), topic=first)
    pipeline.send((b"2", b"two", spring("x", 2)), topic=second)
    assert {letter.topic for letter in collected(pipeline, 2)} == {first, second}
    secured_kafka.make_topics(late)
    pipeline.send((b"3", b"three", spring("x", 3)), topic=late)
    assert {letter.topic for letter in collected(pipeline, 3)} == {first, second, late}
