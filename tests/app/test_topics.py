"""Where orders are of several topics, people can look at those of one; else nothing of it is there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.overview.chart_export import export_specification
from dashboard.overview.charts import ChartKind, Spec
from dashboard.shared.snapshots import overview_of
from dashboard.shared.time_ranges import TIME_RANGES
from pipeline.__main__ import main
from pipeline.buffer import Advance, Batch, OrderRow, Reader, open_buffer, record_id
from pipeline.buffer.views import Totals
from pipeline.orders.mapping.currency import DEFAULT_CURRENCY
from pipeline.records import Order, TopicIdentity
from tests.support import buffer_rows
from tests.support.sample_buffer import NOW_MS, ORDERS, fill
from tests.support.widget_keys import key_now

OpenApp = Callable[..., AppTest]
SHOP_ORDERS = 7
SHOP_CENTS = 700


@pytest.fixture
def two_topics(database_file: Path) -> None:
    """A full buffer, and orders of another topic beside, with one that waits and two dead letters."""
    fill(database_file)
    with open_buffer(database_file) as buffer:
        place = buffer.flow.assign("processor", TopicIdentity("sample-cluster", "shop.orders", "id"), 0, 0, NOW_MS)
        rows = [
            OrderRow(record_id(place.ref, offset), Order(f"S{offset}", "C1", "Scarf", SHOP_CENTS, NOW_MS), 1)
            for offset in range(SHOP_ORDERS)
        ]
        waits = [buffer_rows.parked(place.ref, SHOP_ORDERS)]
        failed = Counter({place.ref: 1})
        advance = Advance(place.ref, 0, SHOP_ORDERS + 1)
        buffer.flow.commit(Batch(NOW_MS, [advance], rows, parked=waits, failed_attempts=failed))
        dead = buffer_rows.collector(buffer)
        letters = [buffer_rows.dead_letter(dead.ref, at, f"S{at}", source_topic="shop.orders") for at in range(2)]
        buffer_rows.collect(buffer, dead, 0, *letters, now_ms=NOW_MS)


def _figures(app: AppTest) -> dict[str, str]:
    assert not app.exception
    return {metric.label: metric.value for metric in app.metric}


def _charts(app: AppTest) -> list[pa.Table]:
    """The rows of each chart, in the order of the page."""
    return [pa.ipc.open_stream(each.proto.data.data).read_all() for each in app.get("vega_lite_chart")]


def _sum(table: pa.Table, column: str) -> float:
    return sum(value or 0 for value in table.column(column).to_pylist())


@pytest.mark.usefixtures("two_topics")
def test_the_overview_has_the_figures_of_each_topic(open_app: OpenApp) -> None:
    app = open_app()
    assert _figures(app)["Successful"] == str(ORDERS + SHOP_ORDERS)
    box = app.selectbox(key="overview_topic")
    assert box.options == ["All topics", "orders", "shop.orders"]
    figures = _figures(box.set_value("shop.orders").run())
    assert (figures["Successful"], figures["Revenue"], figures["Average price"]) == ("7", "49.00", "7.00")
    assert (figures["Total orders"], figures["Dead-lettered"], figures["Rate"]) == ("9", "2", "0.0/s")
    successful = next(each for each in app.metric if each.label == "Successful")
    assert sum(successful.proto.chart_data) == SHOP_ORDERS
    assert "1 more wait" in successful.help
    figures = _figures(app.selectbox(key="overview_topic").set_value("orders").run())
    assert (figures["Successful"], figures["Revenue"]) == (str(ORDERS), "77,222.59")
    assert int(figures["Dead-lettered"]) > 0


@pytest.mark.usefixtures("two_topics")
def test_every_chart_of_the_overview_is_of_the_chosen_topic(open_app: OpenApp) -> None:
    app = open_app()
    of_all = [table.num_rows for table in _charts(app)]
    app.selectbox(key="overview_topic").set_value("shop.orders").run()
    for window in ("5 min", "1 h", "24 h"):
        app.button_group(key="overview_window").set_value(window).run()
        orders, revenue, average, failures, products = _charts(app)
        assert (_sum(orders, "orders"), _sum(revenue, "revenue")) == (SHOP_ORDERS, SHOP_ORDERS * SHOP_CENTS / 100)
        assert average.column("average").to_pylist()[-1] == SHOP_CENTS / 100
        assert (_sum(failures, "dead_letters"), _sum(failures, "retries")) == (2, 1)
        assert products.to_pylist() == [{"product": "Scarf", "revenue": 49.0, "orders": SHOP_ORDERS}]
    app.button_group(key="overview_window").set_value("5 min").run()
    # They end at the same time as those of all topics.
    assert [table.num_rows for table in _charts(app)][:4] == of_all[:4]
    app.selectbox(key="overview_topic").set_value("All topics").run()
    assert _sum(_charts(app)[0], "orders") == ORDERS + SHOP_ORDERS


@pytest.mark.usefixtures("two_topics")
def test_the_rate_and_the_line_of_the_average_are_those_of_the_topic(database_file: Path) -> None:
    with Reader(database_file) as reader:
        shown = overview_of(reader, TIME_RANGES["5 min"], "UTC", DEFAULT_CURRENCY, "shop.orders")
        of_all = overview_of(reader, TIME_RANGES["5 min"], "UTC", DEFAULT_CURRENCY)
    assert shown.rate_per_s(NOW_MS) == SHOP_ORDERS / 10
    assert of_all.rate_per_s(NOW_MS) > shown.rate_per_s(NOW_MS)
    assert (shown.totals, shown.parked) == (Totals(SHOP_ORDERS, SHOP_ORDERS * SHOP_CENTS, 2), 1)
    assert shown.flow.column("average").to_pylist()[-2:] == [None, SHOP_CENTS / 100]


@pytest.mark.usefixtures("two_topics")
def test_a_chart_is_exported_of_the_chosen_topic(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[object, float]] = []

    def noted(kind: ChartKind, table: pa.Table, *others: Any) -> Spec:
        spec = export_specification(kind, table, *others)
        made.append((spec["title"]["text"], _sum(table, "orders")))
        return spec

    monkeypatch.setattr("dashboard.overview.chart_export.export_specification", noted)
    app = open_app()
    app.selectbox(key="overview_topic").set_value("shop.orders").run()
    app.session_state["export_orders"] = True
    app.run()
    assert not app.exception
    assert made == [("Orders per second of shop.orders", SHOP_ORDERS)]


@pytest.mark.usefixtures("two_topics")
def test_orders_are_found_by_topic(open_app: OpenApp) -> None:
    app = open_app("pages/orders.py")
    app.multiselect(key=key_now(app, "orders_topics_")).set_value(["shop.orders"]).run()
    assert not app.exception
    assert set(app.dataframe[0].value["product"]) == {"Scarf"}
    assert f"1 to {SHOP_ORDERS} of {SHOP_ORDERS}" in [each.value for each in app.caption]
    next(each for each in app.button if each.label == "Clear").click().run()
    assert f"1 to 50 of {ORDERS + SHOP_ORDERS}" in [each.value for each in app.caption]


def test_of_one_topic_nothing_is_chosen(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app()
    assert not app.selectbox
    app = app.switch_page("pages/orders.py").run()
    assert "Topic" not in [each.label for each in app.multiselect]


@pytest.mark.usefixtures("two_topics")
def test_an_export_of_one_topic_has_its_orders_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "orders.jsonl"
    assert main(["export", "orders", "--topic", "shop.orders", "--format", "jsonl", "--out", str(out)]) == 0
    assert {json.loads(line)["topic"] for line in out.read_text().splitlines()} == {"shop.orders"}
    assert f"{SHOP_ORDERS} rows written" in capsys.readouterr().err
    assert main(["export", "dead-letters", "--topic", "shop.orders", "--out", str(out)]) == 1
    assert "--topic chooses among orders" in capsys.readouterr().err
