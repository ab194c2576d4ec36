"""What Kafka refuses is said in one line: on the console, by one-shot commands, on the Pipeline page, within 10 s."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from pipeline.kafka import Delivery, Sender, find_cluster
from pipeline.running.statusboard import RoleStatus
from pipeline.settings import PROJECT_DIR, load_settings
from scripts.waiting import wait_for
from tests.pipeline.conftest import USERS
from tests.support.page import pipeline_page
from tests.support.running_pipeline import RunningPipeline
from tests.support.secured_kafka import MANAGER, unique

SOON_MS = 10_000
WRONG = "wr0ng-Passw0rd"
CONFIG = "ORDERPULSE_KAFKA_CONFIG"


def waiting(pipeline: RunningPipeline, role: str) -> str:
    """What a role says it waits for; empty while it does not."""
    status = pipeline.role(role)
    return status.detail if status and status.state == "waiting" else ""


def warnings(pipeline: RunningPipeline, role: str) -> list[str]:
    """The lines a role has printed; none is from anybody else, such as a traceback."""
    lines = pipeline.log(role).splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \S+ [\w-]+ (INFO|WARNING) ", line) for line in lines), lines
    return [line for line in lines if " WARNING " in line]


def assert_said(pipeline: RunningPipeline, *words: str) -> None:
    """The collector says where and what in one line that it does not repeat, and `check` says it too."""
    pipeline.start("collector")
    detail = wait_for("the refusal", lambda: waiting(pipeline, "collector"))
    status = pipeline.role("collector")
    # By its own clock: how long a busy machine takes to start it is not its doing.
    assert status.heartbeat_at_ms - status.started_at_ms < SOON_MS
    check = pipeline.command("check")
    [line] = [line for line in check.stderr.splitlines() if "not compared with Kafka" in line]
    [warning] = warnings(pipeline, "collector")
    for said in (detail, line, warning):
        assert pipeline.settings.bootstrap_servers in said
        assert all(word in said for word in words), said
        assert said.index(words[0]) < said.index("(")  # our words come first


def assert_shown(pipeline: RunningPipeline, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    """The Pipeline page warns of it."""
    [warning] = [each.value for each in pipeline_page(pipeline, monkeypatch).warning if "collector" in each.value]
    assert word in warning


def test_a_wrong_scram_password_is_said_once_and_orders_flow_when_it_is_put_right(
    secured_kafka, pipeline_with, monkeypatch
):
    settings = secured_kafka.settings("SASL_SSL", "late")
    secured_kafka.set_password("late", WRONG)
    orders, group = settings["orders_topic"], settings["group_id"]
    for topic in (orders, f"{orders}-dlq"):
        secured_kafka.allow("late", topic, "", "Read", "Write", "Create")
    secured_kafka.allow("late", "", group, "Read")
    pipeline = pipeline_with(**settings)
    assert_said(pipeline, "refuses the account", "sasl.password", CONFIG)
    assert_shown(pipeline, monkeypatch, "refuses the account")
    for role in ("processor", "worker"):
        pipeline.start(role)
    wait_for("the processor's refusal", lambda: waiting(pipeline, "processor"))
    secured_kafka.set_password("late", USERS["late"])
    pipeline.wait_until_running()
    assert pipeline.command("produce", "--count", "10", "--invalid-share", "0.2").returncode == 0
    wait_for("10 settled records", lambda: pipeline.settled() == 10)
    # However often it was tried, it was said once; and no secret is in it.
    assert len(warnings(pipeline, "collector")) == 1
    assert USERS["late"] not in pipeline.log("collector")


def test_a_password_that_is_changed_while_roles_run_is_said_when_they_connect_again(secured_kafka, pipeline_with):
    settings = secured_kafka.settings("SASL_PLAINTEXT", "changing")
    orders = settings["orders_topic"]
    for topic in (orders, f"{orders}-dlq"):
        secured_kafka.allow("changing", topic, "", "Read", "Write", "Create")
    secured_kafka.allow("changing", "", settings["group_id"], "Read")
    pipeline = pipeline_with(**settings)
    pipeline.up()
    secured_kafka.set_password("changing", WRONG)
    secured_kafka.cluster.restart(1)
    for role in ("processor", "collector"):
        wait_for(f"the {role}'s refusal", lambda role=role: "refuses the account" in waiting(pipeline, role))
    secured_kafka.set_password("changing", USERS["changing"])
    pipeline.wait_until_running()
    pipeline.send((b"k", b"no order", ()))
    wait_for("the dead letter", lambda: pipeline.settled() == 1)
    assert pipeline.role("processor").detail == ""


def test_a_produce_command_says_what_its_job_waits_for(secured_kafka, pipeline_with):
    settings = secured_kafka.settings("SASL_PLAINTEXT", MANAGER, "PLAIN")
    settings["kafka_config"] |= {"sasl.password": WRONG}
    pipeline = pipeline_with(**settings)
    pipeline.start("worker")
    wait_for("the worker", lambda: pipeline.role("worker"))
    assert pipeline.command("produce", "--count", "1", "--no-wait").returncode == 0
    wait_for("the refusal", lambda: waiting(pipeline, "worker"))
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", "produce", "--count", "1"],
        cwd=PROJECT_DIR,
        env=pipeline.environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as produce:
        line = produce.stderr.readline()
        produce.kill()
        assert produce.stderr.read() == ""
    assert line.startswith("orderpulse: the worker waits: ")
    assert "refuses the account" in line
    assert WRONG not in line


def test_an_unknown_ca_is_named_and_a_restart_with_the_right_one_works(secured_kafka, pipeline_with):
    settings = secured_kafka.settings("SASL_SSL", MANAGER)
    right = settings["kafka_config"]
    settings["kafka_config"] = right | {"ssl.ca.location": str(secured_kafka.stranger.ca_file)}
    pipeline = pipeline_with(**settings)
    assert_said(pipeline, "is not trusted", "unable to get local issuer certificate", "ssl.ca.location", CONFIG)
    pipeline.end()
    mended = pipeline_with(**settings | {"kafka_config": right})
    mended.start("collector")
    wait_for("the collector", lambda: [role.role for role in mended.running()] == ["collector"])


def test_a_certificate_for_another_host_is_named(tls_kafka, pipeline_with):
    settings = tls_kafka.settings("SASL_SSL", MANAGER)
    assert_said(pipeline_with(**settings), "is not trusted", "mismatch, certificate is not valid for '127.0.0.1'")


def test_a_missing_client_certificate_is_named(secured_kafka, pipeline_with):
    settings = secured_kafka.settings("SSL")
    assert_said(
        pipeline_with(**settings),
        "client certificate",
        "ssl.certificate.location",
        CONFIG,
    )


def test_a_client_certificate_of_another_ca_is_named(secured_kafka, pipeline_with):
    settings = secured_kafka.settings("SSL")
    pair = secured_kafka.stranger.client(MANAGER)
    settings["kafka_config"] |= {
        "ssl.key.location": str(pair.key_file),
        "ssl.certificate.location": str(pair.certificate_file),
    }
    assert_said(
        pipeline_with(**settings),
        "client certificate",
        "the CA that signed it",
    )


def test_a_listener_without_tls_is_named(secured_kafka, pipeline_with):
    settings = secured_kafka.settings("PLAINTEXT") | {"kafka_config": {"security.protocol": "SSL"}}
    pipeline = pipeline_with(**settings)
    pipeline.start("collector")
    detail = wait_for("the refusal", lambda: waiting(pipeline, "collector"))
    assert f"{settings['bootstrap_servers']} speaks no TLS: check security.protocol" in detail


# -- missing ACLs


def test_each_missing_acl_is_named_and_granting_it_is_enough(secured_kafka, pipeline_with):
    settings = secured_kafka.settings("SASL_PLAINTEXT", "reader", "PLAIN")
    orders, group = settings["orders_topic"], settings["group_id"]
    dead_letters = f"{orders}-dlq"
    pipeline = pipeline_with(**settings)
    pipeline.start("processor")

    # Nothing is allowed: the topic is not even seen.
    detail = wait_for("the topic", lambda: waiting(pipeline, "processor"))
    assert f"topic {orders}" in detail
    assert f"--create --topic {orders} --partitions 2" in detail
    assert not secured_kafka.exists(orders)
    secured_kafka.allow("reader", orders, "", "Create", "Describe")
    secured_kafka.allow("reader", dead_letters, "", "Create", "Describe")

    wait_for("the group", lambda: f"Read on group {group}" in waiting(pipeline, "processor"))
    secured_kafka.allow("reader", "", group, "Read")

    wait_for("the orders topic", lambda: f"Read on topic {orders}" in waiting(pipeline, "processor"))
    secured_kafka.allow("reader", orders, "", "Read")
    wait_for("the processor", pipeline.running)
    assert set(secured_kafka.topics()[orders].partitions) == {0, 1}

    # The dead-letter topic may not be written, nor any other: the dead letter waits in the outbox, orders go on.
    manager = pipeline_with(
        **settings
        | {"kafka_config": secured_kafka.cluster.client_config("SASL_PLAINTEXT", MANAGER, "PLAIN"), "roles": "worker"}
    )
    manager.send((b"k", b"no order", ()))
    wait_for("the reason", lambda: "dead letters wait in the outbox" in pipeline.role("processor").detail)
    assert f"Write on topic {dead_letters}" in pipeline.role("processor").detail
    with pipeline.reader() as reader:
        assert reader.outbox_count() == 1
    secured_kafka.allow("reader", dead_letters, "", "Write")
    with pipeline.reader() as reader:
        wait_for("the delivery", lambda: reader.outbox_count() == 0, 30)
    wait_for("no complaint", lambda: pipeline.role("processor").detail == "")

    # A read right that is taken away while records flow is said too, and comes back.
    secured_kafka.forbid("reader", orders, "", "Read")
    wait_for("the complaint", lambda: f"Read on topic {orders}" in waiting(pipeline, "processor"))
    secured_kafka.allow("reader", orders, "", "Read")
    wait_for("the processor again", pipeline.running)
    said = [line.partition(" WARNING ")[2] for line in warnings(pipeline, "processor")]
    assert len(said) <= len(set(said)) + 1, said  # what was lost twice is said twice


def test_a_right_to_write_another_topic_does_not_hide_which_one_is_missing(secured_kafka, pipeline_with):
    settings = secured_kafka.settings("SASL_PLAINTEXT", "guest", "PLAIN")
    orders, group = settings["orders_topic"], settings["group_id"]
    dead_letters = f"{orders}-dlq"
    secured_kafka.make_topics(orders, dead_letters)
    secured_kafka.allow("guest", orders, "", "Read", "Write")
    secured_kafka.allow("guest", dead_letters, "", "Read")
    secured_kafka.allow("guest", "", group, "Read")
    pipeline = pipeline_with(**settings)
    pipeline.up()
    assert pipeline.command("produce", "--count", "4", "--invalid-share", "0.5").returncode == 0
    wait_for("the reason", lambda: f"Write on topic {dead_letters}" in pipeline.role("processor").detail)
    with pipeline.reader() as reader:
        wait_for("both in the outbox", lambda: reader.outbox_count() == 2)
        assert reader.totals().orders == 2
        secured_kafka.allow("guest", dead_letters, "", "Write")
        wait_for("both as dead letters", lambda: reader.totals().dead_letters == 2, 30)
    assert pipeline.log().count("dead letters wait in the outbox") == 1


def test_a_job_that_may_write_nothing_fails_with_the_right_that_is_missing(secured_kafka, pipeline_with):
    settings = secured_kafka.settings("SASL_PLAINTEXT", "onlooker", "PLAIN")
    orders = settings["orders_topic"]
    secured_kafka.make_topics(orders)
    secured_kafka.allow("onlooker", orders, "", "Read")
    secured_kafka.allow("onlooker", "", f"{settings['group_id']}-look", "Read")
    pipeline = pipeline_with(**settings)
    pipeline.start("worker")
    produced = pipeline.command("produce", "--count", "3")
    assert produced.returncode == 1
    assert f"Write on topic {orders}" in produced.stdout + produced.stderr
    secured_kafka.allow("onlooker", orders, "", "Write")
    assert pipeline.command("produce", "--count", "3").returncode == 0


def test_a_right_that_was_found_missing_before_the_first_record_is_named_too(secured_kafka, tmp_path):
    settings = load_settings(data_dir=tmp_path, **secured_kafka.settings("SASL_PLAINTEXT", "stranger", "PLAIN"))
    secured_kafka.make_topics(settings.orders_topic)
    sender = Sender(settings, find_cluster(settings))
    sender.connect()
    wait_for("the end of the producer", lambda: takes_nothing(sender._producer, settings.orders_topic))
    deliveries: list[Delivery] = []
    sender.send(settings.orders_topic, b"k", b"v", (), deliveries.append, send_id="first")

    def reported() -> bool:
        sender.poll()
        return bool(deliveries)

    wait_for("the report", reported)
    [delivery] = deliveries
    assert delivery.send_id == "first"
    assert f"Write on topic {settings.orders_topic}" in delivery.error
    sender.close()


def takes_nothing(producer: Producer, topic: str) -> bool:
    """Whether a producer has failed for good, which nobody has asked it about yet."""
    try:
        producer.produce(topic, b"before")
    except KafkaException as error:
        return error.args[0].code() == KafkaError._FATAL
    return False


def test_a_dead_letter_topic_that_is_hidden_or_not_there_is_named(secured_kafka, pipeline_with):
    settings = secured_kafka.settings("SASL_PLAINTEXT", "stranger", "PLAIN", roles="collector,worker")
    settings["dlq_topics"] = unique("payments-dlt")
    secured_kafka.make_topics(settings["dlq_topics"])
    pipeline = pipeline_with(**settings)
    pipeline.start("collector")
    said = wait_for("its name", lambda: said_by(pipeline, settings["dlq_topics"]))
    # It is said as long as it is true, not in turn with what else this account may not.
    began_ms = said.heartbeat_at_ms

    def for_three_seconds() -> bool:
        now = pipeline.role("collector")
        assert (now.state, now.detail) == ("running", said.detail)
        return now.heartbeat_at_ms - began_ms >= 3000

    wait_for("three seconds of it", for_three_seconds)
    secured_kafka.allow("stranger", settings["dlq_topics"], "", "Read")
    secured_kafka.allow("stranger", "", settings["group_id"], "Read")
    wait_for("the collector", lambda: pipeline.role("collector").figures.get("topics") == [settings["dlq_topics"]], 30)
    assert pipeline.role("collector").detail == ""


def said_by(pipeline: RunningPipeline, word: str) -> RoleStatus | None:
    """The collector's last word, if it has this word in it."""
    status = pipeline.role("collector")
    return status if status and word in status.detail else None


# -- settings


def test_a_property_that_cannot_be_is_one_line_and_exit_code_1_and_config_still_shows_it_masked(pipeline_with):
    pipeline = pipeline_with(bootstrap_servers="127.0.0.1:1", kafka_config={"sasl.pasword": "hunter2"})
    for command in (("up",), ("collector",), ("check",), ("produce", "--count", "1")):
        refused = pipeline.command(*command)
        assert refused.returncode == 1
        assert refused.stderr == f'orderpulse: {CONFIG}: No such configuration property: "sasl.pasword"\n'
    shown = pipeline.command("config")
    assert shown.returncode == 1
    assert shown.stderr == refused.stderr
    assert "sasl.pasword" in shown.stdout
    assert "hunter2" not in shown.stdout
