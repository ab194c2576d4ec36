from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared.formats import money, plain
from pipeline.buffer import (
    Advance,
    Batch,
    BrakeLimit,
    HeldRecord,
    PriorReading,
    Reader,
    open_buffer,
    record_id,
)
from pipeline.clock import wall_clock_ms
from pipeline.errors import RegistryUnavailableError
from pipeline.kafka import DEMO_LIMITS
from pipeline.kafka.schema_registry import RegistryClient
from pipeline.orders.mapping.currency import DEFAULT_CURRENCY
from pipeline.records import TopicIdentity
from pipeline.running.statusboard import RoleState, StatusWriter
from pipeline.schema_source import SchemaId
from pipeline.settings import load_settings
from tests.support.sample_buffer import PARKED, fill

OpenApp = Callable[..., AppTest]
Say = Callable[..., None]
PAGE = "pages/pipeline.py"
PROCESSOR = {
    "lag": 1234,
    "rate_per_s": 56.7,
    "partitions": {"orders[0]": {"lag": 1200, "next_offset": 7}, "orders[1]": {"lag": 34, "next_offset": 8}},
    "rules_version": "abc123",
    "rules_error": "",
}


@pytest.fixture
def say(tmp_path: Path) -> Say:
    """Writes a role's status as that role does."""

    def write(
        role: str, state: RoleState, detail: str = "", figures: dict[str, Any] | None = None, ago_ms: int = 0
    ) -> None:
        status = StatusWriter(tmp_path, role, 0, lambda: wall_clock_ms() - ago_ms)
        status.report(state, detail, figures)
        status.close()

    return write


def _figures(app: AppTest) -> dict[str, str]:
    assert not app.exception
    return {metric.label: metric.value for metric in app.metric}


def _role(app: AppTest, name: str) -> str:
    return next(each.value for each in app.markdown if each.value.startswith(f"**{plain(name)}**"))


def test_lag_rate_and_what_waits_are_shown(open_app: OpenApp, database_file: Path, say: Say) -> None:
    fill(database_file)
    say("processor", "running", figures=PROCESSOR)
    say("collector", "running", figures={"lag": 3, "rate_per_s": 1.0})
    app = open_app(PAGE)
    figures = _figures(app)
    assert (figures["Lag"], figures["Dead-letter lag"], figures["Throughput"]) == ("1,234", "3", "56.7/s")
    assert (figures["Parked"], figures["Outbox"]) == (str(PARKED), "0")
    lag, parked, events, partitions = (each.value for each in app.dataframe)
    assert list(lag["partition"]) == ["orders[0]", "orders[1]"]
    assert list(lag["lag"]) == [1200, 34]
    assert len(parked) == PARKED
    assert "waits" in set(parked["due"])
    assert "the worker has started" in set(events["message"])
    assert list(partitions["generation"]) == ["1 of 1", "1 of 1"]
    assert any("rules abc123" in each.value for each in app.markdown)


