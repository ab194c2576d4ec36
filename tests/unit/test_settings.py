"""Settings as people write them: lists, addresses and quotes; what is wrong is one line, and no secret is shown."""

from __future__ import annotations

import logging

import pytest

from pipeline import commands
from pipeline.errors import SettingsError
from pipeline.settings import MASK, describe, load_settings, masked
from pipeline.watching.alerts import _send_to_all, check_addresses
from tests.support.told_people import ToldPeople

MAIL = "mailtos://ops:hunter2,extra@mail.example.org?to=a@example.org,b@example.org"


def refusal(**settings: object) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings(**settings)
    [line] = str(refused.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("written", "addresses"),
    [
        (MAIL, [MAIL]),
        (f"slack://A/B/C,{MAIL}", ["slack://A/B/C", MAIL]),
        (f"{MAIL}, slack://A/B/C ,", [MAIL, "slack://A/B/C"]),
        (f"slack://A/B/C\n{MAIL}\n", ["slack://A/B/C", MAIL]),
        (f'["{MAIL}", "json://host/?next=a,https://b"]', [MAIL, "json://host/?next=a,https://b"]),
        ("", []),
        ("[]", []),
    ],
)
def test_an_alert_address_may_hold_commas(written, addresses):
    assert list(load_settings(alert_urls=written).alert_urls) == addresses


@pytest.mark.parametrize("url", [MAIL, "slack://Hunter2/TokenB/TokenC", "json://me:hunter2@192.0.2.7/hunter2"])
def test_of_an_alert_address_only_the_scheme_is_shown(url, capsys):
    settings = load_settings(alert_urls=url)
    assert masked(settings.alert_urls) == f"{url.partition('://')[0]}://{MASK}"
    commands.config(settings, None)
    shown = [repr(settings), str(settings), capsys.readouterr().out]
    shown += [str(line) for line in describe(settings)]
    for text in shown:
        for secret in ("hunter2", "Hunter2", "extra", "example.org", "TokenB", "192.0.2.7"):
            assert secret not in text


@pytest.mark.parametrize(
    "written",
    ["hunter2@mail.example.org", "mailto:/me:hunter2@mail.example.org", "slack://", "mail to://hunter2"]
    + ['["hunter2@x"]', '["slack://A/B/C", 5, "hunter2"]', '["hunter2'],
)
def test_what_is_no_alert_address_is_refused_without_being_shown(written, monkeypatch):
    assert refusal(alert_urls=written).startswith("ORDERPULSE_ALERT_URLS: ")
    assert "hunter2" not in refusal(alert_urls=written)
    monkeypatch.setenv("ORDERPULSE_ALERT_URLS", written)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "hunter2" not in f"{refused.value!r} {refused.value.__cause__!r}"


def test_an_address_that_apprise_does_not_know_is_refused_by_its_number():
    check_addresses(load_settings(alert_urls=MAIL))
    with pytest.raises(SettingsError) as refused:
        check_addresses(load_settings(alert_urls=f"{MAIL},slak://hunter2/B"))
    assert "ORDERPULSE_ALERT_URLS: address 2 of 2 (slak://********)" in str(refused.value)


def test_each_address_is_told_and_a_failure_names_only_its_kind(caplog):
    caplog.set_level(logging.DEBUG)
    with ToldPeople() as people:
        working = people.url
        settings = load_settings(alert_urls=f"{working}?next=a,b, slack://hunter2/B , json://127.0.0.1:1/hunter2")
        assert _send_to_all(settings.alert_urls, "too many") == "not sent to slack, json"
        assert people.messages == ["too many"]
    assert "hunter2" not in caplog.text
    assert "127.0.0.1" not in caplog.text


