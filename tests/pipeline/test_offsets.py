"""On topics of others offsets are not records: whole pipelines beside transactional writers and compaction."""

from __future__ import annotations

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


def delete_all_records(pipeline: RunningPipeline, *topics: str) -> None:
    wanted = [TopicPartition(topic, 0, -1) for topic in topics]
    client = admin(pipeline)
    for deleted in client.delete_records(wanted).values():
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

    delete_all_records(pipeline, *topics)
    writer.write(topics[0], [order(COMMITTED)])
    pipeline.up()
    wait_for("the next order", lambda: pipeline.settled() == 2 * COMMITTED + 1)
    wait_for("no lag", lambda: lags(pipeline) == [0, 0])
    assert gone(pipeline) == []
    check = pipeline.command("check")
    assert (check.returncode, check.stderr) == (0, "all figures agree\n"), check.stdout


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
