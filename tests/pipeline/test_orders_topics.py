"""Orders of several topics, named or taken in by a pattern, are read by one group into one buffer. On Apache Kafka."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import pytest
from confluent_kafka.admin import AdminClient

from pipeline.kafka import ClusterView
from pipeline.running.statusboard import read_roles
from pipeline.watching.kafka_check import compare_with_kafka
from scripts.local.cluster import KafkaCluster
from scripts.waiting import wait_for
from tests.support.kafkas import PARTITIONS
from tests.support.mapping_files import write_sections
from tests.support.order_writer import OrderWriter
from tests.support.processor_in_thread import ProcessorInThread
from tests.support.running_pipeline import RunningPipeline

Make = Callable[..., RunningPipeline]


@pytest.fixture
def name() -> str:
    """What the names of the test's topics begin with."""
    return f"many-{time.time_ns()}"


@pytest.fixture
def made(pipeline_with: Make, apache_kafka: KafkaCluster, name: str) -> Callable[..., RunningPipeline]:
    """A data folder with these orders topics, the first of which are there already; nothing runs yet."""

    def make(orders_topic: str, there: Sequence[str], **settings: object) -> RunningPipeline:
        pipeline = pipeline_with(
            bootstrap_servers=apache_kafka.bootstrap_servers,
            orders_topic=orders_topic,
            dlq_topics=f"{name}-dlq",
            group_id=name,
            topic_partitions=PARTITIONS,
            kafka_config={"session.timeout.ms": 6000},
            **settings,
        )
        for topic in there:
            make_topic(pipeline, topic)
        return pipeline

    return make


def make_topic(pipeline: RunningPipeline, topic: str) -> None:
    ClusterView(pipeline.settings, pipeline.cluster).ensure_topic(topic)


def everything(*topics: str) -> set[str]:
    return {f"{topic}[{partition}]" for topic in topics for partition in range(PARTITIONS)}


def owned(pipeline: RunningPipeline) -> dict[int, set[str]]:
    return {role.instance: set(role.figures["partitions"]) for role in pipeline.running() if role.role == "processor"}


def wait_until_shared(pipeline: RunningPipeline, instances: set[int], *topics: str) -> None:
    def shared() -> bool:
        found = {instance: names for instance, names in owned(pipeline).items() if instance in instances}
        each_has_some = found.keys() == instances and all(found.values())
        return each_has_some and sorted(sum(map(sorted, found.values()), [])) == sorted(everything(*topics))

    wait_for(f"all partitions shared by {sorted(instances)}", shared)


def wait_for_orders(pipeline: RunningPipeline, count: int) -> None:
    with pipeline.reader() as reader:
        wait_for(f"{count} orders", lambda: reader.totals().orders >= count)
        assert reader.totals().orders == count


def orders_by_topic(pipeline: RunningPipeline) -> dict[str, int]:
    exported = pipeline.command("export", "orders", "--format", "jsonl", "--out", "-").stdout.splitlines()
    topics = [json.loads(line)["topic"] for line in exported]
    return {topic: topics.count(topic) for topic in set(topics)}


def test_two_topics_are_read_at_once_while_processors_come_and_go(made, name):
    web, shop = f"{name}-web", f"{name}-shop"
    pipeline = made(f"{web},{shop}", [shop])
    for instance in ("0", "1"):
        pipeline.start("processor", "--instance", instance)
    wait_until_shared(pipeline, {0, 1}, web, shop)
    with ExitStack() as writing:
        writers = [writing.enter_context(OrderWriter(pipeline, 300, topic=topic)) for topic in (web, shop)]
        with pipeline.reader() as reader:
            wait_for("a flow", lambda: reader.totals().orders > 500)
        pipeline.start("processor", "--instance", "2")
        wait_until_shared(pipeline, {0, 1, 2}, web, shop)
        [killed] = [role for role in read_roles(pipeline.data_dir) if (role.role, role.instance) == ("processor", 1)]
        os.kill(killed.pid, signal.SIGKILL)
        wait_until_shared(pipeline, {0, 2}, web, shop)
    counts = {topic: writer.account.orders for topic, writer in zip((web, shop), writers, strict=True)}
    wait_for_orders(pipeline, sum(counts.values()))
    assert orders_by_topic(pipeline) == counts
    with pipeline.reader() as reader:
        assert reader.totals().revenue_cents == sum(writer.account.revenue_cents for writer in writers)
    checked = pipeline.command("check")
    assert checked.returncode == 0, checked.stdout + checked.stderr

    def told() -> bool:
        roles = [role for role in pipeline.status()["roles"] if role["role"] == "processor" and not role["silent"]]
        return {role["instance"]: role["figures"]["topics"] for role in roles} == dict.fromkeys(
            (0, 2), dict.fromkeys((shop, web), {"lag": 0, "stopped": ""})
        )

    wait_for("figures of each topic", told)
    assert pipeline.status()["lag"] == 0


