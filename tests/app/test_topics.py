"""Where orders are of several topics, people can look at those of one; else nothing of it is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pipeline.__main__ import main
from pipeline.buffer import Advance, Batch, OrderRow, open_buffer, record_id
from pipeline.records import Order, TopicIdentity
from tests.support.sample_buffer import NOW_MS, ORDERS, fill
from tests.support.widget_keys import key_now

OpenApp = Callable[..., AppTest]
SHOP_ORDERS = 7
SHOP_CENTS = 700


@pytest.fixture
def two_topics(database_file: Path) -> None:
    """A full buffer, and orders of another topic beside."""
    fill(database_file)
    with open_buffer(database_file) as buffer:
        place = buffer.flow.assign("processor", TopicIdentity("sample-cluster", "shop.orders", "id"), 0, 0, NOW_MS)
        rows = [
            OrderRow(record_id(place.ref, offset), Order(f"S{offset}", "C1", "Scarf", SHOP_CENTS, NOW_MS), 1)
            for offset in range(SHOP_ORDERS)
        ]
        buffer.flow.commit(Batch(NOW_MS, [Advance(place.ref, 0, SHOP_ORDERS)], rows))


def _figures(app: AppTest) -> dict[str, str]:
    assert not app.exception
    return {metric.label: metric.value for metric in app.metric}


@pytest.mark.usefixtures("two_topics")
def test_the_overview_has_the_figures_of_each_topic(open_app: OpenApp) -> None:
    app = open_app()
    assert _figures(app)["Successful"] == str(ORDERS + SHOP_ORDERS)
    box = app.selectbox(key="overview_topic")
    assert box.options == ["All topics", "orders", "shop.orders"]
    figures = _figures(box.set_value("shop.orders").run())
    assert (figures["Successful"], figures["Revenue"], figures["Average price"]) == ("7", "49.00", "7.00")
    assert figures["Dead-lettered"] == "0"
    assert [each.value for each in app.caption if "of all topics" in each.value]
    figures = _figures(app.selectbox(key="overview_topic").set_value("orders").run())
    assert (figures["Successful"], figures["Revenue"]) == (str(ORDERS), "77,222.59")
    assert int(figures["Dead-lettered"]) > 0


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
