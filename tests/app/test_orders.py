from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from pipeline.buffer import open_buffer
from pipeline.orders.fields import CHOICE_FIELDS, SHOWN_FIELDS
from pipeline.records import OrderField
from tests.support.sample_buffer import ORDERS, add_orders, fill
from tests.support.widget_keys import key_now

OpenApp = Callable[..., AppTest]
PAGE = "pages/orders.py"


def _table(app: AppTest) -> pd.DataFrame:
    assert not app.exception
    return app.dataframe[0].value


def _extent(app: AppTest) -> str:
    return next(each.value for each in app.caption if " of " in each.value or "No order" in each.value)


def _button(app: AppTest, label: str) -> None:
    next(each for each in app.button if each.label == label).click().run()


def test_a_missing_buffer_is_said_in_words(open_app: OpenApp) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert "there is no buffer" in app.info[0].value


def test_without_orders_it_says_what_to_press_and_begins_with_the_first(open_app: OpenApp, database_file: Path) -> None:
    with open_buffer(database_file):
        pass
    app = open_app(PAGE)
    assert "Press **Produce orders** in the sidebar" in app.info[0].value
    add_orders(database_file, 1)
    assert len(_table(app.run())) == 1


def test_the_newest_orders_come_first_with_all_their_columns(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app(PAGE)
    table = _table(app)
    assert list(table.columns) == [
        *(field.avro_name for field in SHOWN_FIELDS), "processed_at", "attempts", "position",
    ]  # fmt: skip
    configs = json.loads(app.dataframe[0].proto.columns)
    labels = {name: config["label"] for name, config in configs.items() if name in table.columns}
    assert labels == {field.avro_name: field.label for field in SHOWN_FIELDS} | {
        "processed_at": "Processed", "attempts": "Attempts", "position": "Position",
    }  # fmt: skip
    assert len(table) == 50
    assert table["created_at"].is_monotonic_decreasing
    assert table["position"][0] == f"orders[0] offset {int(table['order_id'][0].rsplit('-', 1)[1])}"
    assert _extent(app) == f"1 to 50 of {ORDERS}"


def test_a_text_finds_orders_and_customers_by_how_they_begin(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app(PAGE)
    found = _table(app.text_input(key=key_now(app, "orders_text_")).set_value(" ORD-1-00012 ").run())
    assert sorted(found["order_id"]) == [f"ORD-1-00012{digit}" for digit in range(10)]
    found = _table(app.text_input(key=key_now(app, "orders_text_")).set_value("C0007").run())
    assert set(found["customer_id"]) == {"C0007"}


def test_filters_narrow_together_and_clear_at_once(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app(PAGE)
    app.multiselect(key=key_now(app, "orders_products_")).set_value(["Travel mug"])
    app.multiselect(key=key_now(app, "orders_regions_")).set_value(["north", "south"])
    app.number_input(key=key_now(app, "orders_least_")).set_value(50.0)
    app.number_input(key=key_now(app, "orders_most_")).set_value(150.0).run()
    found = _table(app)
    assert set(found["product"]) == {"Travel mug"}
    assert set(found["region"]) == {"north", "south"}
    assert found["price"].between(50, 150).all()
    _button(app, "Clear")
    assert _extent(app) == f"1 to 50 of {ORDERS}"


@pytest.mark.parametrize("field", CHOICE_FIELDS, ids=lambda field: field.name)
def test_every_text_that_repeats_can_be_chosen(open_app: OpenApp, database_file: Path, field: OrderField) -> None:
    add_orders(database_file, 30)
    app = open_app(PAGE)
    known = set(_table(app)[field.avro_name])
    box = app.multiselect(key=key_now(app, f"orders_{field.names_table}_"))
    assert box.label == field.label
    assert known <= set(box.options)
    chosen = min(known)
    assert set(_table(box.set_value([chosen]).run())[field.avro_name]) == {chosen}


def test_retried_orders_can_be_seen_alone(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app(PAGE)
    assert (_table(app.toggle(key=key_now(app, "orders_retried_")).set_value(True).run())["attempts"] > 1).all()


def test_nothing_that_matches_is_said(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app(PAGE)
    app.text_input(key=key_now(app, "orders_text_")).set_value("nobody").run()
    assert _extent(app) == "No order matches."
    assert not app.dataframe


def test_orders_are_sorted_as_chosen(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app(PAGE)
    table = _table(app.selectbox(key="orders_sort").set_value("Highest price first").run())
    assert table["price"].is_monotonic_decreasing
    table = _table(app.selectbox(key="orders_sort").set_value("Order id, ascending").run())
    assert table["order_id"].is_monotonic_increasing


def test_the_first_page_is_live_and_the_others_hold_still(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app(PAGE)
    app.session_state[key_now(app, "orders_page_")] = 2
    second = _table(app.run())
    add_orders(database_file, 3)
    assert _table(app.run()).equals(second)
    assert "this page holds still" in _extent(app)
    app.session_state[key_now(app, "orders_page_")] = 1
    assert _extent(app.run()) == f"1 to 50 of {ORDERS + 3}"


def test_another_filter_goes_back_to_the_first_page(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app(PAGE)
    app.session_state[key_now(app, "orders_page_")] = 3
    app.run()
    app.multiselect(key=key_now(app, "orders_regions_")).set_value(["north"]).run()
    assert _extent(app).startswith("1 to 50 of ")


def test_a_page_beyond_the_end_gives_way_to_one_that_is_there(
    open_app: OpenApp, database_file: Path, tmp_path: Path
) -> None:
    fill(database_file)
    app = open_app(PAGE)
    app.session_state[key_now(app, "orders_page_")] = 12
    app.run()
    for file in tmp_path.glob("orderpulse.db*"):
        file.unlink()
    fill(database_file, orders=120)
    app.selectbox(key="orders_sort").set_value("Oldest first").run()
    assert _extent(app) == "1 to 50 of 120"
    app.session_state[key_now(app, "orders_page_")] = 12
    app.run()
    assert len(_table(app)) in (20, 50)