def test_what_fails_of_any_topic_goes_to_the_one_dead_letter_topic_and_back_to_its_own(made, name):
    web, shop = f"{name}-web", f"{name}-shop"
    pipeline = made(f"{web},{shop}", [shop])
    pipeline.up()
    pipeline.send((b"k", b"no order", ()), topic=web)
    pipeline.send((b"k", b"no order", ()), topic=shop)
    with pipeline.reader() as reader:
        wait_for("both dead letters", lambda: reader.totals().dead_letters == 2)
    replayed = pipeline.command("replay", "--all")
    assert replayed.returncode == 0, replayed.stderr
    with pipeline.reader() as reader:
        wait_for("both again", lambda: reader.status_counts() == {"dead_again": 2, "open": 2})
    assert pipeline.command("check").returncode == 0


def test_one_of_two_topics_is_read_again_while_the_other_goes_on(made, name):
    web, shop = f"{name}-web", f"{name}-shop"
    pipeline = made(f"{web},{shop}", [shop])
    pipeline.up()
    with OrderWriter(pipeline, 0, topic=web) as writer:
        writer.write(100)
    with OrderWriter(pipeline, 200, topic=shop) as writer:
        with pipeline.reader() as reader:
            wait_for("a flow", lambda: reader.totals().orders > 300)
        again = pipeline.command("reread", "--topic", web, "--from", "earliest", "--yes")
        assert again.returncode == 0, again.stderr
    wait_for_orders(pipeline, 100 + writer.account.orders)
    assert pipeline.command("check").returncode == 0
    refused = pipeline.command("reread", "--topic", "another", "--from", "earliest", "--yes")
    assert refused.returncode == 1


def test_a_pattern_takes_in_what_appears_and_has_a_section_and_never_dead_letters(made, name):
    first, second, third = (f"{name}-{letter}" for letter in "abc")
    dead_letters = f"{name}-dlq"
    pipeline = made(f"^{name}", [first, second])
    path = pipeline.settings.data_dir / "mapping.toml"
    settings = pipeline.settings.model_copy(update={"mapping_file": path})
    write_sections(path, {first, dead_letters})
    with ProcessorInThread(settings, 0) as one, ProcessorInThread(settings, 1) as other:
        both = (one, other)

        def read(*topics: str) -> bool:
            wanted = everything(*topics)
            each_has_some = all(each.partitions and set(each.topics) == set(topics) for each in both)
            return each_has_some and one.partitions | other.partitions == wanted

        wait_for("the first topic", lambda: read(first))
        assert f"without a section in the mapping file: {second}" in one.status.detail
        assert dead_letters not in one.status.detail
        began_at_ms = [each.status.started_at_ms for each in both]
        with ExitStack() as writing:
            writers = [writing.enter_context(OrderWriter(pipeline, 0, topic=topic)) for topic in (first, second, third)]
            to_first, to_second, to_third = writers
            to_first.write(100)
            to_second.write(50)
            wait_for_orders(pipeline, 100)

            write_sections(path, {first, second, dead_letters})
            wait_for("a second topic", lambda: read(first, second))
            wait_for_orders(pipeline, 150)

            write_sections(path, {first, second, third, dead_letters})
            make_topic(pipeline, third)
            to_third.write(30)
            wait_for("a third topic", lambda: read(first, second, third))
            wait_for_orders(pipeline, 180)

            # One whose section is taken away is read on from where it was.
            write_sections(path, {first, third, dead_letters})
            wait_for("the second one's end", lambda: read(first, third))
            to_second.write(20)
            to_first.write(20)
            wait_for_orders(pipeline, 200)
            write_sections(path, {first, second, third, dead_letters})
            wait_for_orders(pipeline, 220)
        # A record that was sent to the dead-letter topic is no order, whatever it looks like.
        with OrderWriter(pipeline, 0, topic=dead_letters) as writer:
            writer.write(5)
        admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
        admin.delete_topics([third])[third].result(10)
        wait_for("the third one's end", lambda: read(first, second))
        with OrderWriter(pipeline, 0, topic=first) as writer:
            writer.write(1)
        wait_for_orders(pipeline, 221)
        assert [each.status.started_at_ms for each in both] == began_at_ms
        assert [each.status.state for each in both] == ["running", "running"]
    assert orders_by_topic(pipeline) == {first: 121, second: 70, third: 30}
    comparison = compare_with_kafka(settings)
    assert comparison.differences == []

    told = pipeline.command("config")
    assert told.returncode == 0, told.stderr
    assert f"topic {dead_letters} is not read as orders: it is collected as dead letters" in told.stdout
    assert f"topic {second} is not read as orders: it has no section in the mapping file" in told.stdout


def test_with_patterns_only_samples_have_no_topic_and_nothing_to_read_is_said(made, name):
    pipeline = made(f"^{name}-none", [])
    with ProcessorInThread(pipeline.settings) as processor:
        wait_for("its word", lambda: "no topic yet that" in processor.status.detail)
        assert processor.status.state == "running"
    refused = pipeline.command("produce", "--count", "1")
    assert (refused.returncode, "has patterns only" in refused.stderr) == (1, True)
