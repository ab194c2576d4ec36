"""On topics of others offsets are not records: whole pipelines beside transactional writers and compaction."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from typing import Any

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from confluent_kafka.cimpl import NewTopic

from pipeline.kafka import records_since
from pipeline.records import Order
from scripts.waiting import wait_for
from tests.support.buffer_rows import NOW_MS
from tests.support.flow_in_process import CODEC
from tests.support.kafkas import on_clusters
from tests.support.running_pipeline import RunningPipeline
from tests.support.transactions import TransactionalWriter

ON_APACHE = on_clusters("topic_changes")
COMMITTED, ABORTED = 20, 1000
END = COMMITTED + 1 + ABORTED + 1
"""With the two markers."""
LETTER = b"not an order"


def order(number: int) -> bytes:
    return CODEC.encode(Order(f"O-{number}", "C", "tea", 100, NOW_MS))


def admin(pipeline: RunningPipeline) -> AdminClient:
    return AdminClient({"bootstrap.servers": pipeline.settings.bootstrap_servers})


def make_topics(pipeline: RunningPipeline, **config: str) -> tuple[str, str]:
    """The orders topic, and the dead-letter topic with these properties."""
    topics = pipeline.settings.orders_topic, pipeline.settings.own_dlq_topic
    wanted = [NewTopic(topics[0], 1), NewTopic(topics[1], 1, config=config)]
    client = admin(pipeline)
    for made in client.create_topics(wanted).values():
        made.result(10)
    return topics


def delete_records(pipeline: RunningPipeline, topic: str, before_offset: int) -> None:
    client = admin(pipeline)
    for deleted in client.delete_records([TopicPartition(topic, 0, before_offset)]).values():
        deleted.result(10)


def next_offsets(pipeline: RunningPipeline) -> dict[str, int]:
    with pipeline.reader() as reader:
        rows = reader.partitions()
    return dict(zip(rows.column("topic"), rows.column("next_offset"), strict=True))


def gone(pipeline: RunningPipeline) -> list[str]:
    with pipeline.reader() as reader:
        events = reader.events()
    return [message for message in (events.column("message") if events.rows else []) if "are gone" in message]


def lags(pipeline: RunningPipeline) -> list[Any]:
    status = pipeline.status()
    return [status["lag"], status["dead_letter_lag"]]


@ON_APACHE
def test_transactions_leave_no_lag_and_what_was_aborted_is_never_missed(pipeline_with: Callable[..., RunningPipeline]):
    pipeline = pipeline_with()
    topics = make_topics(pipeline)
    writer = TransactionalWriter(pipeline.settings.bootstrap_servers)
    for topic, value in zip(topics, (order, lambda number: LETTER), strict=True):
        writer.write(topic, [value(number) for number in range(COMMITTED)])
        writer.write_and_abort(topic, [value(number) for number in range(ABORTED)])
    up = pipeline.up()
    wait_for("all that was committed", lambda: pipeline.settled() == 2 * COMMITTED)
    wait_for("no lag", lambda: lags(pipeline) == [0, 0])
    wait_for("the buffer to follow", lambda: next_offsets(pipeline) == dict.fromkeys(topics, END))
    up.terminate()
    assert up.wait(30) == 0

    for topic in topics:
        delete_records(pipeline, topic, END)
    writer.write(topics[0], [order(COMMITTED)])
    pipeline.up()
    wait_for("the next order", lambda: pipeline.settled() == 2 * COMMITTED + 1)
    wait_for("no lag", lambda: lags(pipeline) == [0, 0])
    assert gone(pipeline) == []
    check = pipeline.command("check")
    assert (check.returncode, check.stderr) == (0, "all figures agree\n"), check.stdout


@ON_APACHE
def test_records_that_kafka_removed_unread_are_alerted_of_counted_and_told(
    pipeline_with: Callable[..., RunningPipeline], free_port: int
):
    pipeline = pipeline_with(metrics_port=free_port, alert_hold_s=0)
    orders, _ = make_topics(pipeline)
    pipeline.send(*((b"key", order(number), ()) for number in range(10)))
    up = pipeline.up()
    wait_for("what is read before", lambda: pipeline.settled() == 10)
    up.terminate()
    assert up.wait(30) == 0
    pipeline.send(*((b"key", order(number), ()) for number in range(10, 1010)))
    delete_records(pipeline, orders, 510)
    pipeline.up()
    wait_for("what is left", lambda: pipeline.settled() == 510)
    wait_for("an alert", lambda: "lost-offsets" in pipeline.firing())
    [lost] = pipeline.status()["lost_offsets"]
    assert (lost["role"], lost["topic"], lost["offsets"], lost["known"]) == ("processor", orders, 500, 0)
    assert f"up to 500 records of {orders}" in pipeline.command("status").stdout
    with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/metrics", timeout=10) as answer:
        metric = f'orderpulse_lost_offsets_total{{role="processor",topic="{orders}"}} 500.0'
        assert metric in answer.read().decode()
    check = pipeline.command("check")
    assert (check.returncode, check.stdout.count("\n")) == (1, 1)
    assert f"{orders}: Kafka removed up to 500 records before the processor read them" in check.stdout

    accepted = pipeline.command("check", "--accept-lost")
    assert (accepted.returncode, accepted.stderr) == (0, "all figures agree\n")
    wait_for("the end of the alert", lambda: "lost-offsets" not in pipeline.firing())
    assert pipeline.status()["lost_offsets"][0]["known"] == 500


@ON_APACHE
def test_check_does_not_miss_what_compaction_took(pipeline_with: Callable[..., RunningPipeline]):
    pipeline = pipeline_with()
    # Each record begins a segment, and only the newest one is left alone by the cleaner.
    quickly = {"segment.ms": "50", "min.cleanable.dirty.ratio": "0.001", "max.compaction.lag.ms": "50"}
    _, letters = make_topics(pipeline, **quickly, **{"cleanup.policy": "compact"})
    pipeline.up()
    pipeline.send((b"stays", LETTER, ()), topic=letters)
    for number in range(3):
        for key in (b"a", b"b", b"c"):
            pipeline.send((key, b"%s %d" % (LETTER, number), ()), topic=letters)
    wait_for("all letters", lambda: pipeline.settled() == 10)
    wait_for("compaction", lambda: held_offsets(pipeline, letters) < 10, deadline_s=90)
    check = pipeline.command("check")
    assert (check.returncode, check.stdout) == (0, "")

    # Where nothing is compacted the same would be a difference.
    policy = ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, letters, incremental_configs=[policy])
    client = admin(pipeline)
    client.incremental_alter_configs([resource])[resource].result(10)
    check = pipeline.command("check")
    assert check.returncode == 1
    assert "but the topic has no such record" in check.stdout


def held_offsets(pipeline: RunningPipeline, topic: str) -> int:
    return sum(1 for _ in records_since(pipeline.settings, pipeline.cluster, topic, {0: 0}))
