"""A cluster that tells no topic ids: what was read tells a recreated topic. All else is Apache Kafka itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from scripts.local.cluster import KafkaCluster
from scripts.waiting import wait_for
from tests.support.kafkas import PARTITIONS, recreate_topic
from tests.support.order_writer import OrderWriter
from tests.support.running_pipeline import RunningPipeline
from tests.support.without_topic_ids import tell_no_topic_ids


@pytest.fixture
def pipeline(pipeline_with: Callable[..., RunningPipeline], apache_kafka: KafkaCluster) -> RunningPipeline:
    """One that runs, and is told no topic ids."""
    name = f"no-ids-{time.time_ns()}"
    made = pipeline_with(
        bootstrap_servers=apache_kafka.bootstrap_servers,
        orders_topic=name,
        dlq_topics=f"{name}-dlq",
        group_id=name,
        topic_partitions=PARTITIONS,
    )
    tell_no_topic_ids(made)
    made.up()
    return made


def write(pipeline: RunningPipeline, orders: int, invalid: int = 0) -> None:
    with OrderWriter(pipeline, 0) as writer:
        writer.write(orders)
        writer.write(invalid, "invalid")


def stop(pipeline: RunningPipeline) -> None:
    process = pipeline.started("up")
    process.terminate()
    assert process.wait(20) == 0


def assert_stored(pipeline: RunningPipeline, orders: int, dead_letters: int = 0) -> None:
    """Waits for so many, and holds the buffer against the topics."""
    wait_for(f"{orders} orders and {dead_letters} dead letters", lambda: counts(pipeline) >= (orders, dead_letters))
    assert counts(pipeline) == (orders, dead_letters)
    check = pipeline.command("check")
    assert check.returncode == 0, check.stdout


def counts(pipeline: RunningPipeline) -> tuple[int, int]:
    with pipeline.reader() as reader:
        totals = reader.totals()
    return totals.orders, totals.dead_letters


def events(pipeline: RunningPipeline) -> str:
    with pipeline.reader() as reader:
        return "\n".join(reader.events().column("message"))


@pytest.mark.parametrize("orders", [150, 40])
def test_a_topic_recreated_while_nothing_ran_is_read_whole(pipeline, orders):
    write(pipeline, 100)
    assert_stored(pipeline, 100)
    stop(pipeline)
    recreate_topic(pipeline.cluster, pipeline.settings.orders_topic)
    write(pipeline, orders)
    pipeline.up()
    assert_stored(pipeline, 100 + orders)
    assert f"topic {pipeline.settings.orders_topic} was recreated" in events(pipeline)

    # Once is enough: the next start goes on where this one was.
    stop(pipeline)
    write(pipeline, 10)
    pipeline.up()
    assert_stored(pipeline, 110 + orders)


@pytest.mark.parametrize("orders", [150, 40])
def test_a_topic_recreated_under_the_reader_is_read_whole(pipeline, orders):
    write(pipeline, 100)
    assert_stored(pipeline, 100)
    recreate_topic(pipeline.cluster, pipeline.settings.orders_topic)
    write(pipeline, orders)
    assert_stored(pipeline, 100 + orders)


def test_a_recreated_dead_letter_topic_is_collected_whole(pipeline):
    topic = pipeline.settings.own_dlq_topic
    pipeline.send(*[(b"k", b"first %d" % number, ()) for number in range(30)], topic=topic)
    assert_stored(pipeline, 0, 30)
    stop(pipeline)
    recreate_topic(pipeline.cluster, topic)
    pipeline.send(*[(b"k", b"second %d" % number, ()) for number in range(50)], topic=topic)
    pipeline.up()
    assert_stored(pipeline, 0, 80)
    recreate_topic(pipeline.cluster, topic)
    pipeline.send(*[(b"k", b"third %d" % number, ()) for number in range(70)], topic=topic)
    assert_stored(pipeline, 0, 150)


def test_a_cluster_that_begins_to_tell_ids_has_the_same_topics(pipeline):
    write(pipeline, 100, invalid=5)
    assert_stored(pipeline, 100, 5)
    no_ids = Path(pipeline.environment["NO_TOPIC_IDS_FILE"])
    no_ids.unlink()
    write(pipeline, 10)
    assert_stored(pipeline, 110, 5)
    stop(pipeline)
    write(pipeline, 10)
    pipeline.up()
    assert_stored(pipeline, 120, 5)
    assert "recreated" not in events(pipeline)

    recreate_topic(pipeline.cluster, pipeline.settings.orders_topic)
    write(pipeline, 150)
    assert_stored(pipeline, 270, 5)

    # And one that tells none any more.
    no_ids.touch()
    stop(pipeline)
    write(pipeline, 10)
    pipeline.up()
    assert_stored(pipeline, 280, 5)


def test_where_nothing_can_tell_it_is_said(pipeline):
    write(pipeline, 100)
    assert_stored(pipeline, 100)
    stop(pipeline)
    write(pipeline, 20)
    topic = pipeline.settings.orders_topic
    client = AdminClient({"bootstrap.servers": pipeline.settings.bootstrap_servers})
    everything = [TopicPartition(topic, partition, -1) for partition in range(PARTITIONS)]
    for removed in client.delete_records(everything).values():
        removed.result(10)
    write(pipeline, 10)
    pipeline.up()
    wait_for("the 10", lambda: counts(pipeline) == (110, 0))
    assert "accepted: up to 20 records" in pipeline.command("check", "--accept-lost").stdout
    assert_stored(pipeline, 110)
    wait_for("a note", lambda: f"whether topic {topic} was recreated cannot be told" in events(pipeline))
