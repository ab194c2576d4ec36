"""What the dead-letter topic does not take is a dead letter all the same, and holds nothing else up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from pipeline.clock import steady_clock_ms
from pipeline.kafka import records_since
from scripts.waiting import wait_for
from tests.support.kafkas import PARTITIONS, on_clusters
from tests.support.running_pipeline import RunningPipeline


@pytest.fixture
def narrow(cluster_settings: dict[str, Any], pipeline_with: Callable[..., RunningPipeline]) -> RunningPipeline:
    """A pipeline whose own dead-letter topic takes 100 kB at once."""
    topic = cluster_settings["dlq_topics"]
    admin = AdminClient({"bootstrap.servers": cluster_settings["bootstrap_servers"]})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1, config={"max.message.bytes": "100000"})])[topic].result(10)
    pipeline = pipeline_with()
    pipeline.up()
    return pipeline


def dead_letters(pipeline: RunningPipeline) -> list[dict[str, Any]]:
    with pipeline.reader() as reader:
        found = reader._rows('SELECT key, length(value) AS size, topic, "offset", reason, status FROM dead_letters')
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def in_the_topic(pipeline: RunningPipeline) -> int:
    settings = pipeline.settings
    everything = dict.fromkeys(range(PARTITIONS), 0)
    return len(list(records_since(settings, pipeline.cluster, settings.own_dlq_topic, everything)))


@on_clusters("topic_changes")
def test_many_small_dead_letters_at_once_all_come_to_a_topic_that_takes_little(narrow: RunningPipeline) -> None:
    narrow.send(*((b"one key", b"no order" + bytes(2000), ()) for _ in range(160)))
    wait_for("all of them", lambda: len(dead_letters(narrow)) == 160)
    assert in_the_topic(narrow) == 160
    assert narrow.role("processor").detail == ""


@on_clusters("topic_changes")
def test_a_record_that_is_too_large_is_kept_with_the_reason_and_small_ones_go_by(narrow: RunningPipeline) -> None:
    narrow.send((b"large", bytes(1_000_000), ()))
    for number in range(3):
        sent_ms = steady_clock_ms()
        narrow.send((b"small", b"no order", ()))
        wait_for("it", lambda number=number: len(dead_letters(narrow)) == number + 2)
        assert steady_clock_ms() - sent_ms < 5000
    [large] = [each for each in dead_letters(narrow) if each["key"] == b"large"]
    assert (large["size"], large["topic"], large["offset"], large["status"]) == (1_000_000, None, None, "open")
    assert "see its max.message.bytes" in large["reason"]
    assert "needs a registry" in large["reason"]
    assert in_the_topic(narrow) == 3
    with narrow.reader() as reader:
        assert reader.outbox_count() == 0
        assert reader.totals().dead_letters == 4
    assert narrow.command("check").returncode == 0


@on_clusters("topic_changes")
def test_a_thousand_that_are_too_large_do_not_block(narrow: RunningPipeline) -> None:
    narrow.send(*((b"large", bytes(110_000), ()) for _ in range(1000)), *((b"%d" % n, b"small", ()) for n in range(20)))
    wait_for("all of them", lambda: len(dead_letters(narrow)) == 1020, 60)
    assert in_the_topic(narrow) == 20


@on_clusters("topic_changes")
def test_a_replay_that_a_topic_does_not_take_fails_alone_with_its_reason(
    cluster_settings: dict[str, Any], pipeline_with: Callable[..., RunningPipeline]
) -> None:
    topic = cluster_settings["orders_topic"]
    admin = AdminClient({"bootstrap.servers": cluster_settings["bootstrap_servers"]})
    # Dead letters of records that were taken before the topic was made narrower.
    admin.create_topics([NewTopic(topic, PARTITIONS, 1, config={"max.message.bytes": "1000"})])[topic].result(10)
    pipeline = pipeline_with()
    pipeline.up()
    origin = (("__connect.errors.topic", topic.encode()),)
    sizes = [10] * 30 + [5000] + [10] * 30
    pipeline.send(
        *((b"k", b"%03d" % number + bytes(size), origin) for number, size in enumerate(sizes)),
        topic=pipeline.settings.own_dlq_topic,
    )
    wait_for("the dead letters", lambda: pipeline.settled() == 61)
    replayed = pipeline.command("replay", "--all")
    assert "60 of 61 sent, 1 failed" in replayed.stderr
    assert f"it is larger than topic {topic} takes" in replayed.stderr
    with pipeline.reader() as reader:
        [job] = reader.jobs()
        assert (job.done, job.failed) == (60, 1)
        errors = reader._rows("SELECT error FROM job_items WHERE state = 'failed'").column("error")
    assert errors == [
        f"it is larger than topic {topic} takes, see its max.message.bytes (Broker: Message size too large)"
    ]
