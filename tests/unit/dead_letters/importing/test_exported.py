"""A line of an export, and what is refused of it: with the field, and what was expected there."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from pipeline.buffer import columns_of
from pipeline.dead_letters.importing.exported import letter_of_line
from pipeline.dead_letters.importing.refusals import RefusedError
from pipeline.exports import export_all
from tests.support.sample_buffer import fill

NAMES = [column.name for column in columns_of("dead_letters")]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An exported dead letter of ours, with an order in it."""
    path: Path = tmp_path_factory.mktemp("buffer") / "orderpulse.db"
    fill(path, orders=0, dead_letters=6, parked=0)
    out = BytesIO()
    export_all(path, "dead_letters", None, "jsonl", out)
    lines = map(json.loads, out.getvalue().splitlines())
    return next(each for each in lines if each["order_id"] is not None)


def test_cells_are_as_the_buffer_stores_them(line: dict[str, Any]) -> None:
    row = dict(zip(NAMES, letter_of_line(json.dumps(line).encode()).row, strict=True))
    assert row["headers"] == (
        '[["orderpulse.reason", "price is -105 cents, must be positive"], ["trace", {"base64": "/w=="}], '
        '["empty", null]]'
    )
    assert (row["key"], row["order_id"], row["id"]) == (b"C0005", line["order_id"], line["id"])


def test_fields_of_an_order_are_known_by_their_place_where_a_mapping_called_them_otherwise(
    line: dict[str, Any],
) -> None:
    called = {"order_id": "Basket", "price_cents": "Total (minor units)"}
    renamed = {called.get(name, name): value for name, value in line.items()}
    assert letter_of_line(json.dumps(renamed).encode()) == letter_of_line(json.dumps(line).encode())


def test_a_field_that_cannot_be_told_is_refused(line: dict[str, Any]) -> None:
    renamed = {"Basket" if name == "order_id" else name: line[name] for name in line if name != "price_cents"}
    with pytest.raises(RefusedError, match="field 'Basket': which of an order's order_id, price_cents it is"):
        letter_of_line(json.dumps(renamed).encode())


def test_an_export_of_another_version_may_have_fewer_columns_or_more(line: dict[str, Any]) -> None:
    fewer = {name: line[name] for name in line if name not in ("concluded", "failed_at_known", "rule", "replays")}
    row = dict(zip(NAMES, letter_of_line(json.dumps(fewer | {"new": {}}).encode()).row, strict=True))
    assert (row["concluded"], row["failed_at_known"], row["rule"], row["replays"]) == (0, 1, None, 0)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"attempts": "three"}, "field attempts: expected a whole number of 64 bits, found 'three'"),
        ({"attempts": 1 << 63}, "field attempts: expected a whole number of 64 bits, found 9223372036854775808"),
        ({"attempts": 1.0}, "field attempts: expected a whole number of 64 bits, found 1.0"),
        ({"partition": True}, "field partition: expected a whole number of 64 bits, found True"),
        ({"id": 0}, "field id: expected a number from 1 to 9007199254740992, found 0"),
        ({"id": None}, "field id: expected a whole number of 64 bits, found null"),
        ({"reason": None}, "field reason: expected text, found null"),
        ({"reason": ["<b>"]}, "field reason: expected text, found ['<b>']"),
        ({"reason": "half \ud800"}, "field reason: expected Unicode, found '\\ud800'"),
        ({"status": "lost"}, "field status: expected one of open, replaying, replayed, recovered, dead_again, discar"),
        ({"failed_at_ms": -1}, "field failed_at_ms: expected milliseconds since 1970, before the year 9999, found -1"),
        ({"concluded": 2}, "field concluded: expected 0 or 1, found 2"),
        ({"dead_letter_id": "a\0"}, "field dead_letter_id: expected the name of a dead letter, found 'a\\x00'"),
        ({"key_base64": "?"}, "field key_base64: expected base64, found something else"),
        ({"value_base64": 1}, "field value_base64: expected base64 or null, found 1"),
        ({"headers": {}}, "field headers: expected an array of names and values, found {}"),
        ({"headers": [["a"]]}, "field headers[0]: expected a name and a value, found ['a']"),
        ({"headers": [["a", 1]]}, "field headers[0][1]: expected text, found 1"),
        ({"headers": [["a", {"base64": "!"}]]}, "field headers[0][1].base64: expected base64, found something else"),
    ],
)
def test_a_cell_that_cannot_be_is_refused_with_its_field(
    line: dict[str, Any], change: dict[str, Any], why: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        letter_of_line(json.dumps(line | change).encode())
    assert str(refused.value).startswith(why)


def test_a_column_that_has_to_be_there_is_named(line: dict[str, Any]) -> None:
    without = {name: value for name, value in line.items() if name != "received_at_ms"}
    with pytest.raises(RefusedError, match="field received_at_ms: expected, as an export of dead letters has it"):
        letter_of_line(json.dumps(without).encode())


def test_a_line_that_is_no_utf_8_is_refused_with_the_byte() -> None:
    with pytest.raises(RefusedError, match="byte 3: is not UTF-8"):
        letter_of_line(b'{"\xff": 1}')
