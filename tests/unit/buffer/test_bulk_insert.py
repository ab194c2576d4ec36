"""Many rows a statement are the same rows as one each."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.buffer.sqlite.bulk_insert import MAX_ARGUMENTS, BulkInsert

PAIRS = BulkInsert("pairs", ("number", "text"))


def stored(rows):
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE pairs (number INTEGER, text TEXT)")
        PAIRS.insert(connection, rows)
        return connection.execute("SELECT * FROM pairs ORDER BY rowid").fetchall()


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.one_of(st.none(), st.text("aé'\"?;")))))
def test_rows_of_any_number_are_stored_in_their_order(rows):
    assert stored(rows) == rows


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 99, 100, 999, 1000, 1001, 2345])
def test_no_row_is_left_out_between_statements_of_different_sizes(count):
    rows = [(number, str(number)) for number in range(count)]
    assert stored(rows) == rows


def test_a_statement_never_has_more_arguments_than_sqlite_takes():
    cells = 40
    rows = [(number, *["x"] * (cells - 1)) for number in range(2345)]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, MAX_ARGUMENTS)
        columns = [f"c{cell}" for cell in range(cells)]
        connection.execute(f"CREATE TABLE wide ({', '.join(columns)})")
        BulkInsert("wide", columns).insert(connection, rows)
        assert connection.execute("SELECT * FROM wide ORDER BY rowid").fetchall() == rows
