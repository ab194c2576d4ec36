"""Sections as text: what people edit is what the file says, and all else in the file stays as it is."""

from __future__ import annotations

import stat
import tomllib
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import MappingFileError, RuleBrokenError, UsageError
from pipeline.orders.mapping.paths import EACH, Path
from pipeline.orders.mapping.sources import HeaderSource, RecordSource, parse_source
from pipeline.orders.mapping.values import Instant, JsonNumber
from pipeline.orders.proposing.cells import Cells, section_of_cells
from pipeline.orders.proposing.edited_file import edited, with_section, write_whole
from pipeline.orders.proposing.section_text import comment, condition_text, source_text, toml_text, toml_value
from pipeline.orders.proposing.shown import SHOWN_CHARACTERS, key_text, value_text
from pipeline.orders.proposing.trial import try_records
from pipeline.orders.rules import Rules
from pipeline.records import Currency, Order, PassedOver
from tests.support.order_shapes import record

NEW = '[topics."a"]\norder_id = "new"\n'
FILE = """# Ours, and who asks: the shop's team.
[labels]
product = "SKU"

# About a.
[topics."a"]
order_id = "x"  # within
price = [
  "y",  # two
  "z",
]

# About b.
[topics.b]
order_id = "k"
[topics.b.price]
path = "q"
# At the end.
"""


# ---- sources


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (Path(("order", "id")), "order.id"),
        (Path(("key",)), '"key"'),
        (Path(("timestamp",)), '"timestamp"'),
        (Path(("key", "id")), "key.id"),
        (Path(("a.b", 'c"d')), '"a.b"."c\\"d"'),
        (Path(("lines", EACH, "price")), "lines[].price"),
        (Path(("header:x",)), '"header:x"'),
        (HeaderSource("ce_type"), "header:ce_type"),
        (HeaderSource("a b"), 'header:"a b"'),
        (RecordSource("key"), "key"),
        (RecordSource("timestamp"), "timestamp"),
    ],
)
def test_a_source_is_written_so_that_it_is_read_as_itself(source: Any, text: str) -> None:
    assert source_text(source) == text
    assert parse_source(text) == source


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4))
def test_whatever_a_field_is_called_it_is_written_right_or_not_at_all(names: list[str]) -> None:
    text = source_text(Path(tuple(names)))
    assert text is None or parse_source(text) == Path(tuple(names))


def test_a_condition_names_a_field_whatever_it_is_called_or_is_not_proposed() -> None:
    assert condition_text(Path(("type",)), ["a", 'b"c']) == 'type in ["a", "b\\"c"]'
    assert condition_text(Path(("a b",)), ["x"]) == '"a b" == "x"'
    assert condition_text(Path(("in",)), ["x"]) == '"in" == "x"'
    assert condition_text(Path(("type",)), ["a\x07"]) is None


@given(st.text(max_size=30))
def test_texts_are_written_as_toml_reads_them(text: str) -> None:
    assert tomllib.loads(f"x = {toml_text(text)}")["x"] == text


def test_comments_are_broken_into_lines_and_hold_no_control_characters() -> None:
    lines = comment("word " * 60 + "\x1b[31m\n").splitlines()
    assert len(lines) > 1
    assert all(line.startswith("# ") and line.isprintable() for line in lines)


# ---- cells


@pytest.mark.parametrize(
    ("key", "value", "source", "options"),
    [
        ("where", 'a == "x, y"', 'a == "x, y"', ""),
        ("order_id", "order.id", "order.id", ""),
        ("customer_id", ["a", '"b, c".d'], 'a, "b, c".d', ""),
        ("product", {"path": "l[].sku", "line": "dearest"}, "l[].sku", 'line = "dearest"'),
        ("product", {"constant": "x"}, "", 'constant = "x"'),
        ("price", {"path": "sum(a[].b * a[].c)", "float": True}, "sum(a[].b * a[].c)", "float = true"),
        ("currency", {"code": "EUR", "path": "c"}, "c", 'code = "EUR"'),
        ("currency", {"code": "EUR"}, "", 'code = "EUR"'),
        ("region", None, "", ""),
    ],
)
def test_cells_show_a_value_and_say_it_again(key: str, value: Any, source: str, options: str) -> None:
    cells = Cells.of(value)
    assert cells == Cells(source, options)
    assert cells.value(key) == value


def test_cells_make_a_section_with_comments_and_what_no_cell_has() -> None:
    cells = {"order_id": Cells("a"), "price": Cells("b", 'unit = "minor"'), "region": Cells()}
    text = section_of_cells("t", cells, {"price": "price: by name"}, ["Proposed."], {"message": "Order"})
    assert text == (
        '[topics."t"]\n# Proposed.\norder_id = "a"\n# price: by name\nprice = { path = "b", unit = "minor" }\n'
        'message = "Order"\n'
    )


@pytest.mark.parametrize("options", ["unit = minor", "}", 'a = "b" c', "{", "x = 1\n[y]"])
def test_options_that_are_none_are_refused_in_one_line(options: str) -> None:
    with pytest.raises(UsageError, match="^price: options are written as in .*$"):
        Cells("a", options).value("price")


# ---- the file


