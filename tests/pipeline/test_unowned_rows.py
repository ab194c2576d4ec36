"""What waits is brought to its end by somebody, though its partition or topic is not read any more. On Apache Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from pipeline.buffer import open_buffer
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order
from pipeline.running.statusboard import read_roles
from scripts.local.cluster import KafkaCluster
from scripts.waiting import wait_for
from tests.support.buffer_rows import batch, outbox_row
from tests.support.faulty_handler import FAIL_AS_ASKED, FAILURES
from tests.support.running_pipeline import RunningPipeline

PARTITIONS = 6
PARKED, IN_THE_OUTBOX = 10, 3
FOR_EVER = 900


@pytest.fixture
def pipeline(pipeline_with: Callable[..., RunningPipeline], apache_kafka: KafkaCluster) -> RunningPipeline:
    """One that tries what fails again and again, every half second; nothing runs yet."""
    name = f"unowned-{time.time_ns()}"
    return pipeline_with(
        bootstrap_servers=apache_kafka.bootstrap_servers,
        orders_topic=name,
        dlq_topics=f"{name}-dlq",
        group_id=name,
        topic_partitions=PARTITIONS,
        handler=FAIL_AS_ASKED,
        retry_max=FOR_EVER + 1,
        retry_cap_ms=500,
    )


def park(pipeline: RunningPipeline, failures: int) -> None:
    """Has so many records wait for a retry, each of a key of its own."""
    codec = OrderCodec(SchemaStore(pipeline.settings.schemas_dir))
    orders = [Order(f"P-{number}", f"C{number}", "Cup", 100, time.time_ns() // 1_000_000) for number in range(PARKED)]
    headers = ((FAILURES, b"%d" % failures),)
    pipeline.send(*((order.customer_id.encode(), codec.encode(order), headers) for order in orders))
    with pipeline.reader() as reader:
        wait_for("parked records", lambda: reader.parked_count() == PARKED)


def fill_outbox(pipeline: RunningPipeline) -> None:
    """Has some more records be dead letters that wait, as if their topic had been away; nothing runs."""
    with open_buffer(pipeline.settings.database_file) as buffer:
        waiting = buffer.flow.waiting()[-1]
        read = buffer.flow.assign("processor", waiting.identity, waiting.partition, 0, 0)
        offsets = range(read.next_offset, read.next_offset + IN_THE_OUTBOX)
        step = batch(read.ref, read.next_offset, offsets.stop)
        step.outbox = [outbox_row(read.ref, offset, f"waits-{offset}") for offset in offsets]
        buffer.flow.commit(step)


def end(pipeline: RunningPipeline, command: str) -> None:
    process = pipeline.started(command)
    process.terminate()
    assert process.wait(20) == 0


def read_another_topic(pipeline: RunningPipeline) -> str:
    """Changes the setting; returns the name that it had."""
    before = pipeline.settings.orders_topic
    pipeline.environment["ORDERPULSE_ORDERS_TOPIC"] = f"{before}-new"
    pipeline.settings = pipeline.settings.model_copy(update={"orders_topic": f"{before}-new"})
    return before


def assert_all_came_to_its_end(pipeline: RunningPipeline) -> None:
    with pipeline.reader() as reader:
        wait_for("nothing waits", lambda: reader.parked_count() == reader.outbox_count() == 0)
        wait_for("every dead letter", lambda: reader.totals().dead_letters == IN_THE_OUTBOX)
        assert reader.totals().orders == PARKED
    assert pipeline.status()["of_gone_partitions"] == []
    check = pipeline.command("check")
    assert check.returncode == 0, check.stdout


def test_what_waits_of_a_topic_that_was_renamed(pipeline):
    pipeline.up()
    park(pipeline, failures=8)
    end(pipeline, "up")
    fill_outbox(pipeline)
    before = read_another_topic(pipeline)

    # As long as nothing runs it is shown.
    gone = pipeline.status()["of_gone_partitions"]
    assert {each["topic"] for each in gone} == {before}
    assert [sum(each[table] for each in gone) for table in ("parked", "outbox")] == [PARKED, IN_THE_OUTBOX]
    assert f"of partitions that are gone: {before}[" in pipeline.command("status").stdout
    assert f"of a partition that is gone: {before}[" in pipeline.command("check").stderr

    pipeline.up()
    assert_all_came_to_its_end(pipeline)
    with pipeline.reader() as reader:
        topics = reader._rows("SELECT DISTINCT topic FROM orders").column("topic")
    assert topics == [before]


def test_what_waits_of_partitions_that_a_recreated_topic_has_no_more(pipeline):
    pipeline.up()
    park(pipeline, failures=8)
    end(pipeline, "up")
    fill_outbox(pipeline)
    topic = pipeline.settings.orders_topic
    client = AdminClient({"bootstrap.servers": pipeline.settings.bootstrap_servers})
    client.delete_topics([topic])[topic].result(10)
    wait_for("the topic's end", lambda: topic not in client.list_topics(timeout=10).topics)
    client.create_topics([NewTopic(topic, 1)])[topic].result(10)
    pipeline.up()
    assert_all_came_to_its_end(pipeline)


def test_one_processor_adopts_what_waits_and_hands_it_over_when_it_ends(pipeline):
    pipeline.start("collector")
    pipeline.start("processor", "--instance", "0")
    wait_for("the processor", lambda: parked_by(pipeline) == {0: 0})
    park(pipeline, failures=FOR_EVER)
    end(pipeline, "processor")
    before = read_another_topic(pipeline)
    first = pipeline.start("processor", "--instance", "0")
    pipeline.start("processor", "--instance", "1")
    wait_for("the first adopts it", lambda: parked_by(pipeline) == {0: PARKED, 1: 0})
    assert all(name.startswith(f"{before}[") for name in adopted_by(pipeline)[0])

    first.terminate()
    assert first.wait(20) == 0
    wait_for("the second adopts it", lambda: parked_by(pipeline) == {1: PARKED})
    pipeline.start("processor", "--instance", "0")
    wait_for("and gives it back", lambda: parked_by(pipeline) == {0: PARKED, 1: 0})
    with pipeline.reader() as reader:
        assert (reader.parked_count(), reader.totals().orders) == (PARKED, 0)


def adopted_by(pipeline: RunningPipeline) -> dict[int, list[str]]:
    return {instance: figures["adopted"] for instance, figures in figures_of(pipeline).items()}


def parked_by(pipeline: RunningPipeline) -> dict[int, int]:
    return {instance: figures["parked"] for instance, figures in figures_of(pipeline).items()}


def figures_of(pipeline: RunningPipeline) -> dict[int, dict]:
    """What each processor that runs says of itself."""
    now_ms = time.time_ns() // 1_000_000
    return {
        role.instance: role.figures
        for role in read_roles(pipeline.data_dir)
        if role.role == "processor" and role.state == "running" and not role.silent(now_ms)
    }


def test_processors_that_read_different_topics_on_one_folder_keep_what_is_theirs(pipeline):
    pipeline.start("collector")
    pipeline.start("processor", "--instance", "0")
    wait_for("the first processor", lambda: read_by(pipeline) == {0: PARTITIONS})
    park(pipeline, failures=FOR_EVER)
    read_another_topic(pipeline)
    pipeline.start("processor", "--instance", "1")
    wait_for("all of both topics", lambda: read_by(pipeline) == {0: PARTITIONS, 1: PARTITIONS})
    assert (parked_by(pipeline), adopted_by(pipeline)) == ({0: PARKED, 1: 0}, {0: [], 1: []})
    assert pipeline.status()["of_gone_partitions"] == []


def read_by(pipeline: RunningPipeline) -> dict[int, int]:
    return {instance: len(figures["partitions"]) for instance, figures in figures_of(pipeline).items()}
