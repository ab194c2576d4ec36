"""What docs/connecting.md says is enough: its ACLs, line by line as they stand there, and its properties."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

import pytest

from pipeline.kafka import check_kafka_config
from pipeline.settings import PROJECT_DIR, load_settings
from scripts.local.certificates import CertificateAuthority
from scripts.waiting import wait_for
from tests.support.secured_kafka import SecuredKafka, unique
from tests.unit.project.test_docs import code_blocks

TEXT = (PROJECT_DIR / "docs" / "connecting.md").read_text()
ACL_COMMAND = "org.apache.kafka.tools.AclCommand"
ALL_ROLES, WORKBENCH, _ = (block for block in code_blocks(TEXT) if "kafka-acls.sh" in block)
WAYS = [block for block in code_blocks(TEXT) if "export ORDERPULSE_KAFKA_CONFIG=" in block]
[CALLBACK] = [block for block in code_blocks(TEXT) if "def token(" in block]


def add_acls(kafka: SecuredKafka, block: str, names: Mapping[str, str]) -> None:
    """Runs the lines of a block with the names of a test in place of the ones in the docs."""
    for line in block.splitlines():
        tool, _, address, *arguments = shlex.split(line)
        assert (tool, address) == ("kafka-acls.sh", "broker1:9092")
        kafka.cluster.tool(ACL_COMMAND, *(names.get(word, word) for word in arguments))


def test_the_acls_for_everything_are_enough_and_the_topics_are_made(secured_kafka, pipeline_with):
    settings = secured_kafka.settings("SASL_SSL", "roles")
    orders, dead_letters = settings["orders_topic"], settings["dlq_topics"]
    names = {"orders": orders, "orders-dlq": dead_letters, "orderpulse": settings["group_id"]}
    add_acls(secured_kafka, ALL_ROLES, names | {"User:orderpulse": "User:roles"})
    pipeline = pipeline_with(**settings)
    pipeline.up()
    assert pipeline.command("produce", "--count", "10", "--invalid-share", "0.2").returncode == 0
    wait_for("10 settled records", lambda: pipeline.settled() == 10)
    replayed = pipeline.command("replay", "--all")
    assert replayed.returncode == 0, replayed.stderr
    wait_for("their second failure", lambda: pipeline.settled() == 12)
    check = pipeline.command("check")
    assert (check.returncode, check.stderr) == (0, "all figures agree\n")
    assert "WARNING" not in pipeline.log()


def test_the_acls_for_the_workbench_alone_are_enough(secured_kafka, pipeline_with):
    payments, dead_letters = unique("payments"), unique("payments-dlt")
    settings = secured_kafka.settings("SASL_SSL", "workbench", roles="collector,worker") | {"dlq_topics": dead_letters}
    names = {"payments": payments, "payments-dlt": dead_letters, "orderpulse": settings["group_id"]}
    secured_kafka.make_topics(payments, dead_letters)
    add_acls(secured_kafka, WORKBENCH, names | {"User:orderpulse": "User:workbench"})
    pipeline = pipeline_with(**settings)
    pipeline.up()
    origin = (("kafka_dlt-original-topic", payments.encode()), ("kafka_dlt-exception-message", b"no such account"))
    secured_kafka.send(dead_letters, b"payload", origin)
    wait_for("the dead letter", lambda: pipeline.settled() == 1)
    replayed = pipeline.command("replay", "--all")
    assert replayed.returncode == 0, replayed.stderr
    check = pipeline.command("check")
    assert (check.returncode, check.stderr) == (0, "all figures agree\n")
    assert "WARNING" not in pipeline.log()


def exported(block: str) -> dict[str, str]:
    """The variables of a block, as a shell reads them."""
    words = [shlex.split(line) for line in block.splitlines()]
    assert all(command == "export" for command, _ in words)
    return dict(setting.split("=", 1) for _, setting in words)


@pytest.mark.parametrize("block", WAYS)
def test_each_way_to_connect_in_the_docs_is_one_that_librdkafka_takes(block, tmp_path, monkeypatch):
    authority = CertificateAuthority(tmp_path)
    pair = authority.client("orderpulse")
    files = {
        "/etc/kafka/ca.pem": authority.ca_file,
        "/etc/kafka/client.pem": pair.certificate_file,
        "/etc/kafka/client.key": pair.key_file,
    }
    # AWS's package is a team's own: here it only has to be importable.
    (tmp_path / "aws_msk_iam_sasl_signer.py").write_text("class MSKAuthTokenProvider: pass\n")
    (tmp_path / "msk_token.py").write_text(CALLBACK)
    monkeypatch.syspath_prepend(str(tmp_path))
    variables = exported(block)
    properties = json.loads(variables["ORDERPULSE_KAFKA_CONFIG"])
    properties = {name: str(files.get(value, value)) for name, value in properties.items()}
    for name, value in (variables | {"ORDERPULSE_KAFKA_CONFIG": json.dumps(properties)}).items():
        monkeypatch.setenv(name, value)
    check_kafka_config(load_settings())


def test_there_is_a_block_for_each_way_to_connect():
    given = [json.loads(exported(block)["ORDERPULSE_KAFKA_CONFIG"]) for block in WAYS]
    protocols = [(config["security.protocol"], config.get("sasl.mechanisms")) for config in given]
    by_token = [("SASL_SSL", "OAUTHBEARER")] * 2
    by_password = [("SASL_SSL", "SCRAM-SHA-512"), ("SASL_SSL", "PLAIN")]
    assert protocols == [("SSL", None), ("SSL", None), *by_password, *by_token]
