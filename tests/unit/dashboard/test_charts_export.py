from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pyarrow as pa
import pytest

from dashboard.overview.chart_export import export_specification, html, png, svg
from dashboard.overview.charts import KINDS, PALETTES, Spec, specification
from dashboard.shared.mapping import OURS, Wording
from dashboard.shared.time_ranges import TIME_RANGES, flow_table
from pipeline.buffer.views import Rows, Totals
from pipeline.orders.mapping.currency import DEFAULT_CURRENCY
from pipeline.records import Currency

NOON_MS = 1_767_268_800_000
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
FLOW = flow_table(
    Rows(
        ("at_ms", "orders", "revenue_cents", "retries", "dead_letters"),
        [(NOON_MS + second * 1000, second % 7, second * 110, second % 3, second % 2) for second in range(120)],
    ),
    TIME_RANGES["5 min"],
    Totals(1000, 5_000_000, 60),
    "Europe/Berlin",
    DEFAULT_CURRENCY,
)
PRODUCTS = pa.table({"product": ["Kaffee – 1 kg", "<b>&</b>"], "orders": [3, 1], "revenue": [30.5, 2.0]})


def _whole(name: str) -> Spec:
    table = PRODUCTS if name == "products" else FLOW
    return export_specification(KINDS[name], table, TIME_RANGES["5 min"], "Europe/Berlin", OURS)


@pytest.mark.parametrize("name", KINDS)
def test_every_chart_becomes_a_picture(name: str) -> None:
    assert png(_whole(name)).startswith(PNG_SIGNATURE)


@pytest.mark.parametrize("name", KINDS)
def test_every_chart_becomes_a_drawing_with_its_title_on_a_light_ground(name: str) -> None:
    drawing = svg(_whole(name))
    ElementTree.fromstring(drawing)
    assert KINDS[name].title_in(TIME_RANGES["5 min"], OURS).encode() in drawing
    assert f'fill="{PALETTES["light"].background}"'.encode() in drawing


def test_a_chart_of_one_topic_says_so_however_long_its_name_is() -> None:
    def drawing(topic: str) -> bytes:
        return svg(export_specification(KINDS["orders"], FLOW, TIME_RANGES["5 min"], "UTC", OURS, topic))

    assert b">Orders per second of shop.orders<" in drawing("shop.orders")
    sizes = {re.search(rb'width="\d+" height="\d+"', drawing(topic))[0] for topic in ("shop", "x" * 249)}  # type: ignore[index]
    assert len(sizes) == 1


def test_the_drawing_shows_the_viewers_clock_and_names_the_zone() -> None:
    drawing = svg(_whole("orders")).decode()
    assert "Time (Europe/Berlin)" in drawing
    assert ">13:00<" in drawing  # noon UTC


class _Tags(HTMLParser):
    """The tags of a page; what stands in scripts is no tag."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.names: list[str] = []
        self.addresses: list[str | None] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]


@pytest.mark.parametrize("name", KINDS)
def test_the_page_loads_nothing_from_the_network(name: str) -> None:
    page = html(_whole(name))
    assert _Tags(page).addresses == []
    assert not re.search(rb"@import|\bimport\s*\(?\s*['\"]https?:", page)


def test_a_product_puts_no_tag_into_the_page() -> None:
    def page_with(product: str) -> bytes:
        table = pa.table({"product": [product], "orders": [1], "revenue": [1.0]})
        return html(export_specification(KINDS["products"], table, TIME_RANGES["5 min"], "UTC", OURS))

    page, plain_page = page_with("<b>bold</b>"), page_with("bold")
    assert _Tags(page).names == _Tags(plain_page).names
    assert page.count(b"<") == plain_page.count(b"<")
    assert rb"\u003cb>bold\u003c/b>" in page


def test_the_export_holds_all_rows() -> None:
    assert len(_whole("orders")["data"]["values"]) == FLOW.num_rows


@pytest.mark.parametrize("name", KINDS)
def test_a_specification_is_made_once_and_holds_no_data(name: str) -> None:
    spec = specification(name, "UTC", "dark", OURS)
    assert spec is specification(name, "UTC", "dark", OURS)
    assert '"data"' not in json.dumps(spec)


def test_a_chart_is_drawn_in_the_words_and_the_currency_of_the_mapping_file() -> None:
    wording = Wording((("product", "SKU"), ("price", "Total")), Currency(digits=0, symbol="¥"))

    def drawing(name: str, table: pa.Table) -> str:
        return svg(export_specification(KINDS[name], table, TIME_RANGES["5 min"], "UTC", wording)).decode()

    assert "Top SKU by revenue" in drawing("products", PRODUCTS)
    assert re.search(r">¥\d+<", drawing("products", PRODUCTS))
    assert re.search(r">¥\d+<", drawing("revenue", FLOW))
    average = drawing("average", FLOW)
    assert "Running average Total" in average
    assert re.search(r">¥\d+<", average)
    assert "." not in "".join(re.findall(r">¥([^<]*)<", average))


def test_what_a_chart_says_under_the_pointer_is_in_the_words_of_the_mapping_file() -> None:
    wording = Wording((("product", "SKU"),), Currency(digits=3))
    tooltips = specification("products", "UTC", "dark", wording)["encoding"]["tooltip"]
    assert [(each["title"], each.get("format")) for each in tooltips] == [
        ("SKU", None), ("Revenue", ",.3f"), ("Orders", ",d"),
    ]  # fmt: skip
