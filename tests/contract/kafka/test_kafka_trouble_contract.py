"""What pipeline/kafka says when Kafka is another one than before, is away, or is asked for what must not be."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.errors import KafkaUnavailableError, SettingsError, TopicChangedError
from pipeline.kafka import (
    ClusterView,
    DemoBroker,
    IdentityWatch,
    PartitionReader,
    Sender,
    ends,
    find_cluster,
    records_since,
)
from pipeline.settings import load_settings
from scripts.waiting import wait_for
from tests.support.kafkas import on_kafka, recreate_topic
from tests.support.running_pipeline import RunningPipeline

# -- IdentityWatch


def change_of(watch: IdentityWatch) -> str:
    """What the watch says, once it has noticed a change."""

    def noticed() -> str:
        try:
            watch.check()
        except TopicChangedError as error:
            return str(error)
        return ""

    return wait_for("the change", noticed)


@on_kafka("topic_ids")
def test_a_topic_that_was_recreated_is_noticed(kafka):
    kafka.make_topic()
    view = kafka.view()
    watch = IdentityWatch(kafka.settings, view, view.identities([kafka.topic]))
    watch.check()
    recreate_topic(kafka.cluster, kafka.topic)
    assert change_of(watch) == f"topic {kafka.topic} was recreated"
    watch.close()


def test_another_demo_cluster_is_noticed(tmp_path):
    settings = load_settings(data_dir=tmp_path, bootstrap_servers="")
    first = DemoBroker(tmp_path)
    view = ClusterView(settings, first.cluster)
    view.ensure_topic("orders")
    before = view.identities(["orders"])
    watch = IdentityWatch(settings, view, before)
    watch.check()
    second = DemoBroker(tmp_path)
    assert change_of(watch) == "the demo cluster is another one"
    assert ClusterView(settings, second.cluster).identities(["orders"]) != before
    watch.close()
    # The first one's end does not take away the second one's address.
    first.close()
    assert find_cluster(settings) == second.cluster
    second.close()
    with pytest.raises(KafkaUnavailableError, match="the demo cluster is not running"):
        find_cluster(settings)


# -- without a broker


def test_without_a_broker_every_call_says_what_it_was_doing(tmp_path, free_port):
    settings = load_settings(data_dir=tmp_path, bootstrap_servers=f"127.0.0.1:{free_port}")
    cluster = find_cluster(settings)
    view = ClusterView(settings, cluster)
    calls: dict[str, Callable[[], object]] = {
        "listing the topics": view.partitions,
        "looking up orders, more": lambda: ClusterView(settings, cluster).identities(["orders", "more"]),
        "asking for the offsets of orders[0]": lambda: ends(settings, cluster, "orders", 1),
        "asking for the offsets of orders[3]": lambda: next(records_since(settings, cluster, "orders", {3: 0})),
    }
    with ThreadPoolExecutor(len(calls)) as pool:
        answers = {doing: pool.submit(call) for doing, call in calls.items()}
    for doing, answer in answers.items():
        said = answer.exception()
        assert isinstance(said, KafkaUnavailableError), doing
        assert str(said).startswith(f"{doing}: ")
        assert "Kafka does not answer" in str(said)


def test_without_a_broker_a_reader_and_a_sender_say_what_troubles_them(tmp_path, free_port):
    settings = load_settings(data_dir=tmp_path, bootstrap_servers=f"127.0.0.1:{free_port}")
    sender = Sender(settings, find_cluster(settings), message_timeout_ms=500)
    told: list[str] = []
    sender.send("orders", None, b"x", (), lambda delivery: told.append(delivery.error))
    with PartitionReader(settings, find_cluster(settings), "group") as reader:
        reader.assign("orders", 0, 0)
        wait_for("the reader's trouble", lambda: reader.read(1, 0.1) == ([], []) and reader.trouble)
        assert "Kafka does not answer" in reader.trouble
    assert sender.flush(10.0) == 0
    assert len(told) == 1
    assert "timed out" in told[0]
    assert "Kafka does not answer" in sender.trouble


def test_a_broker_that_ends_while_records_are_listed_is_an_error_not_a_wait_without_end(tmp_path):
    running = RunningPipeline(tmp_path, kafka_config={"queued.min.messages": 1, "fetch.message.max.bytes": 1000})
    running.start("broker")
    wait_for("the demo cluster", lambda: (tmp_path / "broker.json").exists())
    running.send(*((b"key", bytes(500), ()) for _ in range(5000)))
    [only] = [partition for partition, end in ends(running.settings, running.cluster, "orders", 4).items() if end]
    records = records_since(running.settings, running.cluster, "orders", {only: 0})
    next(records)
    running.kill("broker")
    with pytest.raises(KafkaUnavailableError, match="reading orders: Kafka does not answer"):
        list(records)
    running.end()


def test_properties_that_the_guarantees_depend_on_are_refused(tmp_path):
    settings = load_settings(data_dir=tmp_path, bootstrap_servers="127.0.0.1:1", kafka_config={"acks": "1"})
    with pytest.raises(SettingsError, match="must not set acks"):
        Sender(settings, find_cluster(settings))