def test_a_section_takes_the_place_of_the_one_before() -> None:
    after = with_section(FILE, "a", NEW)
    assert after == FILE.replace(FILE[FILE.index('[topics."a"]') : FILE.index("\n# About b.")], NEW)


def test_a_section_of_several_tables_goes_as_a_whole() -> None:
    after = with_section(FILE, "b", NEW)
    assert after == FILE[: FILE.index("[topics.b]")] + NEW + "# At the end.\n"


def test_a_section_of_another_topic_comes_at_the_end() -> None:
    assert with_section(FILE, "c", NEW) == f"{FILE}\n{NEW}"
    assert with_section(FILE.rstrip("\n"), "c", NEW) == f"{FILE}\n{NEW}"
    assert with_section("", "c", NEW) == NEW


@pytest.mark.parametrize(
    "text",
    [
        'topics.c.order_id = "x"\n',
        'topics = { c = { order_id = "x" } }\n',
        '[topics]\nc.order_id = "x"\n',
        "[topics]\nc = {}\n",
        '[topics.c]\norder_id = "x"\n[topics.d]\nprice = "p"\n[topics.c.price]\npath = "x"\n',
    ],
)
def test_a_section_in_another_form_is_left_to_a_person(text: str) -> None:
    with pytest.raises(UsageError, match="edit it by hand"):
        with_section(text, "c", NEW)


SECTION = '[topics."a"]\norder_id = "o"\ncustomer_id = "key"\nproduct = "p"\nprice = "x"\ncreated_at = "timestamp"\n'


def test_what_would_be_no_mapping_file_is_not_written(tmp_path: FilePath) -> None:
    path = tmp_path / "mapping.toml"
    with pytest.raises(MappingFileError, match="order_id"):
        edited(path, "a", '[topics."a"]\nprice = "x"\n')
    path.write_text("[broken")
    with pytest.raises(MappingFileError, match="not valid TOML"):
        edited(path, "a", SECTION)
    assert path.read_text() == "[broken"


def test_a_file_is_written_whole_and_keeps_its_mode_and_its_link(tmp_path: FilePath) -> None:
    path, link = tmp_path / "mapping.toml", tmp_path / "link.toml"
    content, mapped = edited(path, "a", SECTION)
    write_whole(path, content)
    assert mapped.recipe("a") is not None
    assert path.read_text() == SECTION
    path.chmod(0o640)
    link.symlink_to(path)
    write_whole(link, b"# new\n")
    assert link.is_symlink()
    assert path.read_bytes() == b"# new\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_a_file_that_cannot_be_written_is_told_in_one_line(tmp_path: FilePath) -> None:
    with pytest.raises(MappingFileError, match=r"^the mapping file .*gone/mapping.toml cannot be written: [^\n]+$"):
        write_whole(tmp_path / "gone" / "mapping.toml", b"")


# ---- what people see


def test_a_value_is_shown_with_the_digits_that_it_came_with() -> None:
    value = {"a": JsonNumber("1.10"), "b": Decimal("2.50"), "c": "1.10", "d": Instant(5, 1000), "e": b"\xff", "f": None}
    text = value_text(value, b"")
    assert '"a": 1.10,' in text
    assert '"b": 2.50,' in text
    assert '"c": "1.10",' in text
    assert '"e": "ff"' in text
    assert '"f": null' in text


def test_long_values_are_cut_and_say_so() -> None:
    text = value_text({f"field {number}": "x" * 400 for number in range(100)}, b"")
    assert len(text) < SHOWN_CHARACTERS + 50
    assert "letters" in text
    assert value_text([{"n": number} for number in range(50)], b"").count('"n"') == 20
    assert "of 900 bytes" in key_text(b"\xff" * 900)
    assert (key_text(None), key_text(b""), key_text(b"c-1")) == ("null", "", "c-1")


# ---- trying


ORDER = Order("o", "c", "p", 1999, 1_764_300_000_123, "EU")


EUROS = Currency("EUR")


class OnlyCheap(Rules):
    def __init__(self) -> None:
        super().__init__([])

    def check(self, order: Order, now_ms: int, currency: Currency = EUROS) -> None:
        if order.price_cents > 100_000:
            raise RuleBrokenError(f"price {order.price_cents} is too high", "price")


def test_a_trial_counts_each_reason_once_and_shows_twenty_orders() -> None:
    def read(each: Any) -> Order | PassedOver:
        number = each.position.offset
        if number % 5 == 4:
            return PassedOver("no order")
        return Order("o", "c", "p", 200_000 + number if number % 5 == 3 else 1999, 1_764_300_000_123, "EU")

    records = [record(number, {}) for number in range(100)]
    trial = try_records(records, read, OnlyCheap(), Currency("JPY", 0), lambda reason: reason[:5], 0)
    assert (trial.records, trial.accepted, trial.passed_over, trial.refused) == (100, 60, 20, 20)
    assert trial.reasons == [(20, "price 200003 is too high")]
    assert len(trial.rows) == 20
    assert trial.rows[0]["price"] == "1999 JPY"
    assert trial.rows[0]["created_at"] == "2025-11-28 03:20:00.123Z"


def test_a_table_in_braces_is_read_again() -> None:
    value = {"path": ["a", "b"], "default": 'x"y', "float": True, "base64_scale": 2}
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value
