"""Our records and groups as shown by tools that nobody here wrote: kcat, and the command line tools of Apache Kafka."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from pipeline.buffer import DeadLetterFilter
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order
from scripts.local.process import program
from scripts.waiting import wait_for
from tests.support.page import pipeline_page
from tests.support.running_pipeline import RunningPipeline
from tests.support.secured_kafka import SecuredKafka

CONSOLE_CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
CONSUMER_GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
KCAT_S = 30
JUNK = b"\x00no order\xff"
TRACE = (("trace", b"\x01\xfe"), ("trace", b"again"))


@pytest.fixture(scope="module")
def pipeline(secured_kafka: SecuredKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPipeline]:
    """A pipeline that has written one dead letter, which came of `JUNK`."""
    running = RunningPipeline(tmp_path_factory.mktemp("interop"), **secured_kafka.settings("PLAINTEXT"))
    try:
        running.up()
        running.send((b"\xffkey", JUNK, TRACE))
        wait_for("the dead letter", lambda: running.settled() == 1)
        yield running
    finally:
        running.end()


def kcat(pipeline: RunningPipeline, *arguments: str) -> bytes:
    command = [program("kcat"), "-b", pipeline.settings.bootstrap_servers, *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=True, capture_output=True, timeout=KCAT_S).stdout


def test_kcat_reads_our_dead_letters_with_the_bytes_and_headers_we_know_of(pipeline):
    topic = pipeline.settings.own_dlq_topic
    listed = json.loads(kcat(pipeline, "-L", "-J"))
    assert {each["topic"] for each in listed["topics"]} >= {topic, pipeline.settings.orders_topic}
    consume = ("-C", "-t", topic, "-o", "beginning", "-e", "-q")
    assert kcat(pipeline, *consume, "-f", "%k|%s") == b"\xffkey|" + JUNK
    told = kcat(pipeline, *consume, "-f", "%h").decode(errors="surrogateescape")
    with pipeline.reader() as reader:
        [letter] = reader.dead_letters(DeadLetterFilter())
        detail = reader.dead_letter(letter.id)
    assert detail.headers[:2] == TRACE
    known = ",".join(f"{name}={(value or b'').decode(errors='surrogateescape')}" for name, value in detail.headers)
    assert told == known


def test_orders_that_kcat_writes_from_our_codecs_bytes_are_accepted(pipeline, tmp_path):
    order = Order("O-1", "C-1", "Cup", 1250, 1_767_268_800_000)
    file = tmp_path / "order.avro"
    file.write_bytes(OrderCodec(SchemaStore(pipeline.settings.schemas_dir)).encode(order))
    kcat(pipeline, "-P", "-t", pipeline.settings.orders_topic, "-k", "C-1", "-H", "source=kcat", str(file))
    with pipeline.reader() as reader:
        wait_for("the order", lambda: reader.totals().orders == 1)
        assert reader.totals().revenue_cents == 1250


def test_kafkas_console_consumer_reads_our_dead_letter_topic(secured_kafka, pipeline):
    topic = pipeline.settings.own_dlq_topic
    printed = secured_kafka.cluster.tool(
        CONSOLE_CONSUMER,
        *("--topic", topic, "--from-beginning", "--max-messages", "1", "--timeout-ms", "20000"),
        *("--formatter-property", "print.headers=true"),
    )
    assert f"__connect.errors.topic:{pipeline.settings.orders_topic}" in printed
    assert "orderpulse.dead-letter-id:" in printed
    assert "no order" in printed


def group_lag(kafka: SecuredKafka, pipeline: RunningPipeline) -> int:
    """The lag of our group, as kafka-consumer-groups adds it up."""
    group, topic = pipeline.settings.group_id, pipeline.settings.orders_topic
    described = kafka.cluster.tool(CONSUMER_GROUPS, "--describe", "--group", group)
    rows = [line.split() for line in described.splitlines()]
    [titles] = [row for row in rows if "LAG" in row]
    lags = [row[titles.index("LAG")] for row in rows if row[:2] == [group, topic]]
    assert lags, described
    return sum(map(int, lags))


def test_kafka_consumer_groups_shows_our_group_with_the_lag_that_we_show(secured_kafka, pipeline_with, monkeypatch):
    # A dead letter that may not be written fills the little room there is: reading stops, and the lag stays.
    settings = secured_kafka.settings("SASL_PLAINTEXT", "lagging", "PLAIN", max_parked="1")
    orders, dead_letters = settings["orders_topic"], settings["dlq_topics"]
    secured_kafka.make_topics(orders, dead_letters)
    secured_kafka.allow("lagging", orders, "", "Read", "Write")
    secured_kafka.allow("lagging", dead_letters, "", "Read")
    secured_kafka.allow("lagging", "", settings["group_id"], "Read")
    pipeline = pipeline_with(**settings)
    pipeline.up()
    pipeline.send((b"k", JUNK, ()))
    wait_for("the stop", lambda: "reading is paused" in pipeline.role("processor").detail)
    pipeline.send(*((b"k", JUNK, ()) for _ in range(7)))
    wait_for("the lag", lambda: pipeline.role("processor").figures["lag"] == 7, 10)
    wait_for("the first offset in Kafka", lambda: group_lag(secured_kafka, pipeline) == 7, 20)
    assert pipeline.status()["lag"] == 7
    page = pipeline_page(pipeline, monkeypatch)
    assert {metric.label: metric.value for metric in page.metric}["Lag"] == "7"

    secured_kafka.allow("lagging", dead_letters, "", "Write")
    with pipeline.reader() as reader:
        wait_for("all dead letters", lambda: reader.totals().dead_letters == 8)
    wait_for("no lag", lambda: pipeline.role("processor").figures["lag"] == 0, 10)
    wait_for("no lag in Kafka", lambda: group_lag(secured_kafka, pipeline) == 0, 20)
