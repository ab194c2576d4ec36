"""Where a topic of the orders begins that is met for the first time: decided once, whoever dies and whoever joins."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from subprocess import Popen
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from pipeline.crash_points import FOLDER_VARIABLE, POINTS
from pipeline.kafka import Cluster, ClusterView
from scripts.waiting import wait_for
from tests.support.kafkas import PARTITIONS, on_clusters, recreate_topic
from tests.support.order_writer import OrderWriter
from tests.support.running_pipeline import RunningPipeline

Make = Callable[..., RunningPipeline]
BEFORE, LATER = 300, 120
START_POINTS = tuple(point for point in POINTS if point.startswith("start: "))


def write(pipeline: RunningPipeline, count: int, topic: str = "") -> None:
    with OrderWriter(pipeline, 0, topic=topic) as writer:
        writer.write(count)


def orders(pipeline: RunningPipeline) -> int:
    with pipeline.reader() as reader:
        return reader.totals().orders


def owned(pipeline: RunningPipeline) -> dict[int, set[str]]:
    return {role.instance: set(role.figures["partitions"]) for role in pipeline.running() if role.role == "processor"}


def shared(pipeline: RunningPipeline, partitions: int = PARTITIONS) -> bool:
    found = owned(pipeline)
    return len(found) == 2 and all(found.values()) and len(set().union(*found.values())) == partitions


def events(pipeline: RunningPipeline) -> list[str]:
    with pipeline.reader() as reader:
        return [message for message in reader.events(100).column("message") if "met for the first time" in message]


def assert_content(pipeline: RunningPipeline) -> None:
    checked = pipeline.command("check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def stop(process: Popen[bytes]) -> None:
    process.terminate()
    assert process.wait(20) == 0


@on_clusters("topic_ids")
def test_two_processors_begin_a_topic_at_its_end_and_keep_to_that_after_a_restart(pipeline_with: Make):
    pipeline = pipeline_with(start="latest")
    topic = pipeline.settings.orders_topic
    ClusterView(pipeline.settings, pipeline.cluster).ensure_topic(topic)
    write(pipeline, BEFORE)
    both = [pipeline.start("processor", "--instance", str(instance)) for instance in range(2)]
    wait_for("partitions for both", lambda: shared(pipeline))
    write(pipeline, LATER)
    wait_for("what came later", lambda: orders(pipeline) >= LATER)
    [told] = events(pipeline)
    assert f"up to {BEFORE} records before that are not read" in told
    assert f"reread --topic {topic} --from earliest" in told
    assert_content(pipeline)

    # Nothing that comes while none runs is passed over, nor what is in partitions that are added then.
    for process in both:
        stop(process)
    admin = AdminClient({"bootstrap.servers": pipeline.settings.bootstrap_servers})
    admin.create_partitions([NewPartitions(topic, PARTITIONS + 1)])[topic].result(10)
    wait_for("the new one", lambda: ClusterView(pipeline.settings, pipeline.cluster).partitions()[topic] > PARTITIONS)
    write(pipeline, LATER)
    both = [pipeline.start("processor", "--instance", str(instance)) for instance in range(2)]
    wait_for("what came meanwhile", lambda: orders(pipeline) >= 2 * LATER)
    wait_for("partitions for both", lambda: shared(pipeline, PARTITIONS + 1))
    assert orders(pipeline) == 2 * LATER
    assert_content(pipeline)

    # What was not read is read when somebody says so, and a recreated topic is not met for the first time.
    again = pipeline.command("reread", "--topic", topic, "--from", "earliest", "--yes")
    assert again.returncode == 0, again.stderr
    wait_for("all of it", lambda: orders(pipeline) >= BEFORE + 2 * LATER)
    recreate_topic(pipeline.cluster, topic)
    write(pipeline, LATER)
    wait_for("the recreated topic's", lambda: orders(pipeline) >= BEFORE + 3 * LATER)
    assert orders(pipeline) == BEFORE + 3 * LATER
    assert len(events(pipeline)) == 1
    assert_content(pipeline)


@on_clusters()
def test_a_topic_begins_at_a_time(pipeline_with: Make, cluster_settings: dict[str, Any]):
    pipeline = pipeline_with()
    cluster = make_topic_without_processors(pipeline)
    write(pipeline, BEFORE)
    time_ms = wait_for("another millisecond", newer_than(time.time_ns() // 1_000_000))
    write(pipeline, LATER)
    pipeline.environment["ORDERPULSE_START"] = str(time_ms)
    pipeline.start("processor")
    wait_for("its partitions", lambda: owned(pipeline).get(0))
    wait_for("what came since then", lambda: orders(pipeline) >= LATER)
    assert orders(pipeline) == LATER
    [told] = events(pipeline)
    assert f"up to {BEFORE} records before that are not read" in told
    assert ("the demo cluster finds none by time" in told) == bool(cluster.demo_id)
    assert_content(pipeline)


def make_topic_without_processors(pipeline: RunningPipeline) -> Cluster:
    if pipeline.settings.demo:
        pipeline.start("broker")
        wait_for("the broker", lambda: (role := pipeline.role("broker")) and role.state == "running")
    ClusterView(pipeline.settings, pipeline.cluster).ensure_topic(pipeline.settings.orders_topic)
    return pipeline.cluster


def newer_than(time_ms: int) -> Callable[[], int]:
    def newer() -> int:
        now_ms = time.time_ns() // 1_000_000
        return now_ms if now_ms > time_ms else 0

    return newer


@on_clusters("topic_ids")
def test_of_two_topics_only_the_one_that_is_new_begins_at_its_end(pipeline_with: Make):
    pipeline = pipeline_with()
    topic = pipeline.settings.orders_topic
    process = pipeline.start("processor")
    wait_for("its partitions", lambda: owned(pipeline).get(0))
    write(pipeline, BEFORE)
    wait_for("the first topic's", lambda: orders(pipeline) == BEFORE)
    stop(process)
    write(pipeline, LATER)
    second = f"{topic}-second"
    ClusterView(pipeline.settings, pipeline.cluster).ensure_topic(second)
    write(pipeline, BEFORE, second)
    pipeline.environment |= {"ORDERPULSE_ORDERS_TOPIC": f"{topic},{second}", "ORDERPULSE_START": "latest"}
    pipeline.start("processor")
    wait_for("both topics", lambda: len(owned(pipeline).get(0, ())) == 2 * PARTITIONS)
    write(pipeline, LATER, second)
    wait_for("what is to be read", lambda: orders(pipeline) >= BEFORE + 2 * LATER)
    assert orders(pipeline) == BEFORE + 2 * LATER
    assert len(events(pipeline)) == 1


@on_clusters("topic_ids")
@pytest.mark.parametrize("point", START_POINTS)
def test_whoever_dies_while_it_is_decided_reads_nothing_twice_and_passes_nothing_over(pipeline_with: Make, point: str):
    pipeline = pipeline_with(start="latest")
    ClusterView(pipeline.settings, pipeline.cluster).ensure_topic(pipeline.settings.orders_topic)
    write(pipeline, BEFORE)
    folder = pipeline.data_dir / "die-at"
    folder.mkdir()
    (folder / "start").write_text(point)
    pipeline.environment[FOLDER_VARIABLE] = str(folder)
    dying = pipeline.start("processor", "--instance", "0")
    assert dying.wait(60) == -signal.SIGKILL
    # What comes now is read if it had been decided; else it is before what is decided next.
    write(pipeline, LATER)
    for instance in range(2):
        pipeline.start("processor", "--instance", str(instance))
    wait_for("partitions for both", lambda: shared(pipeline))
    write(pipeline, LATER)
    read = 2 * LATER if point == "start: decided" else LATER
    wait_for("what is to be read", lambda: orders(pipeline) >= read)
    assert orders(pipeline) == read
    assert len(events(pipeline)) == 1
    assert_content(pipeline)
