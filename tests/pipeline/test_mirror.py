"""Another cluster with the same topics: what may be copies is not read before somebody says so. On Apache Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from pipeline.buffer import open_buffer
from pipeline.clock import wall_clock_ms
from pipeline.jobs.requests import read_on
from pipeline.kafka import Cluster
from scripts.local.cluster import KafkaCluster
from scripts.waiting import wait_for
from tests.support.kafkas import PARTITIONS, SHORT_SESSIONS
from tests.support.mirrors import mirror
from tests.support.order_writer import OrderWriter
from tests.support.running_pipeline import RunningPipeline

ORDERS, DEAD = 1000, 5


@pytest.fixture(scope="module")
def other_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """A second cluster."""
    folder = tmp_path_factory.mktemp("other")
    with KafkaCluster(folder / "kafka", properties={"num.partitions": str(PARTITIONS), **SHORT_SESSIONS}) as kafka:
        yield kafka


@pytest.fixture
def pipeline(pipeline_with: Callable[..., RunningPipeline], apache_kafka: KafkaCluster) -> RunningPipeline:
    """One that has read 1,000 orders and five bad ones of the first cluster; nothing runs."""
    name = f"mirror-{time.time_ns()}"
    pipeline = pipeline_with(
        bootstrap_servers=apache_kafka.bootstrap_servers,
        orders_topic=name,
        dlq_topics=f"{name}-dlq",
        group_id=name,
        topic_partitions=PARTITIONS,
        alert_hold_s=0,
    )
    pipeline.up()
    with OrderWriter(pipeline, 0) as writer:
        writer.write(ORDERS)
        writer.write(DEAD, "malformed")
    wait_for("all of the first cluster", lambda: figures(pipeline)[0::2] == (ORDERS, DEAD))
    stop(pipeline)
    return pipeline


def figures(pipeline: RunningPipeline) -> tuple[int, int, int]:
    """Orders, revenue in cents and dead letters."""
    with pipeline.reader() as reader:
        totals = reader.totals()
    return totals.orders, totals.revenue_cents, totals.dead_letters


def stop(pipeline: RunningPipeline) -> None:
    process = pipeline.started("up")
    process.terminate()
    assert process.wait(20) == 0


def move(pipeline: RunningPipeline, kafka: KafkaCluster) -> None:
    """Has the pipeline work on this cluster, from its next start on."""
    pipeline.environment["ORDERPULSE_BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
    pipeline.settings = pipeline.settings.model_copy(update={"bootstrap_servers": kafka.bootstrap_servers})


def move_to_mirror(pipeline: RunningPipeline, kafka: KafkaCluster) -> None:
    """Copies what the first cluster has, and moves there."""
    source, target = pipeline.cluster, Cluster(kafka.bootstrap_servers)
    settings = pipeline.settings
    assert mirror(settings, source, target, settings.orders_topic) == ORDERS + DEAD
    assert mirror(settings, source, target, settings.own_dlq_topic) == DEAD
    move(pipeline, kafka)


def held(pipeline: RunningPipeline) -> set[str]:
    """The topics that are held, by the status."""
    return {each["topic"] for each in pipeline.status()["held"]}


def run_until_held(pipeline: RunningPipeline) -> set[str]:
    """Starts it and waits until both topics are held; returns them."""
    topics = {pipeline.settings.orders_topic, pipeline.settings.own_dlq_topic}
    pipeline.start("up")
    wait_for("both topics are held", lambda: held(pipeline) == topics)
    return topics


def reread(pipeline: RunningPipeline, topic: str, start: str) -> str:
    """Says how reading goes on; returns what that says."""
    done = pipeline.command("reread", "--topic", topic, "--from", start, "--yes")
    assert done.returncode == 0, done.stderr
    return done.stderr


def assert_content(pipeline: RunningPipeline) -> None:
    check = pipeline.command("check")
    assert check.returncode == 0, check.stdout + check.stderr


def test_copies_are_not_read_and_it_is_said_everywhere(pipeline, other_kafka):
    before = figures(pipeline)
    move_to_mirror(pipeline, other_kafka)
    topics = run_until_held(pipeline)
    wait_for("alerts", lambda: {f"copies of {topic}" for topic in topics} <= pipeline.firing())
    told = pipeline.command("status").stdout
    for topic in topics:
        assert f"reading of {topic} is stopped: offset" in told
        assert f"reread --topic {topic} --from latest" in told
    # Also after a restart, and for whatever comes behind the copies.
    stop(pipeline)
    pipeline.up()
    with OrderWriter(pipeline, 0) as writer:
        writer.write(7)
    wait_for("the lag of all", lambda: pipeline.status()["lag"] == ORDERS + DEAD + 7)
    assert figures(pipeline) == before
    assert held(pipeline) == topics


def test_from_latest_keeps_what_was_read_and_reads_what_comes(pipeline, other_kafka):
    orders, cents, dead = figures(pipeline)
    move_to_mirror(pipeline, other_kafka)
    run_until_held(pipeline)
    # As the Pipeline page asks, and as the command line does.
    with open_buffer(pipeline.settings.database_file) as buffer:
        [question] = [each for each in buffer.rereads.unfinished() if each.role == "processor"]
        read_on(pipeline.settings, buffer, wall_clock_ms, question.id, "latest", "somebody")
    reread(pipeline, pipeline.settings.own_dlq_topic, "latest")
    wait_for("nothing is held", lambda: held(pipeline) == set())
    pipeline.wait_until_running()
    with OrderWriter(pipeline, 0) as writer:
        writer.write(50)
        writer.write(3, "malformed")
        wait_for(
            "what came", lambda: figures(pipeline) == (orders + 50, cents + writer.account.revenue_cents, dead + 3)
        )
    assert held(pipeline) == set()
    wait_for("the alerts' end", lambda: not any(rule.startswith("copies of") for rule in pipeline.firing()))
    assert_content(pipeline)


def test_from_earliest_takes_what_was_read_out_and_reads_the_mirror(pipeline, other_kafka):
    before = figures(pipeline)
    move_to_mirror(pipeline, other_kafka)
    run_until_held(pipeline)
    told = reread(pipeline, pipeline.settings.orders_topic, "earliest")
    assert f"{ORDERS:,} orders with a revenue of {before[1] / 100:,.2f} go out of rows and figures first" in told
    assert f"up to {ORDERS + DEAD:,} records of {PARTITIONS} partitions" in told
    wait_for("all orders of the mirror", lambda: figures(pipeline)[:2] == before[:2])
    reread(pipeline, pipeline.settings.own_dlq_topic, "earliest")
    # The bad records failed a second time; of the letters that were copied each is known.
    wait_for("the second failures", lambda: figures(pipeline) == (*before[:2], 2 * DEAD))
    assert_content(pipeline)


def test_from_a_time_after_what_was_read_only_newer_records_are_read(pipeline, other_kafka):
    orders, cents, dead = figures(pipeline)
    move_to_mirror(pipeline, other_kafka)
    time_ms = time.time_ns() // 1_000_000
    with OrderWriter(pipeline, 0) as writer:
        writer.write(20)
    topics = run_until_held(pipeline)
    too_early = pipeline.command("reread", "--topic", pipeline.settings.orders_topic, "--from", "1000", "--yes")
    assert (too_early.returncode, "name a later time" in too_early.stderr) == (1, True)
    for topic in topics:
        reread(pipeline, topic, str(time_ms))
    wait_for("what is newer", lambda: figures(pipeline) == (orders + 20, cents + writer.account.revenue_cents, dead))
    assert_content(pipeline)


def test_a_cluster_that_holds_only_newer_records_is_read_with_an_event(pipeline, other_kafka):
    orders, cents, dead = figures(pipeline)
    move(pipeline, other_kafka)
    pipeline.up()
    with OrderWriter(pipeline, 0) as writer:
        writer.write(30)
        writer.write(2, "malformed")
        wait_for("all", lambda: figures(pipeline) == (orders + 30, cents + writer.account.revenue_cents, dead + 2))
    assert held(pipeline) == set()
    with pipeline.reader() as reader:
        events = "\n".join(reader.events().column("message"))
    assert f"topic {pipeline.settings.orders_topic} is read from cluster" in events
    assert_content(pipeline)
