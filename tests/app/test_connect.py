from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pipeline.buffer import Lookup, open_buffer
from pipeline.clock import wall_clock_ms
from pipeline.orders.mapping.mapping_file import parse_mappings
from tests.support.page import page_text
from tests.support.sample_buffer import fill

PAGE = "pages/connect.py"
OpenApp = Callable[..., AppTest]
TOPIC = "shop.orders"
TOPICS = [
    {"name": "orders", "held": 12, "format": "Avro"},
    {"name": TOPIC, "held": 1234, "format": "JSON"},
    {"name": "silent", "held": None, "format": ""},
]
GUESSES = [
    {"key": "where", "value": 'type == "order.created"', "why": "by name and values", "others": []},
    {"key": "order_id", "value": "order.id", "why": "by name", "others": ["key"]},
    {"key": "customer_id", "value": ["order.customer", "key"], "why": "by name", "others": []},
    {"key": "product", "value": {"path": "lines[].sku", "line": "first"}, "why": "by name", "others": []},
    {"key": "price", "value": {"path": "order.total", "unit": "minor"}, "why": "by name", "others": []},
    {"key": "created_at", "value": "timestamp", "why": "no field looks like it", "others": []},
    {"key": "region", "value": None, "why": "no field looks like it", "others": []},
    {"key": "currency", "value": {"code": "EUR", "path": "currency"}, "why": "by name", "others": []},
]
SHOWN = {
    "position": f"{TOPIC}[0] offset 7",
    "timestamp_ms": 1_764_300_000_000,
    "format": "JSON",
    "reason": "",
    "key": "c-1 *not bold*",
    "headers": [["trace", "1"]],
    "value": '{\n  "type": "order.created"\n}',
}
ROW = {
    "order_id": "o-1",
    "customer_id": "c-1",
    "product": "MUG",
    "price": "19.99 EUR",
    "created_at": "2026-01-27 10:00:00.000Z",
    "region": "unknown",
}


def trial(accepted: int, passed_over: int = 0, reasons: list[tuple[int, str]] | None = None) -> dict[str, Any]:
    reasons = reasons or []
    records = accepted + passed_over + sum(count for count, _ in reasons)
    return {
        "records": records,
        "accepted": accepted,
        "passed_over": passed_over,
        "rows": [ROW] * min(accepted, 20),
        "reasons": reasons,
    }


def sample(**changes: Any) -> dict[str, Any]:
    told = {
        "held": 1234,
        "cut": "",
        "records": 500,
        "formats": [["JSON", 500]],
        "unreadable": [],
        "told": ["Proposed from the newest 500 records: JSON (500)"],
        "guesses": GUESSES,
        "shown": [SHOWN],
        "in_file": None,
    }
    return told | changes


def said(elements: Any) -> str:
    """What these elements say, without what keeps Markdown from reading it."""
    return "\n".join(element.value.replace(":color[]", "").replace("\\", "") for element in elements)


class Connecting:
    """The page, and what a worker would answer."""

    def __init__(self, app: AppTest, database_file: Path) -> None:
        self.app = app
        self._file = database_file

    def asked(self) -> Lookup | None:
        with open_buffer(self._file) as buffer:
            return buffer.lookups.next(wall_clock_ms())

    def answer(self, kind: str, answer: Any = None, error: str = "") -> Lookup:
        """Answers the question that the page has asked, and draws the page again."""
        asked = self.asked()
        assert asked is not None
        assert asked.kind == kind
        with open_buffer(self._file) as buffer:
            buffer.lookups.answer(asked.id, None if error else json.dumps(answer), error, wall_clock_ms())
        self.app.run()
        assert not self.app.exception
        return asked

    def choose(self, topic: str = TOPIC) -> None:
        self.answer("topics", TOPICS)
        self.app.selectbox(key="connect_topic").set_value(topic).run()

    def cell(self, label: str) -> Any:
        return next(each for each in self.app.text_input if each.label == label)


