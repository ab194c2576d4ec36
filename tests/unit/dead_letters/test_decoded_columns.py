"""Exports of dead letters with what they hold: decoded, and by paths, with every digit, whatever the format."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from pipeline.__main__ import main
from pipeline.buffer import Reader
from pipeline.dead_letters.payload_paths import cell_text, parse_payload_path, paths_in
from pipeline.errors import UsageError
from pipeline.orders.mapping.paths import RecordValue
from pipeline.orders.mapping.values import JsonNumber
from tests.support.letters import add_letters
from tests.support.order_recordings import all_registered, order_recordings
from tests.support.stand_in_registry import COMPATIBLE, StandInRegistry

DIGITS = "12345678901234567890.123456789012345678901234567890"
VALUE = f'{{"order": {{"id": "=1+1", "total": {DIGITS}, "lines": [{{"sku": "A"}}, {{"sku": "B"}}]}}, "n": -5}}'.encode()
Export = Callable[..., bytes]


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Export:
    """Runs the command; gives what it wrote."""
    monkeypatch.setenv("ORDERPULSE_DATA_DIR", str(tmp_path))

    def run(*options: str, entity: str = "dead-letters", code: int = 0) -> bytes:
        out = tmp_path / "out"
        assert main(["export", entity, *options, "--out", str(out)]) == code
        return out.read_bytes() if out.exists() else b""

    add_letters(tmp_path / "orderpulse.db", 1, value=VALUE, key=b'{"id": 1.10}', headers=())
    return run


def test_json_lines_hold_the_decoded_parts_as_json_with_all_digits(export: Export) -> None:
    text = export("--format", "jsonl", "--decoded").decode()
    (line,) = [json.loads(each, parse_float=Decimal) for each in text.splitlines()]
    assert line["decoded_value"]["order"]["total"] == Decimal(DIGITS)
    assert line["decoded_key"] == {"id": Decimal("1.10")}
    assert line["value_format"] == "JSON"
    assert f'"total":{DIGITS}' in text


def test_paths_have_columns_of_their_own_in_every_format(export: Export) -> None:
    paths = ("order.total", "value.order.id", "key.id", "n", "order.lines[].sku", "order.lines[0]", "gone.there")
    columns = ("value.order.total", "value.order.id", "key.id", "value.n", "value.order.lines[].sku")
    options = ("--columns", *paths)
    line = json.loads(export("--format", "jsonl", *options), parse_float=Decimal)
    assert [line[name] for name in columns] == [Decimal(DIGITS), "=1+1", Decimal("1.10"), -5, ["A", "B"]]
    assert line["value.gone.there"] is None
    assert "decoded_value" not in line
    (row,) = csv.DictReader(io.StringIO(export("--format", "csv", *options).decode(), newline=""))
    assert [row[name] for name in columns] == [DIGITS, "'=1+1", "1.10", "-5", '["A","B"]']
    assert (row["value.order.lines[0]"], row["value.gone.there"]) == ('{"sku":"A"}', "")
    table = pyarrow.parquet.read_table(io.BytesIO(export("--format", "parquet", *options)))
    assert [table[name].to_pylist()[0] for name in columns] == [DIGITS, "=1+1", "1.10", "-5", '["A","B"]']
    assert table["value.gone.there"].to_pylist() == [None]


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_decoded_parts_are_text_that_holds_json_elsewhere(export: Export, format_: str) -> None:
    written = export("--format", format_, "--decoded")
    if format_ == "csv":
        (row,) = csv.DictReader(io.StringIO(written.decode(), newline=""))
    else:
        (row,) = pyarrow.parquet.read_table(io.BytesIO(written)).to_pylist()
    assert json.loads(row["decoded_value"], parse_float=Decimal)["order"]["total"] == Decimal(DIGITS)
    assert json.loads(row["decoded_key"], parse_float=str) == {"id": "1.10"}


@pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet"])
def test_the_columns_of_before_stay_as_they_are(export: Export, format_: str) -> None:
    def columns(*options: str) -> list[str]:
        written = export("--format", format_, *options)
        if format_ == "csv":
            return next(csv.reader(io.StringIO(written.decode())))
        if format_ == "jsonl":
            return list(json.loads(written))
        names: list[str] = pyarrow.parquet.read_table(io.BytesIO(written)).column_names
        return names

    plainly = columns()
    assert columns("--decoded", "--columns", "n") == [
        *plainly,
        "value_format",
        "decoded_key",
        "decoded_value",
        "value.n",
    ]


def test_every_recorded_stream_is_exported_decoded(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = order_recordings()
    for recording in recorded.values():
        record = recording.records[0].record
        add_letters(
            tmp_path / "orderpulse.db",
            1,
            source_topic=recording.topic,
            value=record.value,
            key=record.key,
            headers=record.headers,
        )
    with StandInRegistry(all_registered()) as registry:
        monkeypatch.setenv("ORDERPULSE_SCHEMA_REGISTRY_URL", f"{registry.url}{COMPATIBLE}")
        text = export("--format", "jsonl", "--decoded").decode()
    lines = {line["source_topic"]: line for line in map(json.loads, text.splitlines())}
    formats = {topic: line["value_format"] for topic, line in lines.items()}
    assert formats["confluent-avro-prefix"] == "Avro, shop.Order, schema id 100001"
    assert formats["confluent-protobuf-nested-header"].startswith("Protobuf, shop.checkout.Checkout.Order, schema GUID")
    assert formats["apicurio-avro-json-headers"].startswith("Avro, shop.Order, Apicurio content id")
    # These need the section of a mapping file, or a file in the schemas folder.
    in_hex = {topic for topic, line in lines.items() if line["value_format"] == "hex"}
    assert in_hex == {"glue-avro", "glue-avro-zlib", "avro-java-single", "python-avro-single", "python-protobuf"}


def test_a_registry_that_does_not_answer_is_waited_for_once(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for schema_id in range(1, 30):
        add_letters(tmp_path / "orderpulse.db", 1, value=b"\0" + schema_id.to_bytes(4, "big") + b"\xff", headers=())
    monkeypatch.setenv("ORDERPULSE_SCHEMA_REGISTRY_URL", "http://127.0.0.1:9")
    lines = export("--format", "jsonl", "--decoded").splitlines()
    assert len(lines) == 30
    said = capsys.readouterr().err
    assert said.count("127.0.0.1:9") == 1
    assert "decoded without the registry: the schema registry at http://127.0.0.1:9 does not answer" in said


@pytest.mark.parametrize(
    ("options", "entity", "why"),
    [
        (("--columns", "a..b"), "dead-letters", "'a..b' is no path: it goes wrong at character 3"),
        (("--columns", "a"), "orders", "--decoded and --columns are of dead letters"),
        (("--decoded",), "orders", "--decoded and --columns are of dead letters"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    export: Export, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], entity: str, why: str
) -> None:
    assert export(*options, entity=entity, code=1) == b""
    assert why in capsys.readouterr().err


# ---- paths


@pytest.mark.parametrize(
    ("text", "written", "found"),
    [
        ("order.id", "value.order.id", 7),
        ("value.order.id", "value.order.id", 7),
        (' order."odd name" ', 'value.order."odd name"', "x"),
        ("value", "value", None),
        ("value.key", 'value."key"', "k"),
        ("keys", "value.keys", [1]),
        ("keys[-1]", "value.keys[-1]", 1),
        ("order.id.more", "value.order.id.more", None),
        ("@type", "value.@type", "shop.Order"),
    ],
)
def test_a_path_goes_into_the_value(text: str, written: str, found: Any) -> None:
    value = RecordValue({"order": {"id": 7, "odd name": "x"}, "key": "k", "keys": [1]}, "shop.Order")
    path = parse_payload_path(text)
    assert (path.part, str(path)) == ("value", written)
    assert path.of(value) == (value if text == "value" else found)
    assert parse_payload_path(written) == path


def test_a_path_that_begins_with_key_goes_into_the_key() -> None:
    path = parse_payload_path("key.id")
    assert (path.part, str(path), path.of({"id": 1})) == ("key", "key.id", 1)
    assert str(parse_payload_path("key[0]")) == "key[0]"
    assert str(parse_payload_path("key")) == "key"
    with pytest.raises(UsageError, match="is no path"):
        parse_payload_path("key.")
    with pytest.raises(UsageError, match="is no path"):
        parse_payload_path("")


def test_cells_of_a_table_are_text_with_all_digits() -> None:
    assert [cell_text(each) for each in (None, "a", JsonNumber("1.10"), 5, True, ["x", JsonNumber("2.0")])] == [
        None,
        "a",
        "1.10",
        "5",
        "true",
        '["x",2.0]',
    ]
    assert len(cell_text(["x" * 100] * 1000) or "") < 2_200


def test_paths_to_single_values_are_suggested() -> None:
    values = [{"a": {"b": 1}, "l": [{"c": 2}]}, {"key": "k", "value": {"x": 1}, "e": []}]
    assert paths_in(values, 10) == ["a.b", "l[0].c", '"key"', "value.value.x"]
    assert paths_in([{f"f{number}": 1 for number in range(100)}], 3) == ["f0", "f1", "f2"]
    for text in paths_in(values, 10):
        assert any(parse_payload_path(text).of(value) is not None for value in values)


def test_the_buffer_tells_what_some_dead_letters_hold_but_for_large_ones(tmp_path: Path) -> None:
    add_letters(tmp_path / "orderpulse.db", 2, value=VALUE, key=b"k", headers=(("a", b"\xff"), ("b", None)))
    add_letters(tmp_path / "orderpulse.db", 1, value=b"x" * 5_000, key=None)
    with Reader(tmp_path / "orderpulse.db") as reader:
        found = reader.payloads([1, 3, 99], 1_000)
    assert sorted(found) == [1, 3]
    assert (found[1].key, found[1].value, found[1].headers) == (b"k", VALUE, (("a", b"\xff"), ("b", None)))
    assert (found[1].source_topic, found[1].left_out_bytes) == ("orders", 0)
    assert (found[3].value, found[3].headers) == (None, ())
    assert found[3].left_out_bytes > 5_000
