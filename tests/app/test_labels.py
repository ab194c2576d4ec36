"""What the mapping file's `[labels]` say is what people see; a file that cannot be used changes nothing."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared import disk_files
from dashboard.shared.mapping import OURS, ShownMapping, Wording
from pipeline.__main__ import main
from pipeline.buffer import open_buffer
from pipeline.records import Currency
from pipeline.settings import load_settings
from tests.support.page import page_text
from tests.support.sample_buffer import fill
from tests.support.widget_keys import key_now

OpenApp = Callable[..., AppTest]
LABELS = """\
[labels]
order_id = "Receipt"
customer_id = "Member"
product = "SKU"
price = "Total"
created_at = "Sold"
region = "Channel"
currency_symbol = "$"
currency_digits = {digits}
"""


@pytest.fixture
def mapping_file(tmp_path: Path) -> Path:
    path = tmp_path / "mapping.toml"
    path.write_text(LABELS.format(digits=3))
    return path


@pytest.fixture
def open_labelled(open_app: OpenApp, database_file: Path, mapping_file: Path) -> OpenApp:
    """Opens a page of an app with the mapping file and a full buffer, which sums a currency of so many digits."""

    def open_(page: str = "", digits: int = 3) -> AppTest:
        with open_buffer(database_file) as buffer:
            assert not buffer.flow.agree_currency(Currency(digits=digits))
        fill(database_file)
        return open_app(page, mapping_file=str(mapping_file))

    return open_


def _columns(app: AppTest, table: int = 0) -> dict[str, dict[str, Any]]:
    configs: dict[str, dict[str, Any]] = json.loads(app.dataframe[table].proto.columns)
    return configs


@pytest.mark.parametrize(
    ("digits", "revenue", "average"),
    [(0, "$7.722.259", "$12.870"), (2, "$77.222,59", "$128,70"), (3, "$7.722,259", "$12,870")],
)
def test_figures_have_the_currency_s_symbol_and_digits(
    open_labelled: OpenApp, mapping_file: Path, digits: int, revenue: str, average: str
) -> None:
    mapping_file.write_text(LABELS.format(digits=digits))
    figures = {metric.label: metric.value for metric in open_labelled(digits=digits).metric}
    english = str.maketrans(".,", ",.")
    assert figures["Revenue"] == revenue.translate(english)
    assert figures["Average Total"] == average.translate(english)


def test_amounts_have_the_digits_that_the_buffer_sums_whatever_the_file_has_come_to_say(open_labelled: OpenApp) -> None:
    figures = {metric.label: metric.value for metric in open_labelled(digits=2).metric}
    assert figures["Revenue"] == "$77,222.59"


def test_charts_are_called_as_the_file_says(open_labelled: OpenApp) -> None:
    titles = [each.value for each in open_labelled().markdown]
    assert {"**Running average Total**", "**Top SKU by revenue**"} <= set(titles)


def test_the_orders_page_speaks_the_file_s_words(open_labelled: OpenApp) -> None:
    app = open_labelled("pages/orders.py")
    columns = _columns(app)
    assert [columns[name]["label"] for name in ("order_id", "product", "price", "region", "created_at")] == [
        "Receipt", "SKU", "Total", "Channel", "Sold",
    ]  # fmt: skip
    assert columns["price"]["type_config"]["format"] == "$%,.3f"
    assert [each.label for each in app.multiselect] == ["SKU", "Channel"]
    assert [each.label for each in app.text_input] == ["Receipt or Member"]
    assert {"Highest Total first", "Receipt, ascending"} <= set(app.selectbox(key="orders_sort").options)
    assert "Total and time" in [each.label for each in app.expander]


def test_prices_are_looked_for_in_units_of_the_currency(open_labelled: OpenApp) -> None:
    app = open_labelled("pages/orders.py")
    app.number_input(key=key_now(app, "orders_least_")).set_value(5.001)
    app.number_input(key=key_now(app, "orders_most_")).set_value(9.999).run()
    prices = app.dataframe[0].value["price"]
    assert len(prices) == 50
    assert prices.between(5.001, 9.999).all()
    assert app.number_input(key=key_now(app, "orders_least_")).proto.format == "%.3f"


def test_dead_letters_speak_the_file_s_words(open_labelled: OpenApp) -> None:
    app = open_labelled("pages/dead_letters.py")
    labels = {name: column.get("label") for name, column in _columns(app, 1).items()}
    assert (labels["order_id"], labels["product"], labels["price"], labels["created_at"]) == (
        "Receipt", "SKU", "Total", "Sold",
    )  # fmt: skip
    told = next(str(each.value) for each in app.markdown if "`header.NAME`" in str(each.value))
    called = [line.rpartition(", here called ")[2] for line in told.splitlines() if "here called" in line]
    assert called == ["Receipt", "Member", "SKU", "Total", "Sold"]


def test_the_card_of_a_dead_letter_speaks_the_file_s_words(open_labelled: OpenApp) -> None:
    app = open_labelled("pages/dead_letters.py")
    letters = app.dataframe[1].value
    row = next(index for index, order_id in enumerate(letters["order_id"]) if isinstance(order_id, str))
    app.session_state["letters_opened"] = int(letters["id"][row])
    app.run()
    assert not app.exception
    facts = "\n".join(str(each.value) for each in (*app.markdown, *app.text, *app.caption))
    assert [each for each in ("Receipt", "Member", "SKU", "Total", "Sold") if each not in facts] == []
    assert re.search(r"\$-?[\d,]+\.\d{3}\b", facts.replace("\\", ""))


def exported(tmp_path: Path, *what: str) -> list[str]:
    """The columns of an export by the command."""
    out = tmp_path / "exported.csv"
    assert main(["export", *what, "--format", "csv", "--out", str(out)]) == 0
    with out.open(newline="") as file:
        return next(csv.reader(file))


def offered(app: AppTest) -> list[str]:
    """The columns of the file that the page's export offers."""
    assert not app.exception
    [link] = [each.proto.url for each in app.get("link_button") if each.proto.label.startswith("Save CSV")]
    file = disk_files._offered[link.rpartition("/")[2]]
    return next(csv.reader(io.StringIO(b"".join(file.parts()).decode())))