@pytest.fixture
def connecting(open_app: OpenApp, database_file: Path, tmp_path: Path) -> Connecting:
    fill(database_file)
    (tmp_path / "mapping.toml").write_text("# Ours.\n")
    app = open_app(PAGE, mapping_file=str(tmp_path / "mapping.toml"), orders_topic=f"orders,{TOPIC}")
    return Connecting(app, database_file)


def test_topics_are_listed_with_what_is_known_of_them(connecting: Connecting) -> None:
    assert "worker asks Kafka" in page_text(connecting.app)
    connecting.answer("topics", TOPICS)
    box = connecting.app.selectbox(key="connect_topic")
    assert box.options == ["orders  ·  12 records  ·  Avro", f"{TOPIC}  ·  1,234 records  ·  JSON", "silent"]
    assert box.value is None
    assert connecting.asked() is None


def test_before_a_topic_is_chosen_the_page_says_what_to_do_and_what_comes_of_it(
    connecting: Connecting, tmp_path: Path
) -> None:
    # Not while there is nothing to choose from.
    assert not connecting.app.info
    connecting.answer("topics", TOPICS)
    assert "Choose the topic that holds your orders" in said(connecting.app.info)
    assert "sections of" not in said(connecting.app.caption)
    (tmp_path / "mapping.toml").write_text(
        '[topics."_web_"]\norder_id = "a"\ncustomer_id = "a"\nproduct = "a"\nprice = "a"\ncreated_at = "timestamp"\n'
    )
    connecting.app.run()
    assert "The mapping file has sections of: _web_." in said(connecting.app.caption)
    connecting.app.selectbox(key="connect_topic").set_value(TOPIC).run()
    assert "Choose the topic" not in said(connecting.app.info)
    assert "sections of" not in said(connecting.app.caption)


def test_where_there_is_no_topic_there_is_nothing_to_choose(connecting: Connecting) -> None:
    connecting.answer("topics", [])
    assert "No topic is there" in said(connecting.app.caption)
    assert not connecting.app.info


def test_why_kafka_says_nothing_is_told(connecting: Connecting) -> None:
    connecting.answer("topics", error="listing the topics: *no* answer")
    assert "*no* answer" in said(connecting.app.error)


def test_a_proposal_is_shown_beside_records_and_tried(connecting: Connecting) -> None:
    connecting.choose()
    connecting.answer("sample", sample())
    assert connecting.cell("Price").value == "order.total"
    assert connecting.cell("Price: options").value == 'unit = "minor"'
    assert connecting.cell("Customer").value == "order.customer, key"
    assert connecting.cell("Region").value == ""
    tried = connecting.answer("try", {"trial": trial(400, 90, [(10, "order.total is missing")])})
    section = json.loads(tried.params)["section"]
    assert parse_mappings(section.encode(), Path("m")).recipe(TOPIC) is not None
    assert [metric.value for metric in connecting.app.metric] == ["400", "90", "10"]
    assert "order.total is missing" in page_text(connecting.app)
    assert any("c-1 *not bold*" in code.value for code in connecting.app.code)


def test_what_is_edited_is_tried_and_saved(connecting: Connecting, tmp_path: Path) -> None:
    connecting.choose()
    connecting.answer("sample", sample())
    connecting.answer("try", {"trial": trial(400, 90)})
    connecting.cell("Price").set_value("sum(order.lines[].price)").run()
    assert connecting.app.button(key="connect_save").disabled
    connecting.answer("try", {"trial": trial(410, 90)})
    connecting.app.button(key="connect_save").click().run()
    assert any("Saved" in success.value for success in connecting.app.success)
    written = (tmp_path / "mapping.toml").read_text()
    assert written.startswith(f'# Ours.\n\n[topics."{TOPIC}"]\n')
    assert 'price = { path = "sum(order.lines[].price)", unit = "minor" }' in written
    assert "# order_id: by name; else: key" in written
    assert "# price" not in written


