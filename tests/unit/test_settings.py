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
