"""SASL/OAUTHBEARER on Apache Kafka: by a token endpoint over http and https, and by a team's own function."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import KafkaUnavailableError, SettingsError
from pipeline.kafka import ClusterView, Sender, check_kafka_config, find_cluster, records_since
from pipeline.kafka.connection import tokens
from pipeline.settings import Settings, load_settings
from scripts.waiting import wait_for
from tests.support.secured_kafka import MANAGER, SecuredKafka
from tests.support.token_endpoint import SECRET, TokenEndpoint, token_part, unsigned_token

CALLBACK = """
import time
from tests.support.token_endpoint import unsigned_token

calls = []

def token(config):
    calls.append(config)
    return unsigned_token("manager", 3600), time.time() + 3600

def short(config):
    calls.append(config)
    return unsigned_token("manager", 3600), time.time() + 2

def with_extensions(config):
    return [unsigned_token("manager"), time.time() + 600, "manager", {"team": "orders"}]

def stranger(config):
    return "no.token.", time.time() + 600

def failing(config):
    raise PermissionError("no role may be\\nassumed")

def once(config):
    if calls:
        raise PermissionError("no second one")
    return short(config)

def expired(config):
    return unsigned_token("manager"), time.time() - 60

def milliseconds(config):
    return unsigned_token("manager"), time.time() * 1000 + 60_000

def bare(config):
    return unsigned_token("manager")

def hanging(config):
    import threading
    threading.Event().wait()

def spaced(config):
    return "a b", time.time() + 60

number = 5
"""


@pytest.fixture
def team_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of callbacks."""
    (tmp_path / "team_tokens.py").write_text(CALLBACK)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "team_tokens"
    sys.modules.pop("team_tokens", None)


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    """One over plain http, which gives tokens for the manager."""
    with TokenEndpoint() as running:
        running.give(MANAGER)
        yield running


@pytest.fixture
def settings_with(secured_kafka: SecuredKafka, tmp_path: Path) -> Callable[..., Settings]:
    """Settings for a SASL listener with OAUTHBEARER; `config` are more properties, the rest are more settings."""

    def make(config: dict[str, Any], listener: str = "SASL_PLAINTEXT", **more: Any) -> Settings:
        given = secured_kafka.settings(listener, mechanism="OAUTHBEARER")
        return load_settings(**given | {"kafka_config": given["kafka_config"] | config, "data_dir": tmp_path} | more)

    return make


def use_every_client(settings: Settings) -> None:
    """Makes a topic, writes and reads a record: an admin client, a producer and a consumer."""
    cluster = find_cluster(settings)
    view = ClusterView(settings, cluster)
    view.ensure_topic(settings.orders_topic)
    view.identities([settings.orders_topic])
    sender = Sender(settings, cluster)
    errors: list[str] = []
    sender.send(settings.orders_topic, b"k", b"v", (), lambda delivery: errors.append(delivery.error), 0)
    assert sender.flush(30.0) == 0
    sender.close()
    assert errors == [""]
    assert [record.value for record in records_since(settings, cluster, settings.orders_topic, {0: 0})] == [b"v"]


def refusal(settings: Settings) -> str:
    with pytest.raises(KafkaUnavailableError) as refused:
        ClusterView(settings, find_cluster(settings)).partitions()
    [line] = str(refused.value).splitlines()
    assert SECRET not in line
    return line


# -- by a token endpoint