def test_options_that_cannot_be_read_are_told(connecting: Connecting) -> None:
    connecting.choose()
    connecting.answer("sample", sample())
    connecting.cell("Price: options").set_value("unit = minor").run()
    assert "price: options are written as in" in said(connecting.app.error)
    assert connecting.app.button(key="connect_save").disabled


def test_a_section_that_cannot_be_is_told_in_one_line(connecting: Connecting) -> None:
    connecting.choose()
    connecting.answer("sample", sample())
    connecting.answer("try", error="the mapping file: line 3: price: goes through a list")
    assert "goes through a list" in said(connecting.app.error)
    assert connecting.app.button(key="connect_save").disabled


def test_a_section_of_the_file_is_shown_before_the_proposal(connecting: Connecting) -> None:
    in_file = {"order_id": "theirs", "price": "p", "descriptor": "a.desc", "message": "Order"}
    connecting.choose()
    connecting.answer("sample", sample(in_file=in_file))
    assert connecting.cell("Order").value == "theirs"
    asked = connecting.asked()
    assert asked is not None
    assert 'descriptor = "a.desc"\nmessage = "Order"' in json.loads(asked.params)["section"]
    next(each for each in connecting.app.toggle if each.label == "Begin with the proposal").set_value(True).run()
    assert connecting.cell("Order").value == "order.id"


def test_a_file_that_cannot_be_written_is_told(connecting: Connecting, tmp_path: Path) -> None:
    connecting.choose()
    connecting.answer("sample", sample())
    connecting.answer("try", {"trial": trial(400, 90)})
    (tmp_path / "mapping.toml").unlink()
    (tmp_path / "mapping.toml").mkdir()
    connecting.app.button(key="connect_save").click().run()
    assert "cannot be read: Is a directory" in said(connecting.app.error)


def test_a_file_that_is_broken_already_stays_as_it_is(connecting: Connecting, tmp_path: Path) -> None:
    connecting.choose()
    connecting.answer("sample", sample())
    connecting.answer("try", {"trial": trial(400, 90)})
    (tmp_path / "mapping.toml").write_text("[topics.")
    connecting.app.button(key="connect_save").click().run()
    assert "is not valid TOML" in said(connecting.app.error)
    assert (tmp_path / "mapping.toml").read_text() == "[topics."


def test_another_currency_than_that_of_the_buffer_is_not_saved(connecting: Connecting, tmp_path: Path) -> None:
    yen = [each | {"value": {"code": "JPY"}} if each["key"] == "currency" else each for each in GUESSES]
    connecting.choose()
    connecting.answer("sample", sample(guesses=yen))
    connecting.answer("try", {"trial": trial(400, 90)})
    connecting.app.button(key="connect_save").click().run()
    assert "one buffer sums one currency" in said(connecting.app.error)
    assert (tmp_path / "mapping.toml").read_text() == "# Ours.\n"


def test_a_topic_that_is_not_read_says_what_to_set(connecting: Connecting) -> None:
    connecting.choose("silent")
    assert f"ORDERPULSE_ORDERS_TOPIC to orders,{TOPIC},^silent$" in said(connecting.app.warning)


def test_dead_letters_are_never_orders(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    connecting = Connecting(open_app(PAGE), database_file)
    connecting.answer("topics", [*TOPICS, {"name": "orders-dlq", "held": 1, "format": "Avro"}])
    connecting.app.selectbox(key="connect_topic").set_value("orders-dlq").run()
    assert any("never read as orders" in warning.value for warning in connecting.app.warning)


def test_read_only_asks_and_writes_nothing(open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    connecting = Connecting(open_app(PAGE, read_only="1"), database_file)
    assert any("read-only" in info.value for info in connecting.app.info)
    assert connecting.asked() is None
    assert not connecting.app.selectbox
