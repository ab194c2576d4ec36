"""Any cell in every format: read back it is the same, and no spreadsheet runs it."""

import csv
import io
import json
from base64 import b64decode

import pyarrow.parquet
from hypothesis import given
from hypothesis import strategies as st

from pipeline.buffer.entities import Column
from pipeline.exports import _WRITERS, FORMULA_STARTS, safe_text
from pipeline.headers import headers_to_json
from tests.fuzz.cases import cases

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["", "=1+1", "+1", "-1", "@x", "\t=1", "\r\n", "'", "''=", '"', ",", "＝1", "\x00", "\u2028"]
)
HEADERS = st.lists(st.tuples(TEXT, st.none() | st.binary(max_size=9)), max_size=4).map(headers_to_json)
COLUMNS = (
    Column("id", "integer"),
    Column("share", "real"),
    Column("reason", "text"),
    Column("headers", "json"),
    Column("key", "bytes"),
)
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.none() | TEXT,
        st.none() | HEADERS,
        st.none() | st.binary(max_size=30),
    ),
    min_size=1,
    max_size=4,
)


def written(format, rows):
    out = io.BytesIO()
    assert _WRITERS[format](COLUMNS, iter([rows]), out, None) == (len(rows), False)
    return out.getvalue()


def taken_back(text):
    return text.removeprefix("'")


@cases(8_000)
@given(rows=ROWS)
def test_csv_is_read_back_by_the_csv_module_and_no_cell_is_a_formula(rows):
    header, *cells = csv.reader(io.StringIO(written("csv", rows).decode(), newline=""))
    assert header == ["id", "share", "reason", "headers", "key_base64"]
    assert len(cells) == len(rows)
    for (number, share, reason, headers, key), cell in zip(rows, cells, strict=True):
        assert cell[0] == ("" if number is None else str(number))
        assert cell[1] == "" if share is None else float(cell[1]) == share
        assert taken_back(cell[2]) == (reason or "")
        assert taken_back(cell[3]) == (headers or "")
        assert b64decode(taken_back(cell[4])) == (key or b"")
        assert not any(text.startswith(FORMULA_STARTS) for text in cell[2:])


@cases(20_000)
@given(text=st.text())
def test_safe_text_is_no_formula_and_gives_the_text_back(text):
    assert not safe_text(text).startswith(FORMULA_STARTS)
    assert safe_text(text).removeprefix("'") == text


@cases(8_000)
@given(rows=ROWS)
def test_json_lines_are_read_back_as_the_same_cells(rows):
    lines = written("jsonl", rows).decode().split("\n")
    assert lines.pop() == ""
    assert len(lines) == len(rows)
    for (number, share, reason, headers, key), line in zip(rows, lines, strict=True):
        cell = json.loads(line)
        assert (cell["id"], cell["share"], cell["reason"]) == (number, share, reason)
        assert cell["headers"] == (None if headers is None else json.loads(headers))
        assert (None if cell["key_base64"] is None else b64decode(cell["key_base64"])) == key


@cases(1_000)
@given(rows=ROWS)
def test_parquet_is_read_back_as_the_same_cells(rows):
    table = pyarrow.parquet.read_table(io.BytesIO(written("parquet", rows)))
    assert list(zip(*(column.to_pylist() for column in table.columns), strict=True)) == rows
