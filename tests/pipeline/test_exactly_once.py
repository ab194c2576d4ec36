"""Whatever dies in mid-stream: every record is in the buffer exactly once, and nothing is sent twice."""

from __future__ import annotations

import pytest

from pipeline.buffer import DeadLetterFilter
from pipeline.kafka import ClusterView, ends
from scripts.local.cluster import KafkaCluster
from scripts.waiting import wait_for
from tests.support.faulty_handler import FAIL_ON_A_TENTH
from tests.support.kafkas import PARTITIONS, on_clusters, recreate_topic
from tests.support.order_writer import OrderWriter
from tests.support.running_pipeline import RunningPipeline

COUNT = 6000
SHARES = ("--invalid-share", "0.1", "--malformed-share", "0.05")


def records_in(pipeline: RunningPipeline) -> int:
    """How many orders were ever sent."""
    return sum(ends(pipeline.settings, pipeline.cluster, pipeline.settings.orders_topic, PARTITIONS).values())


def kill_in_midstream(pipeline: RunningPipeline, role: str, times: int) -> None:
    """Kills a role again and again, each time after it has come back and the flow has gone on."""
    for _ in range(times):
        before = pipeline.settled()
        wait_for("the flow to go on", lambda before=before: pipeline.settled() >= min(COUNT, before + 200))
        killed = pipeline.role(role)
        assert killed is not None
        pipeline.kill(role)
        wait_for(
            f"the {role}'s return",
            lambda pid=killed.pid: any(each.role == role and each.pid != pid for each in pipeline.running()),
        )


@pytest.mark.parametrize(
    ("cluster_settings", "handler", "role"),
    [
        ("demo", "", "processor"),
        ("demo", "", "collector"),
        ("demo", "", "worker"),
        ("apache", FAIL_ON_A_TENTH, "processor"),
        ("apache", FAIL_ON_A_TENTH, "worker"),
    ],
    indirect=["cluster_settings"],
)
def test_a_role_killed_in_midstream_loses_and_doubles_nothing(pipeline_with, handler, role):
    pipeline = pipeline_with(handler=handler, retry_base_ms=50, retry_cap_ms=400)
    pipeline.up()
    begin_to_produce(pipeline)
    kill_in_midstream(pipeline, role, 3)
    assert_nothing_lost_or_doubled(pipeline)