@pytest.mark.parametrize("listener", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_tokens_of_an_endpoint_are_enough_for_every_client(listener, endpoint, settings_with):
    settings = settings_with(endpoint.config(), listener)
    check_kafka_config(settings)
    assert endpoint.asked == 0
    use_every_client(settings)


def test_an_endpoint_over_https_may_be_of_the_brokers_authority(secured_kafka, settings_with):
    with TokenEndpoint(secured_kafka.authority) as endpoint:
        endpoint.give(MANAGER)
        use_every_client(settings_with(endpoint.config(), "SASL_SSL"))


def test_an_endpoint_over_https_may_be_of_an_authority_of_this_machine(secured_kafka, settings_with, monkeypatch):
    with TokenEndpoint(secured_kafka.stranger) as endpoint:
        endpoint.give(MANAGER)
        settings = settings_with(endpoint.config(), "SASL_SSL")
        said = refusal(settings)
        assert "https.ca.*" in said
        assert "unable to get local issuer certificate" in said
        monkeypatch.setenv("SSL_CERT_FILE", str(secured_kafka.stranger.ca_file))
        use_every_client(settings)
        monkeypatch.delenv("SSL_CERT_FILE")
        named = {"https.ca.location": str(secured_kafka.stranger.ca_file)}
        use_every_client(settings_with(endpoint.config() | named, "SASL_SSL"))


def test_without_a_bundle_of_the_machine_certifi_s_authorities_are_trusted(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    monkeypatch.setattr(tokens, "_BUNDLES", ())
    assert tokens.with_authorities({"security.protocol": "SSL"})["ssl.ca.location"].endswith("cacert.pem")
    check_kafka_config(load_settings(bootstrap_servers="a:1", kafka_config={"security.protocol": "SSL"}))
    given = {"security.protocol": "SSL", "ssl.ca.pem": "x"}
    assert tokens.with_authorities(given) == given


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, '{"error": "invalid_client"}'), "invalid_client"),
        ((404, "<html>\n<p>nothing here"), "<html> <p>nothing here"),
        ((200, "garbage"), "Failed to parse JSON"),
        ((200, "{}"), "access_token"),
        ((401, f'{{"error": "bad {SECRET}"}}'), "bad ********"),
        ((503, "busy"), "answers 503 (busy)"),
        (None, "does not answer (timed out)"),
    ],
)
def test_an_endpoint_that_gives_no_token_is_named_with_what_it_said(answer, said, endpoint, settings_with):
    endpoint.answer = lambda: answer
    line = refusal(settings_with(endpoint.config()))
    assert f"token endpoint {endpoint.url}" in line
    assert said in line
    assert "sasl.username" not in line


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/token", "http://no-such-host.invalid/token"])
def test_an_endpoint_that_is_not_there_is_named(url, endpoint, settings_with):
    line = refusal(settings_with(endpoint.config() | {"sasl.oauthbearer.token.endpoint.url": url}))
    assert f"no token from the token endpoint {url}: check sasl.oauthbearer.*" in line


def test_a_token_that_the_broker_does_not_take_is_not_blamed_on_a_password(endpoint, settings_with):
    # It says that it is signed, which a validator of unsigned ones refuses.
    signed = ".".join([token_part({"alg": "RS256"}), unsigned_token(MANAGER).split(".")[1], "c2lnbmVk"])
    endpoint.answer = lambda: (200, json.dumps({"access_token": signed}))
    line = refusal(settings_with(endpoint.config()))
    assert f"refuses the token from the token endpoint {endpoint.url}" in line
    assert "sasl.password" not in line


def test_a_pipeline_waits_for_the_endpoint_and_goes_on(endpoint, secured_kafka, pipeline_with):
    given = secured_kafka.settings("SASL_PLAINTEXT", mechanism="OAUTHBEARER")
    endpoint.answer = lambda: (401, '{"error": "invalid_client"}')
    pipeline = pipeline_with(**given | {"kafka_config": given["kafka_config"] | endpoint.config()})
    pipeline.start("collector")
    wait_for("the refusal", lambda: (said := pipeline.role("collector")) and "invalid_client" in said.detail)
    checked = pipeline.command("check")
    assert f"no token from the token endpoint {endpoint.url}" in checked.stderr
    endpoint.give(MANAGER)
    secured_kafka.make_topics(given["dlq_topics"])
    wait_for("the collector", lambda: pipeline.role("collector").state == "running")
    assert SECRET not in pipeline.log("collector")


# -- by a team's own function


@pytest.mark.parametrize(("name", "listener"), [("token", "SASL_PLAINTEXT"), ("with_extensions", "SASL_SSL")])
def test_tokens_of_a_function_are_enough_for_every_client(name, listener, team_module, settings_with):
    settings = settings_with({}, listener, kafka_token_callback=f"{team_module}:{name}")
    check_kafka_config(settings)
    assert sys.modules[team_module].calls == []
    use_every_client(settings)