def test_a_page_s_export_has_columns_in_the_file_s_words_also_when_they_change(
    open_labelled: OpenApp, mapping_file: Path
) -> None:
    app = open_labelled("pages/orders.py")
    app.session_state["orders-export"] = True
    app.session_state["orders-format"] = "CSV"
    assert {"Receipt", "Member", "SKU", "Channel", "Total (minor units)", "Sold (ms)"} <= set(offered(app.run()))
    mapping_file.write_text('[labels]\nprice = "Amount"\ncurrency_digits = 3')
    columns = offered(app.run())
    assert "Amount (minor units)" in columns
    assert "order_id" in columns


@pytest.fixture
def sold(database_file: Path, mapping_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full buffer, and the mapping file for commands."""
    fill(database_file)
    monkeypatch.setenv("ORDERPULSE_MAPPING_FILE", str(mapping_file))


@pytest.mark.usefixtures("sold")
def test_the_command_exports_columns_in_the_file_s_words(tmp_path: Path) -> None:
    named = {"Receipt", "Member", "SKU", "Channel", "Total (minor units)", "Sold (ms)"}
    assert named <= set(exported(tmp_path, "orders"))
    assert {"Receipt", "SKU", "Total (minor units)"} <= set(exported(tmp_path, "dead-letters"))


@pytest.mark.usefixtures("sold")
@pytest.mark.parametrize("text", ["[labels]\nprice = 7", "nonsense", '[topics.orders]\nprice = "x"', None])
def test_while_the_file_cannot_be_used_all_is_exported_by_our_names_which_is_said(
    tmp_path: Path, mapping_file: Path, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    before = exported(tmp_path, "orders")
    rows = (tmp_path / "exported.csv").read_text().partition("\r\n")[2]
    capsys.readouterr()
    if text is None:
        mapping_file.unlink()
    else:
        mapping_file.write_text(text)
    columns = exported(tmp_path, "orders")
    assert {"order_id", "customer_id", "product", "region", "price_cents", "created_at_ms"} <= set(columns)
    assert len(columns) == len(before)
    assert (tmp_path / "exported.csv").read_text().partition("\r\n")[2] == rows
    said, written = capsys.readouterr().err.splitlines()
    assert said.startswith(f"columns have our names, not those of [labels]: the mapping file {mapping_file}")
    assert written.endswith(" rows written")


def test_without_a_file_pages_speak_our_words(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app()
    assert {"Revenue", "Average price"} <= {metric.label for metric in app.metric}
    assert "**Top products by revenue**" in [each.value for each in app.markdown]


def test_pages_follow_the_file(open_labelled: OpenApp, mapping_file: Path) -> None:
    app = open_labelled()
    mapping_file.write_text('[labels]\nprice = "Amount"')
    assert "Average Amount" in {metric.label for metric in app.run().metric}
    mapping_file.write_text("[labels]\nprice = 7")
    # What was before stays.
    assert "Average Amount" in {metric.label for metric in app.run().metric}
    assert not app.exception


def test_a_file_that_is_broken_from_the_beginning_is_as_none(open_labelled: OpenApp, mapping_file: Path) -> None:
    mapping_file.write_text("[labels]\nprice = 7")
    app = open_labelled()
    assert not app.exception
    assert "Average price" in {metric.label for metric in app.metric}
    mapping_file.write_text('[labels]\nprice = "Amount"')
    assert "Average Amount" in {metric.label for metric in app.run().metric}


def test_a_label_is_no_markdown(open_labelled: OpenApp, mapping_file: Path) -> None:
    mapping_file.write_text('[labels]\nprice = "**$x$**"\nproduct = ":red[x]"')
    app = open_labelled()
    assert not app.exception
    app = app.switch_page("pages/orders.py").run()
    assert not app.exception
    assert ":red[x]" not in page_text(app).replace('label: ":red[x]"', "")


def test_the_file_is_read_again_only_when_it_has_changed(mapping_file: Path) -> None:
    shown = ShownMapping(load_settings(mapping_file=mapping_file))
    shown.refresh()
    assert shown.wording.of("product", "Product") == "SKU"
    assert shown.wording.currency == Currency(digits=3, symbol="$")
    before, version = shown.mapped, shown.version
    shown.refresh()
    assert shown.mapped is before
    mapping_file.write_text("nonsense")
    shown.refresh()
    assert "is not valid TOML" in shown.error
    assert (shown.mapped, shown.version) == (before, version)
    mapping_file.write_text("")
    shown.refresh()
    assert (shown.wording, shown.error) == (OURS, "")


def test_a_file_that_is_asked_for_and_not_there_is_told(tmp_path: Path) -> None:
    shown = ShownMapping(load_settings(mapping_file=tmp_path / "nowhere.toml"))
    shown.refresh()
    assert "cannot be read" in shown.error
    assert shown.wording == Wording()
