from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

from pipeline.buffer import open_buffer
from tests.support.sample_buffer import DEAD_LETTERS, NOW_MS, ORDERS, add_orders, fill

OpenApp = Callable[..., AppTest]


def _figures(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def test_a_missing_buffer_is_said_in_words(open_app: OpenApp) -> None:
    app = open_app()
    assert not app.exception
    assert "there is no buffer" in app.info[0].value
    assert not app.metric


def test_a_damaged_buffer_is_said_in_words(open_app: OpenApp, database_file: Path) -> None:
    database_file.write_bytes(b"no database" * 1000)
    app = open_app()
    assert not app.exception
    assert "is damaged" in app.error[0].value


def test_an_empty_buffer_says_what_to_press(open_app: OpenApp, database_file: Path) -> None:
    with open_buffer(database_file):
        pass
    app = open_app()
    assert not app.exception
    assert "Press **Produce orders** in the sidebar" in app.info[0].value
    assert list(_figures(app).values()) == ["0", "0.00", "–", "0", "0", "0.0/s"]


def test_figures_are_those_of_the_buffer(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app()
    assert not app.exception
    figures = _figures(app)
    assert figures["Total orders"] == str(ORDERS + DEAD_LETTERS)
    assert figures["Successful"] == str(ORDERS)
    assert figures["Dead-lettered"] == str(DEAD_LETTERS)
    assert figures["Revenue"] == "77,222.59"
    assert figures["Average price"] == "128.70"
    assert figures["Rate"] == "0.0/s"


def test_figures_follow_the_buffer(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file, dead_letters=0)
    app = open_app()
    add_orders(database_file, 7, NOW_MS + 2000)
    assert _figures(app.run())["Successful"] == str(ORDERS + 7)


def test_the_first_record_lays_the_page_out(open_app: OpenApp, database_file: Path) -> None:
    with open_buffer(database_file):
        pass
    app = open_app()
    add_orders(database_file, 1)
    app.run()
    assert not app.info
    assert _figures(app)["Total orders"] == "1"


def test_every_window_is_drawn(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app()
    for window, grain in (("1 h", "minute"), ("24 h", "minute"), ("5 min", "second")):
        app.button_group(key="overview_window").set_value(window).run()
        assert not app.exception
        assert f"**Orders per {grain}**" in [each.value for each in app.markdown]
        assert len(app.get("vega_lite_chart")) + len(app.get("arrow_vega_lite_chart")) == 5