def test_a_function_is_told_its_configuration_and_asked_again_before_a_token_expires(team_module, settings_with):
    settings = settings_with({"sasl.oauthbearer.config": "region=a"}, kafka_token_callback=f"{team_module}:short")
    view = ClusterView(settings, find_cluster(settings))

    def asked_again() -> bool:
        view.partitions()
        return len(sys.modules[team_module].calls) >= 3

    wait_for("more tokens", asked_again)
    assert set(sys.modules[team_module].calls) == {"region=a"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("failing", "PermissionError: no role may be assumed"),
        ("milliseconds", "milliseconds"),
        ("bare", "it must return (token, expiry in seconds since 1970)"),
        ("spaced", "without spaces"),
        ("hanging", "has not returned after 4 s"),
        ("expired", "it may have expired already"),
    ],
)
def test_a_function_that_gives_no_token_is_named(name, said, team_module, settings_with):
    line = refusal(settings_with({}, kafka_token_callback=f"{team_module}:{name}"))
    assert line.startswith(f"no token from the token callback {team_module}:{name} (ORDERPULSE_KAFKA_TOKEN_CALLBACK): ")
    assert said in line


def test_a_token_of_a_function_that_the_broker_refuses_names_the_function(team_module, settings_with):
    line = refusal(settings_with({}, kafka_token_callback=f"{team_module}:stranger"))
    assert f"refuses the token from the token callback {team_module}:stranger" in line


def test_a_later_token_that_does_not_come_is_complained_of(team_module, settings_with):
    settings = settings_with({}, kafka_token_callback=f"{team_module}:once")
    view = ClusterView(settings, find_cluster(settings))

    def complains() -> bool:
        view._admin.poll(0.1)
        return "no token" in view._trouble.last

    wait_for("the complaint", complains)
    assert view._trouble.last.startswith(f"no token from the token callback {team_module}:once ")
    assert view._trouble.last.endswith("PermissionError: no second one")


@pytest.mark.parametrize(
    ("callback", "config", "said"),
    [
        ("no_such_module:token", {}, "ORDERPULSE_KAFKA_TOKEN_CALLBACK: no_such_module:token cannot be had"),
        ("team_tokens:nothing", {}, "has no attribute 'nothing'"),
        ("team_tokens:number", {}, "is no function"),
        ("team_tokens", {}, "module:function"),
        ("team_tokens:token", {"sasl.mechanisms": "PLAIN"}, "sasl.mechanisms OAUTHBEARER"),
        ("team_tokens:token", {"security.protocol": "SSL"}, "security.protocol SASL_SSL"),
        ("team_tokens:token", {"sasl.oauthbearer.method": "oidc"}, "leave it out"),
        ("", {}, "nothing gives a token for OAUTHBEARER"),
        ("", {"sasl.oauthbearer.method": "oidc"}, "sasl.oauthbearer.token.endpoint.url"),
        (
            "",
            {"sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.token.endpoint.url": "host/token"},
            "must look like",
        ),
    ],
)
def test_what_could_give_no_token_is_refused_beforehand(callback, config, said, team_module, settings_with):
    with pytest.raises(SettingsError) as refused:
        check_kafka_config(settings_with(config, kafka_token_callback=callback))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_pipeline_runs_on_a_team_s_function(secured_kafka, pipeline_with, team_module, tmp_path):
    given = secured_kafka.settings("SASL_SSL", mechanism="OAUTHBEARER")
    pipeline = pipeline_with(**given, kafka_token_callback=f"{team_module}:token")
    pipeline.environment["PYTHONPATH"] = str(tmp_path)
    pipeline.up()
    assert pipeline.command("produce", "--count", "10", "--invalid-share", "0.2").returncode == 0
    wait_for("10 settled records", lambda: pipeline.settled() == 10)
    check = pipeline.command("check")
    assert (check.returncode, check.stderr) == (0, "all figures agree\n")
    assert "WARNING" not in pipeline.log()