def test_what_waits_of_partitions_that_are_gone_is_named(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app(PAGE, orders_topic="orders-new")
    gone = [each.value for each in app.caption if each.value.startswith("Of partitions that are gone")]
    assert len(gone) == 1
    assert plain("orders") in gone[0]
    assert f"{PARKED} parked, 0 in the outbox" in gone[0]


def test_roles_that_wait_fail_or_are_silent_are_seen_at_once(open_app: OpenApp, database_file: Path, say: Say) -> None:
    fill(database_file)
    say("collector", "waiting", "broker [1] refuses *us*")
    say("worker", "failing", "the buffer is damaged")
    say("processor", "running", figures=PROCESSOR, ago_ms=60_000)
    app = open_app(PAGE)
    assert [each.value for each in app.warning] == [
        f"**{plain('collector-0')}** waits: {plain('broker [1] refuses *us*')}"
    ]
    assert {each.value for each in app.error} == {
        f"**{plain('worker-0')}** fails: the buffer is damaged",
        f"**{plain('processor-0')}** is silent, its last word was 1 min ago.",
    }
    for name, color, state in (
        ("collector-0", "orange", "waiting"), ("worker-0", "red", "failing"), ("processor-0", "red", "silent"),
    ):  # fmt: skip
        assert f":{color}-badge" in _role(app, name)
        assert state in _role(app, name)
    assert "not started" in _role(app, "broker")
    # What a dead processor said last is no figure of now.
    assert _figures(app)["Lag"] == "–"


def test_a_role_that_waits_for_the_registry_says_where_and_what_to_check(
    open_app: OpenApp, database_file: Path, say: Say
) -> None:
    fill(database_file)
    settings = load_settings(schema_registry_url="http://reader:pa55@127.0.0.1:1")
    with pytest.raises(RegistryUnavailableError) as caught:
        RegistryClient(settings, wall_clock_ms).get(SchemaId(7))
    say("processor", "waiting", str(caught.value))
    [warning] = open_app(PAGE).warning
    assert warning.value.startswith(f"**{plain('processor-0')}** waits: the schema registry at ")
    assert plain("check ORDERPULSE_SCHEMA_REGISTRY_URL and that it runs") in warning.value
    assert "pa55" not in warning.value


def test_refused_rules_are_an_error(open_app: OpenApp, database_file: Path, say: Say) -> None:
    fill(database_file)
    say("processor", "running", figures=PROCESSOR | {"rules_error": "rules.toml line 3: no rule"})
    app = open_app(PAGE)
    assert plain("rules.toml line 3: no rule") in app.error[0].value


def test_the_mapping_in_force_and_what_it_rounds_are_told(open_app: OpenApp, database_file: Path, say: Say) -> None:
    fill(database_file)
    say("processor", "running", figures=PROCESSOR | {"mapping_version": "ab12", "mapping_floats": "shop.orders"})
    [line] = [each.value for each in open_app(PAGE).markdown if "mapping ab12" in each.value]
    assert f"prices of {plain('shop.orders')} are rounded floats" in line


def test_a_refused_mapping_is_an_error_whoever_reads_it(
    open_app: OpenApp, database_file: Path, tmp_path: Path, say: Say
) -> None:
    fill(database_file)
    say("processor", "running", figures=PROCESSOR | {"mapping_error": "the buffer holds 600 orders in EUR"})
    mapping_file = tmp_path / "mapping.toml"
    mapping_file.write_text("[labels]\nprice = 7")
    errors = [each.value for each in open_app(PAGE, mapping_file=str(mapping_file)).error]
    assert len(errors) == 2
    assert all(each.startswith("The mapping file is refused, the mapping before it stays: ") for each in errors)
    assert plain("the buffer holds 600 orders in EUR") in errors[0]
    assert plain("line 2: labels.price") in errors[1]


def test_what_was_passed_over_is_counted_by_topic(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    assert len(open_app(PAGE).dataframe) == 3
    with open_buffer(database_file) as buffer:
        place = buffer.flow.assign("processor", TopicIdentity("sample-cluster", "shop.orders", "id"), 0, 0, 1)
        offsets = [record_id(place.ref, offset) for offset in (0, 2)]
        buffer.flow.commit(Batch(1, [Advance(place.ref, 0, 3)], passed_over=offsets))
    passed_over = open_app(PAGE).dataframe[-1].value
    assert passed_over.to_dict("records") == [{"topic": "shop.orders", "records": 2}]


def test_roles_are_shown_when_there_is_no_buffer(open_app: OpenApp, say: Say) -> None:
    say("processor", "waiting", "the disk is full")
    app = open_app(PAGE)
    assert "waiting" in _role(app, "processor-0")
    assert any("there is no buffer" in each.value for each in app.info)
    assert _figures(app)["Parked"] == "–"


def test_the_demo_cluster_says_what_it_cannot_do(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app(PAGE)
    limits = next(each for each in app.expander if each.label == "What the demo cluster cannot do")
    assert all(limit in limits.markdown[0].value for limit in DEMO_LIMITS.values())
    assert any("Demo cluster" in each.value and "is not running" in each.value for each in app.markdown)


def test_a_real_cluster_is_named_by_its_address(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app(PAGE, bootstrap_servers="kafka-1:9092")
    assert not app.exception
    assert any("Kafka" in each.value and plain("kafka-1:9092") in each.value for each in app.markdown)
    assert not [each for each in app.expander if each.label == "What the demo cluster cannot do"]


def test_where_schemas_come_from_is_told(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    assert any("schemas from schemas" in each.value for each in open_app(PAGE).markdown)


def test_the_registry_is_named_without_its_password(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app(PAGE, schema_registry_url="https://reader:pa55@registry:8081")
    assert any(
        f"schemas from registry {plain('https://********@registry:8081')}" in each.value for each in app.markdown
    )
    assert not any("pa55" in each.value for each in app.markdown)


def stop_reading(database_file: Path) -> None:
    with open_buffer(database_file) as buffer:
        buffer.watch.count_judged("orders", 30, 970, BrakeLimit(0.5, 100, 60_000), wall_clock_ms())


def stopped(database_file: Path) -> list[str]:
    with Reader(database_file) as reader:
        return [each.topic for each in reader.stopped()]


def test_reading_that_is_stopped_is_said_and_one_button_lets_it_go_on(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    assert not [each for each in open_app(PAGE).button if each.key == "pipeline_resume"]
    stop_reading(database_file)
    app = open_app(PAGE)
    told = plain("reading of orders is stopped: 97.0% of 1,000 records failed")
    assert any(told in each.value for each in app.error)
    app.button(key="pipeline_resume").click().run()
    assert not app.exception
    assert stopped(database_file) == []


def test_who_may_only_look_cannot_let_it_go_on(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    stop_reading(database_file)
    assert open_app(PAGE, read_only="1").button(key="pipeline_resume").disabled
    assert stopped(database_file) == ["orders"]


def hold(database_file: Path) -> None:
    """Has the orders topic be held, as a processor does that meets a copy."""
    with open_buffer(database_file) as buffer:
        record = HeldRecord(2, 17, wall_clock_ms() - 60_000)
        prior = [PriorReading("old-cluster", wall_clock_ms())]
        buffer.rereads.hold("processor", "orders", "new-cluster", prior, record, wall_clock_ms())


def held(database_file: Path) -> tuple[str, str | None]:
    with Reader(database_file) as reader:
        [only] = reader.held()
    return only.state, only.start


def test_a_topic_that_may_hold_copies_is_said_and_can_be_read_on_in_three_ways(
    open_app: OpenApp, database_file: Path
) -> None:
    fill(database_file)
    assert not [each for each in open_app(PAGE).button if (each.key or "").startswith("pipeline_held")]
    hold(database_file)
    app = open_app(PAGE)
    told = plain("reading of orders is stopped: offset 17 of partition 2")
    assert any(told in each.value for each in app.error)
    app.text_input(key="pipeline_held_time_1").input("tomorrow").run()
    app.button(key="pipeline_held_at_1").click().run()
    assert held(database_file) == ("held", None)
    assert any("neither" in each.value for each in app.toast)
    app.text_input(key="pipeline_held_time_1").input("2026-03-01T12:00:00").run()
    app.button(key="pipeline_held_at_1").click().run()
    assert not app.exception
    assert held(database_file) == ("asked", "1772366400000")
    # What is under way is told, and nobody can ask for something else.
    assert any(plain("it is to be read again from 2026-03-01 12:00:00 UTC") in each.value for each in app.info)
    assert not [each for each in app.button if (each.key or "").startswith("pipeline_held")]


def test_one_button_reads_on_from_the_latest(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    hold(database_file)
    app = open_app(PAGE)
    app.button(key="pipeline_held_latest_1").click().run()
    assert not app.exception
    assert held(database_file) == ("asked", "latest")


def test_from_the_earliest_it_says_beforehand_which_orders_go_out(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    with Reader(database_file) as reader:
        before = reader.totals()
    hold(database_file)
    app = open_app(PAGE)
    app.button(key="pipeline_held_earliest_1").click().run()
    revenue = plain(money(before.revenue_cents, DEFAULT_CURRENCY))
    asked = f"{before.orders:,} orders go out of rows and figures, with a revenue of {revenue}"
    assert [each.value for each in app.warning if asked in each.value]
    app.button(key="pipeline_held_cancel_1").click().run()
    assert not [each.value for each in app.warning if asked in each.value]
    assert held(database_file) == ("held", None)
    app.button(key="pipeline_held_earliest_1").click().run()
    app.button(key="pipeline_held_confirm_1").click().run()
    assert not app.exception
    assert held(database_file) == ("asked", "earliest")


def test_who_may_only_look_cannot_say_how_reading_goes_on(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    hold(database_file)
    app = open_app(PAGE, read_only="1")
    assert all(app.button(key=f"pipeline_held_{way}_1").disabled for way in ("latest", "earliest", "at"))
    assert held(database_file) == ("held", None)
