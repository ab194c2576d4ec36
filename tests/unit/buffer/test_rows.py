"""A row's columns and its cells come from one list of names, so that none can shift another."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from pipeline.buffer.sqlite.bulk_insert import BulkInsert
from pipeline.buffer.sqlite.rows import RowsOf, json_cells
from pipeline.records import Headers


class Kept(NamedTuple):
    key: bytes | None
    headers: Headers
    offset: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The same columns as Kept's, in another order, and one that is calculated."""

    offset: int
    doubled: int
    headers: Headers


KEPT = Kept(b"\xff", (("a", b"1"), ("a", None), ("b", b"\xfe")), 7)


@pytest.fixture
def connection():
    with closing(sqlite3.connect(":memory:")) as opened:
        # In no order that a type has its fields in.
        opened.execute('CREATE TABLE kept (headers TEXT, "offset" INTEGER, key BLOB, more TEXT)')
        yield opened


def test_what_is_stored_by_its_names_is_read_by_its_names_whatever_the_order_of_the_tables_columns(connection):
    rows = RowsOf(Kept)
    BulkInsert("kept", (*rows.names, "more")).insert(connection, [(*rows.cells(KEPT), "more")])
    assert rows.read_all(connection.execute(f"SELECT {rows.sql} FROM kept")) == [KEPT]
    seen = RowsOf(Seen, doubled="2 * offset")
    assert seen.read(connection.execute(f"SELECT {seen.sql} FROM kept").fetchone()) == Seen(7, 14, KEPT.headers)


def test_an_expression_for_a_field_that_is_none_is_refused():
    with pytest.raises(TypeError, match="tripled"):
        RowsOf(Seen, tripled="3 * offset")


def test_a_row_with_a_cell_too_many_is_refused():
    with pytest.raises(TypeError):
        RowsOf(Kept).read((b"", "[]", 1, "more"))


def test_fields_of_tuples_in_a_json_array_are_found_by_their_names(connection):
    sql = json_cells(Kept)
    (found,) = connection.execute(f"SELECT {sql['offset']} FROM json_each(?)", ('[[null, "h", 9]]',)).fetchall()
    assert found == (9,)
