"""Inserts many rows a statement.

SQLite works without the interpreter's lock, but each statement has to get it back, and waits for it as long as another
thread calculates: with 3,000 rows a statement the processor catches up by a tenth faster than with 1,000. Many rows a
statement also cost a quarter less than one each.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

ROWS_AT_ONCE = (3000, 1000, 300, 100, 30, 10, 3, 1)
"""3,000 rows leave the lock free for some milliseconds at a time. Of what remains, few statements are left, too."""

MAX_ARGUMENTS = 32_766
"""SQLite takes no more in one statement."""


class BulkInsert:
    """`INSERT INTO table (columns) VALUES …` for any number of rows, with `rest` after the values."""

    def __init__(self, table: str, columns: Sequence[str], rest: str = "") -> None:
        cells = len(columns)
        names = ", ".join(f'"{name}"' for name in columns)
        row = f"({', '.join('?' * cells)})"
        self._statements = [
            (rows * cells, f"INSERT INTO {table} ({names}) VALUES {', '.join([row] * rows)} {rest}")
            for rows in (min(rows, MAX_ARGUMENTS // cells) for rows in ROWS_AT_ONCE)
        ]

    def insert(self, connection: sqlite3.Connection, rows: Iterable[Iterable[Any]]) -> list[Any]:
        """Inserts the rows in their order; each has a cell for every column. Returns what `rest` has them return."""
        returned: list[Any] = []
        cells = list(chain.from_iterable(rows))
        begin, end = 0, len(cells)
        for at_once, statement in self._statements:
            while end - begin >= at_once:
                returned += connection.execute(statement, cells[begin : begin + at_once])
                begin += at_once
        return returned