def test_a_broker_killed_in_midstream_loses_and_doubles_nothing(pipeline_with, tmp_path):
    # A broker that was killed may return after its session.
    quickly_missed = {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"}
    with KafkaCluster(tmp_path / "kafka", properties=quickly_missed) as kafka:
        pipeline = pipeline_with(
            bootstrap_servers=kafka.bootstrap_servers,
            handler=FAIL_ON_A_TENTH,
            retry_base_ms=50,
            retry_cap_ms=400,
            topic_partitions=PARTITIONS,
        )
        pipeline.up()
        begin_to_produce(pipeline)
        wait_for("the flow", lambda: pipeline.settled() >= 500)
        kafka.kill(1)
        wait_for("the processor to say so", lambda: "Kafka does not answer" in pipeline.role("processor").detail)
        kafka.restart(1)
        assert_nothing_lost_or_doubled(pipeline)
        pipeline.end()


def begin_to_produce(pipeline: RunningPipeline) -> None:
    # On the demo cluster a header asks for transient failures, elsewhere the handler sees to them.
    shares = (*SHARES, "--transient-share", "0.1") if pipeline.settings.demo else SHARES
    queued = pipeline.command("produce", "--count", str(COUNT), "--rate", "800", *shares, "--no-wait")
    assert queued.returncode == 0, queued.stderr


def assert_nothing_lost_or_doubled(pipeline: RunningPipeline) -> None:
    wait_for("the end of the job", lambda: job(pipeline).state == "done")
    wait_for("every record", lambda: pipeline.settled() >= COUNT)
    assert (job(pipeline).done, job(pipeline).failed) == (COUNT, 0)
    assert records_in(pipeline) == COUNT
    with pipeline.reader() as reader:
        totals = reader.totals()
        assert reader.parked_count() == reader.outbox_count() == 0
        letters = reader.dead_letters(DeadLetterFilter(), limit=5000)
        [orders] = reader._rows("SELECT count(DISTINCT order_id) FROM orders").rows[0]
    assert totals.orders == orders == COUNT * 85 // 100
    assert totals.dead_letters == len({letter.source for letter in letters}) == COUNT * 15 // 100
    check = pipeline.command("check")
    assert check.returncode == 0, check.stdout


def test_a_worker_killed_in_the_middle_of_a_replay_sends_no_dead_letter_twice(pipeline):
    pipeline.command("produce", "--count", "2000", "--invalid-share", "1")
    wait_for("2000 dead letters", lambda: pipeline.settled() == 2000)
    assert pipeline.command("replay", "--all", "--rate", "800", "--no-wait").returncode == 0
    for part in (300, 900):
        with pipeline.reader() as reader:
            wait_for(f"{part} replays", lambda part=part, reader=reader: reader.job(2).done >= part)
        pid = pipeline.role("worker").pid
        pipeline.kill("worker")
        wait_for(
            "the worker's return", lambda pid=pid: any(r.role == "worker" and r.pid != pid for r in pipeline.running())
        )
    with pipeline.reader() as reader:
        wait_for("the end of the job", lambda: reader.job(2).state == "done")
        wait_for("every outcome", lambda: reader.job(2).dead_again == 2000)
        assert (reader.job(2).done, reader.job(2).failed) == (2000, 0)
        # Each failed once more, and only once.
        wait_for("the new dead letters", lambda: reader.totals().dead_letters >= 4000)
        assert reader.status_counts() == {"dead_again": 2000, "open": 2000}
    assert records_in(pipeline) == 4000


def test_a_demo_cluster_that_dies_begins_a_new_generation_and_keeps_the_old_rows(pipeline):
    pipeline.command("produce", "--count", "100", "--invalid-share", "0.1")
    wait_for("100 settled records", lambda: pipeline.settled() == 100)
    before = pipeline.cluster
    pipeline.kill("broker")
    wait_for("another cluster", lambda: pipeline.role("broker").state == "running" and pipeline.cluster != before)
    pipeline.command("produce", "--count", "100", "--invalid-share", "0.1", "--seed", "2")
    wait_for("200 settled records", lambda: pipeline.settled() >= 200)
    with pipeline.reader() as reader:
        assert (reader.totals().orders, reader.totals().dead_letters) == (180, 20)
        assert len({row[4] for row in reader.partitions().rows}) == 2


@on_clusters("topic_changes", "topic_ids")
def test_a_topic_that_was_recreated_begins_a_new_generation_and_keeps_the_old_rows(pipeline):
    pipeline.command("produce", "--count", "100", "--invalid-share", "0.1")
    wait_for("100 settled records", lambda: pipeline.settled() == 100)
    topic = pipeline.settings.orders_topic
    before = ClusterView(pipeline.settings, pipeline.cluster).identities([topic])
    recreate_topic(pipeline.cluster, topic)
    wait_for("the new topic's partitions", lambda: generations(pipeline, topic) == 2)
    assert ClusterView(pipeline.settings, pipeline.cluster).identities([topic]) != before

    # Fewer records than before: offsets that the old topic had must not be taken for read.
    pipeline.command("produce", "--count", "50", "--invalid-share", "0.1", "--seed", "2")
    wait_for("150 settled records", lambda: pipeline.settled() >= 150)
    with pipeline.reader() as reader:
        assert (reader.totals().orders, reader.totals().dead_letters) == (135, 15)
    check = pipeline.command("check")
    assert check.returncode == 0, check.stdout


@on_clusters("topic_changes", "topic_ids")
def test_what_comes_onto_a_topic_as_soon_as_it_is_recreated_is_there_once(pipeline):
    # Nothing was read of the old topics, so the client library finds the new ones' first records where it stands.
    orders, dead_letters = pipeline.settings.orders_topic, pipeline.settings.own_dlq_topic
    recreate_topic(pipeline.cluster, orders)
    with OrderWriter(pipeline, 0) as writer:
        writer.write(300)
    recreate_topic(pipeline.cluster, dead_letters)
    pipeline.send(*[(b"k", b"no order", ())] * 200, topic=dead_letters)

    wait_for(
        "both new topics' ends",
        lambda: (read_of_newest(pipeline, orders), read_of_newest(pipeline, dead_letters)) == (300, 200),
    )
    with pipeline.reader() as reader:
        assert (reader.totals().orders, reader.totals().dead_letters) == (300, 200)
    check = pipeline.command("check")
    assert check.returncode == 0, check.stdout


def read_of_newest(pipeline: RunningPipeline, topic: str) -> int:
    """How many records of the topic that has this name now were read."""
    newest = ClusterView(pipeline.settings, pipeline.cluster).topic_ids([topic])[0][topic]
    with pipeline.reader() as reader:
        return sum(row[3] for row in reader.partitions().rows if (row[1], row[5]) == (topic, newest))


def generations(pipeline: RunningPipeline, topic: str) -> int:
    """How many topics of that name were read."""
    with pipeline.reader() as reader:
        return len({(row[4], row[5]) for row in reader.partitions().rows if row[:2] == ("processor", topic)})


def test_what_was_parked_when_its_cluster_died_is_finished_all_the_same(pipeline_with):
    pipeline = pipeline_with(retry_preset="fixed")
    pipeline.up()
    pipeline.command("produce", "--count", "50", "--transient-share", "1")
    with pipeline.reader() as reader:
        wait_for("parked records", lambda: reader.parked_count() > 0)
    pipeline.kill("broker")
    wait_for("all 50", lambda: pipeline.settled() == 50)
    with pipeline.reader() as reader:
        assert reader.totals().orders == 50
        assert reader.parked_count() == 0


def job(pipeline: RunningPipeline):
    with pipeline.reader() as reader:
        return reader.job(1)
