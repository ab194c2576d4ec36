"""Which properties reach which client, judged by librdkafka itself, and which are refused before anything starts."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, Producer

from pipeline.errors import SettingsError
from pipeline.kafka import check_kafka_config
from pipeline.kafka.connection.properties import CONSUMER_ONLY, OURS, PRODUCER_ONLY, properties_for, set_default
from pipeline.settings import MASK, Settings, load_settings, masked, without_secrets

VALUES = {
    "check.crcs": True,
    "compression.codec": "gzip",
    "compression.type": "gzip",
    "delivery.report.only.error": True,
    "enable.gapless.guarantee": True,
    "group.protocol": "consumer",
    "group.protocol.type": "consumer",
    "group.remote.assignor": "range",
    "isolation.level": "read_uncommitted",
    "offset.store.method": "none",
    "offset.store.path": "somewhere",
    "partitioner": "random",
    "queuing.strategy": "lifo",
    "transaction.timeout.ms": 10_000,
}
"""Values that librdkafka takes and that are not its defaults, where 10 is none."""
WARNING = 4
CLIENTS = {
    "producer": lambda properties: Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": WARNING} | properties),
    "consumer": lambda properties: Consumer(
        {"bootstrap.servers": "127.0.0.1:1", "log_level": WARNING, "group.id": "g"} | properties
    ),
}
NO_LONGER_USED = "produce.offset.report"


def settings_with(properties: dict[str, object]) -> Settings:
    return load_settings(bootstrap_servers="127.0.0.1:1", kafka_config=properties)


@pytest.mark.parametrize(
    ("name", "fits", "not_for"),
    [(name, "producer", "consumer") for name in sorted(PRODUCER_ONLY - OURS - {NO_LONGER_USED})]
    + [(name, "consumer", "producer") for name in sorted(CONSUMER_ONLY)],
)
def test_a_property_that_librdkafka_would_warn_of_stays_away_from_that_kind_of_client(name, fits, not_for, capfd):
    given = {name: VALUES.get(name, 10)}
    CLIENTS[not_for](given)
    assert f"is a {fits} property and will be ignored by this {not_for}" in capfd.readouterr().err
    settings = settings_with(given)
    assert properties_for(settings, fits) == given
    assert properties_for(settings, not_for) == properties_for(settings, "admin") == {}


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_property_that_our_guarantees_depend_on_is_refused_by_name(name):
    with pytest.raises(SettingsError, match=rf"ORDERPULSE_KAFKA_CONFIG must not set {name}: "):
        check_kafka_config(settings_with({name: "anything"}))


@pytest.mark.parametrize(
    ("properties", "word"),
    [
        ({"sasl.pasword": "hunter2"}, 'No such configuration property: "sasl.pasword"'),
        ({"linger.ms": "soon"}, "queue.buffering.max.ms"),
        ({"socket.timeout.ms": -5}, "outside allowed range"),
        ({"security.protocol": "TLS"}, 'Invalid value "TLS"'),
        ({"security.protocol": "SSL", "ssl.ca.location": "/nowhere/ca.pem"}, "ssl.ca.location"),
        ({"security.protocol": "SSL", "ssl.key.pem": "hunter2"}, "ssl.key.pem"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanisms": "PLAIN"}, "sasl.username and sasl.password"),
        ({"max.in.flight": 10}, "max.in.flight"),
        ({"error_cb": "print"}, "error_cb"),
        # What only a member of the group, or only a sender of dead letters, stumbles over.
        ({"max.poll.interval.ms": 5000}, "max.poll.interval.ms"),
        ({"session.timeout.ms": 3000, "heartbeat.interval.ms": 3000}, "must be below session.timeout.ms (3000)"),
        ({"heartbeat.interval.ms": 20000}, "must be below session.timeout.ms (10000)"),
        ({"session.timeout.ms": "soon"}, "session.timeout.ms"),
        ({"group.protocol": "consumer", "session.timeout.ms": 10000}, "session.timeout.ms"),
        ({"group.protocol": "Consumer", "heartbeat.interval.ms": 500}, "heartbeat.interval.ms"),
        ({"group.protocol": "share"}, "group.protocol"),
        ({"linger.ms": 60000}, "linger.ms"),
        ({"retries": 0}, "retries"),
    ],
)
def test_what_librdkafka_does_not_take_is_one_line(properties, word):
    with pytest.raises(SettingsError) as refused:
        check_kafka_config(settings_with(properties))
    [line] = str(refused.value).splitlines()
    assert line.startswith("ORDERPULSE_KAFKA_CONFIG: ")
    assert word in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "properties",
    [
        {"group.protocol": "consumer"},
        {"group.protocol": "CONSUMER", "group.remote.assignor": "range"},
        {"group.protocol": "classic", "session.timeout.ms": "0x1770"},
        {"session.timeout.ms": "6000", "heartbeat.interval.ms": "500"},
    ],
)
def test_both_protocols_of_groups_can_be_had(properties):
    check_kafka_config(settings_with(properties))


def test_values_may_be_numbers_texts_and_truth_values():
    check_kafka_config(settings_with({"socket.keepalive.enable": True, "linger.ms": 2.5, "client.rack": "a"}))


def test_a_default_does_not_follow_the_other_name_of_a_property_that_is_set():
    config: dict[str, object] = {"queue.buffering.max.ms": 50}
    set_default(config, "linger.ms", 5)
    set_default(config, "message.timeout.ms", 0)
    assert config == {"queue.buffering.max.ms": 50, "message.timeout.ms": 0}


@pytest.mark.parametrize(
    "name",
    """
    sasl.password sasl.pasword ssl.key.password ssl.key.pem ssl.keystore.password ssl_key
    sasl.oauthbearer.client.secret sasl.oauthbearer.config sasl.oauthbearer.assertion.private.key.passphrase
    sasl.oauthbearer.assertion.private.key.pem
    """.split(),
)
def test_a_secret_is_masked_wherever_a_setting_or_somebody_elses_text_is_shown(name):
    settings = settings_with({name: "hunter2", "sasl.username": "me"})
    assert masked(settings.kafka_config) == f'{{"{name}": "{MASK}", "sasl.username": "me"}}'
    assert without_secrets(settings, "bad value hunter2 of me") == f"bad value {MASK} of me"
    assert "hunter2" not in repr(settings)


def test_addresses_of_alerts_are_masked_whole():
    settings = load_settings(alert_urls="slack://TokenA/TokenB/TokenC,mailto://me:hunter2@example.org")
    assert masked(settings.alert_urls) == f"slack://{MASK},mailto://{MASK}"
