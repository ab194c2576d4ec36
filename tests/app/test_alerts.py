from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared.formats import plain
from pipeline.buffer import open_buffer
from pipeline.clock import wall_clock_ms
from pipeline.running.statusboard import StatusWriter
from tests.support.sample_buffer import fill

OpenApp = Callable[..., AppTest]
PAGE = "pages/alerts.py"


@pytest.fixture
def worker(tmp_path: Path) -> None:
    """A worker that runs."""
    status = StatusWriter(tmp_path, "worker", 0, wall_clock_ms)
    status.report("running")
    status.close()


def _figures(app: AppTest) -> dict[str, str]:
    assert not app.exception
    return {metric.label: metric.value for metric in app.metric}


def test_a_missing_buffer_is_said_in_words(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert "there is no buffer" in app.info[0].value


def test_the_rule_is_that_of_the_settings(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app(
        PAGE,
        alert_dead_letter_rate="0.125",
        alert_window_s="7200",
        alert_min_records="1500",
        alert_trouble_s="45",
        alert_disk_share="0.9",
        alert_groups="new,regressed",
    )
    rules = next(each.value for each in app.markdown if "are dead letters, and at least" in each.value)
    assert all(
        part in rules for part in ("**12.5%**", "**2 h**", "**1,500**", "**45 s**", "**90.0%**", "**new or regressed**")
    )
    assert (_figures(app)["Threshold"], _figures(app)["Window"]) == ("12.5%", "2 h")


def test_no_rule_of_groups_is_told_where_none_raises_an_alert(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    told = [each.value for each in open_app(PAGE, alert_groups="").markdown]
    assert not any("A group of dead letters" in each for each in told)


@pytest.mark.usefixtures("worker")
def test_the_share_is_that_of_the_window(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file, orders=90, dead_letters=10, now_ms=wall_clock_ms() // 1000 * 1000)
    figures = _figures(open_app(PAGE))
    assert (figures["Dead-letter share"], figures["Records"]) == ("10.0%", "100")


@pytest.mark.usefixtures("worker")
def test_what_is_older_than_the_window_does_not_count(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file, now_ms=wall_clock_ms() - 3_600_000)
    figures = _figures(open_app(PAGE))
    assert (figures["Dead-letter share"], figures["Records"]) == ("–", "0")


@pytest.mark.usefixtures("worker")
def test_a_firing_alert_is_seen_at_once_and_all_are_listed(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app(PAGE)
    assert _figures(app)["State"] == "Firing"
    assert plain("9% of the last 120 records failed") in app.error[0].value
    assert not app.warning
    assert list(app.dataframe[0].value["state"]) == ["Firing", "Resolved"]


@pytest.mark.usefixtures("worker")
def test_without_an_alert_all_is_quiet(open_app: OpenApp, database_file: Path) -> None:
    with open_buffer(database_file):
        pass
    app = open_app(PAGE)
    assert _figures(app)["State"] == "Quiet"
    assert "No alert was ever raised." in [each.value for each in app.caption]


def test_that_nobody_watches_is_said(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    assert "no worker is running" in open_app(PAGE).warning[0].value


@pytest.mark.usefixtures("worker")
def test_no_secret_of_an_address_is_shown(open_app: OpenApp, database_file: Path) -> None:
    with open_buffer(database_file) as buffer:
        alert_id = buffer.watch.fire("dead-letter-rate", 0.5, 0.05, "too many", wall_clock_ms())
        assert alert_id is not None
        buffer.watch.noticed(alert_id, "not sent to slack://TOKEN-A/TOKEN-B, json://host/TOKEN-C, TOKEN-D@host?to=x")
    app = open_app(PAGE, alert_urls="slack://TOKEN-A/TOKEN-B,json://host/TOKEN-C")
    assert list(app.dataframe[0].value["notice"]) == ["not sent to slack, json"]
    assert any(f"Told by {plain('json, slack')}." in each.value for each in app.caption)
    assert not any("TOKEN" in each.value for each in (*app.caption, *app.markdown))


@pytest.mark.usefixtures("worker")
def test_each_alert_is_measured_in_its_own_unit(open_app: OpenApp, database_file: Path) -> None:
    with open_buffer(database_file) as buffer:
        buffer.watch.fire("disk-full", 0.971, 0.95, "almost full", wall_clock_ms())
        buffer.watch.fire("trouble of processor-0", 1234.5, 30, "processor-0: waits", wall_clock_ms())
    rows = open_app(PAGE).dataframe[0].value
    assert dict(zip(rows["rule"], rows["worst"], strict=True)) == {
        "disk-full": "97.1%",
        "trouble of processor-0": "1,234 s",
    }
    assert set(rows["threshold"]) == {"95.0%", "30 s"}
