"""What the group deals out is held against topic and partitions before it is believed, on Apache Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from scripts.local.cluster import KafkaCluster
from scripts.waiting import wait_for
from tests.support.kafkas import recreate_topic
from tests.support.order_writer import OrderWriter
from tests.support.running_pipeline import RunningPipeline

FEWER = 3


@pytest.fixture
def on_topic(
    pipeline_with: Callable[..., RunningPipeline], apache_kafka: KafkaCluster
) -> Callable[..., RunningPipeline]:
    """A pipeline that reads this topic; given another one, it works on that one's data folder and in its group."""
    name = f"assigned-{time.time_ns()}"

    def make(topic: str, **settings: object) -> RunningPipeline:
        return pipeline_with(
            bootstrap_servers=apache_kafka.bootstrap_servers,
            orders_topic=f"{name}-{topic}",
            dlq_topics=f"{name}-dlq",
            group_id=name,
            **settings,
        )

    return make


def moved_to(pipeline: RunningPipeline, other: RunningPipeline) -> None:
    """Has `pipeline` read the topic that `other` names, from now on."""
    pipeline.environment["ORDERPULSE_ORDERS_TOPIC"] = other.settings.orders_topic
    pipeline.settings = pipeline.settings.model_copy(update={"orders_topic": other.settings.orders_topic})


def stop(pipeline: RunningPipeline) -> None:
    process = pipeline.started("up")
    process.terminate()
    assert process.wait(20) == 0


def stored(pipeline: RunningPipeline) -> dict[str, int]:
    """How many orders there are of each topic."""
    with pipeline.reader() as reader:
        rows = reader._rows("SELECT topic, count(*) AS orders FROM orders GROUP BY topic")
    return dict(zip(rows.column("topic"), rows.column("orders"), strict=True))


def next_offsets(pipeline: RunningPipeline, topic: str) -> int:
    """Over all partitions of a topic's newest generation."""
    with pipeline.reader() as reader:
        rows = reader._rows(
            "SELECT sum(next_offset) AS read FROM partitions JOIN topics USING (topic_ref) "
            f"WHERE topic_ref = (SELECT max(topic_ref) FROM topics WHERE topic = '{topic}')"
        )
    return rows.column("read")[0] or 0


def test_nothing_of_the_topic_before_is_written_after_the_setting_was_changed(on_topic):
    pipeline, other = on_topic("a", topic_partitions=4), on_topic("b", topic_partitions=4)
    a, b = pipeline.settings.orders_topic, other.settings.orders_topic
    pipeline.up()
    with OrderWriter(pipeline, 0) as writer:
        writer.write(1)
        wait_for("the first order", lambda: stored(pipeline) == {a: 1})
        stop(pipeline)
        writer.write(50)

    # The group still has this member, and what it was dealt out: A's partitions.
    moved_to(pipeline, other)
    pipeline.up()
    assert stored(pipeline) == {a: 1}
    assert next_offsets(pipeline, b) == 0
    with OrderWriter(pipeline, 0) as writer:
        writer.write(30)
        wait_for("all of B", lambda: stored(pipeline) == {a: 1, b: 30})
    assert next_offsets(pipeline, b) == 30
    check = pipeline.command("check")
    assert check.returncode == 0, check.stdout


def test_a_topic_recreated_with_fewer_partitions_is_read(on_topic):
    pipeline = on_topic("shrinks", topic_partitions=6)
    pipeline.up()
    with OrderWriter(pipeline, 0) as writer:
        writer.write(60)
        wait_for("60 orders", lambda: pipeline.settled() == 60)
    recreate_topic(pipeline.cluster, pipeline.settings.orders_topic, FEWER)
    with OrderWriter(pipeline, 0) as writer:
        writer.write(40)
        wait_for("40 orders more", lambda: pipeline.settled() == 100)
    wait_for("three partitions", lambda: len(pipeline.status()["roles"]) and partitions_read(pipeline) == FEWER)
    check = pipeline.command("check")
    assert check.returncode == 0, check.stdout


def partitions_read(pipeline: RunningPipeline) -> int:
    """How many partitions the processor says it has."""
    role = pipeline.role("processor")
    return len(role.figures.get("partitions", {})) if role else 0