@pytest.mark.parametrize(
    ("written", "topics"),
    [
        ("a, b,,c", ("a", "b", "c")),
        ('["a", "^dlq-.{1,3}$"]', ("a", "^dlq-.{1,3}$")),
        ("^orders-.*,own", ("^orders-.*", "own")),
    ],
)
def test_lists_are_separated_by_commas_or_json(written, topics):
    settings = load_settings(dlq_topics=written)
    assert settings.dlq_topics == topics
    assert load_settings(dlq_topics=masked(settings.dlq_topics)).dlq_topics == topics


def test_roles_may_be_json():
    assert load_settings(roles='["collector", "worker"]').roles == ("collector", "worker")


@pytest.mark.parametrize("written", ['["a", 1]', '["a"', "[1]", '[["a"]]', "[null]"])
def test_a_list_that_is_none_says_how_it_is_written(written):
    assert "JSON array" in refusal(dlq_topics=written)


@pytest.mark.parametrize(
    ("settings", "variable", "word"),
    [
        ({"orders_topic": "a b"}, "ORDERS_TOPIC", "'a b' is no name of a topic"),
        ({"orders_topic": "a" * 250}, "ORDERS_TOPIC", "at most 249"),
        ({"orders_topic": ".."}, "ORDERS_TOPIC", "no name of a topic"),
        ({"orders_topic": "orders,b/c"}, "ORDERS_TOPIC", "'b/c' is no name of a topic"),
        ({"orders_topic": ","}, "ORDERS_TOPIC", "names no topic"),
        ({"orders_topic": "^("}, "ORDERS_TOPIC", "no regular expression"),
        ({"orders_topic": "^orders", "dlq_topics": "^dead"}, "DLQ_TOPICS", "must name a topic plainly"),
        ({"orders_topic": "a,b", "dlq_topics": "c,b"}, "DLQ_TOPICS", "b takes in b, the topic of the orders"),
        ({"orders_topic": "a,a-dlq", "dlq_topics": "^x"}, "DLQ_TOPICS", "a-dlq takes in a-dlq"),
        ({"start": "now"}, "START", "'now' is neither `earliest` nor `latest` nor a time"),
        ({"start": ""}, "START", "is empty; leave it out, which means earliest"),
        ({"dlq_topics": "a,b/c"}, "DLQ_TOPICS", "'b/c' is no name of a topic"),
        ({"dlq_topics": "^dlq-.{1,3}$"}, "DLQ_TOPICS", "JSON array"),
        ({"dlq_topics": "^("}, "DLQ_TOPICS", "no regular expression"),
        ({"dlq_topics": "a,orders"}, "DLQ_TOPICS", "orders takes in orders, the topic of the orders"),
        ({"orders_topic": "x", "dlq_topics": "x"}, "DLQ_TOPICS", "ORDERPULSE_ORDERS_TOPIC"),
        ({"dlq_topics": "own,^or.*"}, "DLQ_TOPICS", "^or.* takes in orders, the topic of the orders"),
        ({"roles": ""}, "ROLES", "names no role"),
        ({"roles": "[]"}, "ROLES", "names no role"),
        ({"roles": "broker"}, "ROLES", "unknown role broker"),
        ({"read_only": "ja"}, "READ_ONLY", "must be 1 or 0"),
        ({"processors": "two"}, "PROCESSORS", "must be a whole number"),
        ({"processors": ""}, "PROCESSORS", "is empty; leave it out, which means 1"),
        ({"data_dir": ""}, "DATA_DIR", "is empty; leave it out, which means data"),
        ({"data_dir": "~no-such-user/x"}, "DATA_DIR", "home directory"),
        ({"group_id": ""}, "GROUP_ID", "is empty"),
        ({"metrics_address": ""}, "METRICS_ADDRESS", "is empty"),
        ({"metrics_port": "70000"}, "METRICS_PORT", "65535"),
        ({"alert_dead_letter_rate": "nan"}, "ALERT_DEAD_LETTER_RATE", "must be a finite number"),
        ({"orders_kept_days": "inf"}, "ORDERS_KEPT_DAYS", "must be a finite number"),
        ({"orders_kept_days": "-1"}, "ORDERS_KEPT_DAYS", "greater than or equal to 0"),
        ({"alert_disk_share": "95%"}, "ALERT_DISK_SHARE", "must be a number"),
        ({"alert_window_s": "9" * 18}, "ALERT_WINDOW_S", "less than or equal to"),
        ({"topic_replication": "99999"}, "TOPIC_REPLICATION", "less than or equal to"),
        ({"refresh_ms": "9" * 18}, "REFRESH_MS", "less than or equal to"),
        ({"log_level": "info"}, "LOG_LEVEL", "'INFO'"),
        ({"retry_preset": ""}, "RETRY_PRESET", "is empty; leave it out, which means exponential"),
        ({"bootstrap_servers": "host:abc"}, "BOOTSTRAP_SERVERS", "host:port"),
        ({"bootstrap_servers": "a:1,host:70000"}, "BOOTSTRAP_SERVERS", "address 2"),
        ({"bootstrap_servers": "a:1;b:1"}, "BOOTSTRAP_SERVERS", "commas"),
        ({"bootstrap_servers": "http://a:1"}, "BOOTSTRAP_SERVERS", "http:// stands before an address"),
        ({"bootstrap_servers": "ssl://a:1"}, "BOOTSTRAP_SERVERS", "security.protocol"),
        ({"kafka_config": {"security.protocol": "SSL"}}, "BOOTSTRAP_SERVERS", "demo cluster"),
        ({"kafka_config": {"group.protocol": "consumer"}}, "KAFKA_CONFIG", "demo cluster"),
        ({"kafka_config": '{"a": null}'}, "KAFKA_CONFIG", "a must be a text, a number, true or false"),
        ({"kafka_config": '{"a": ["b"]}'}, "KAFKA_CONFIG", "a must be a text"),
        ({"kafka_config": '{"a": {"b": 1}}'}, "KAFKA_CONFIG", "a must be a text"),
        ({"kafka_config": '{"a": NaN}'}, "KAFKA_CONFIG", "a must be a text"),
        ({"kafka_config": '{"a": 1, "a": 2}'}, "KAFKA_CONFIG", "sets a twice"),
        ({"kafka_config": "[]"}, "KAFKA_CONFIG", "must be a JSON object"),
        ({"kafka_config": "{'a': 1}"}, "KAFKA_CONFIG", "must be a JSON object"),
        ({"kafka_config": '{"logger": "x"}'}, "KAFKA_CONFIG", "logger is code"),
        ({"schema_registry_config": "1"}, "SCHEMA_REGISTRY_CONFIG", "must be a JSON object"),
    ],
)
def test_what_no_role_could_run_with_is_refused_with_what_to_put_right(settings, variable, word):
    line = refusal(**settings)
    assert line.startswith(f"ORDERPULSE_{variable}: ")
    assert word in line


@pytest.mark.parametrize("written", ["yes", "on", "1", "true", "Y", "TRUE"])
def test_yes_has_many_spellings(written):
    assert load_settings(read_only=written).read_only


def test_what_may_be_empty_is_what_it_is_without():
    empty = {"bootstrap_servers": "", "alert_urls": "", "kafka_config": "", "schema_registry_url": ""}
    assert load_settings(**empty) == load_settings()
    assert load_settings(dlq_topics="").own_dlq_topic == "orders-dlq"


@pytest.mark.parametrize("written", ["a:1", "a", "a:1, b:2,", "[::1]:9092", "10.0.0.1:9092", "SASL_SSL://a_b.c-d:1"])
def test_brokers_are_written_as_librdkafka_takes_them(written):
    protocol = {"security.protocol": "SASL_SSL"} if "//" in written else {}
    assert load_settings(bootstrap_servers=written, kafka_config=protocol).bootstrap_servers == written


def test_a_workbench_alone_may_collect_by_any_pattern():
    assert load_settings(roles="collector,worker", dlq_topics="^.*").dlq_topics == ("^.*",)
