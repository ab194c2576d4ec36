"""Orders flow, and dead letters come back, over every kind of secured listener of a real Kafka; no secret is shown."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from scripts.local.process import program
from scripts.waiting import wait_for
from tests.support.page import page_text, pipeline_page
from tests.support.running_pipeline import RunningPipeline
from tests.support.secured_kafka import MANAGER

KEY_PASSWORD = "k3y-Passphrase"


def flow(pipeline: RunningPipeline) -> None:
    """Orders go out, are processed, and the failed ones come back as dead letters."""
    pipeline.up()
    produced = pipeline.command("produce", "--count", "20", "--invalid-share", "0.2")
    assert produced.returncode == 0, produced.stderr
    wait_for("20 settled records", lambda: pipeline.settled() == 20)
    with pipeline.reader() as reader:
        assert reader.totals().dead_letters == 4


def everything_shown(pipeline: RunningPipeline, monkeypatch: pytest.MonkeyPatch) -> str:
    """All that the pipeline prints, writes about itself and shows."""
    files = [*pipeline.data_dir.glob("*.log"), *(pipeline.data_dir / "roles").iterdir()]
    printed = [file.read_text(errors="replace") for file in files]
    for command in (("config",), ("status", "--json")):
        answer = pipeline.command(*command)
        assert answer.returncode == 0, answer.stderr
        printed.append(answer.stdout + answer.stderr)
    return "\n".join([*printed, page_text(pipeline_page(pipeline, monkeypatch))])


def test_tls_with_a_private_ca_and_properties_for_one_kind_of_client_only_warn_nobody(tls_kafka, pipeline_with):
    settings = tls_kafka.settings("SSL")
    # At this level librdkafka prints its warnings, of properties that do not fit among them.
    settings["kafka_config"] |= {"linger.ms": 1, "fetch.min.bytes": 1, "log_level": 6}
    pipeline = pipeline_with(**settings)
    flow(pipeline)
    assert "CONFWARN" not in pipeline.log()


def test_sasl_plain_without_tls_and_no_password_is_in_the_most_talkative_log(secured_kafka, pipeline_with):
    settings = secured_kafka.settings("SASL_PLAINTEXT", MANAGER, "PLAIN", log_level="DEBUG")
    # librdkafka's own debug output goes to the log of the process too.
    settings["kafka_config"] |= {"debug": "security,conf,broker"}
    pipeline = pipeline_with(**settings)
    flow(pipeline)
    assert "sasl.username" in pipeline.log()
    assert secured_kafka.users[MANAGER] not in pipeline.log()


def test_scram_over_tls_and_no_password_is_shown(secured_kafka, pipeline_with, monkeypatch):
    pipeline = pipeline_with(**secured_kafka.settings("SASL_SSL", MANAGER))
    flow(pipeline)
    shown = everything_shown(pipeline, monkeypatch)
    assert "[environment]" in shown
    assert secured_kafka.users[MANAGER] not in shown


def test_mutual_tls_with_key_and_password_from_a_file_and_neither_is_shown(
    secured_kafka, pipeline_with, monkeypatch, tmp_path
):
    pair = secured_kafka.authority.client(MANAGER)
    key = encrypted(pair.key_file, tmp_path)
    properties = {
        "security.protocol": "SSL",
        "ssl.ca.pem": secured_kafka.authority.ca_file.read_text(),
        "ssl.certificate.pem": pair.certificate_file.read_text(),
        "ssl.key.pem": key,
        "ssl.key.password": KEY_PASSWORD,
    }
    secured = secured_kafka.settings("SSL")
    del secured["kafka_config"]
    pipeline = pipeline_with(**secured)
    file = tmp_path / "kafka.json"
    file.write_text(json.dumps(properties))
    pipeline.environment["ORDERPULSE_KAFKA_CONFIG_FILE"] = str(file)
    flow(pipeline)
    shown = everything_shown(pipeline, monkeypatch)
    assert "[file]" in shown
    assert KEY_PASSWORD not in shown
    assert all(line not in shown for line in key.splitlines()[1:-1])


def encrypted(key_file: Path, folder: Path) -> str:
    target = folder / "encrypted.key"
    command = ("pkey", "-in", str(key_file), "-aes256", "-passout", f"pass:{KEY_PASSWORD}", "-out", str(target))
    subprocess.run([program("openssl"), *command], check=True, capture_output=True)
    return target.read_text()
