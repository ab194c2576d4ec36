"""Rows that a step of layouts may have left without the row that they refer to; all others are not looked at.

To look at all rows of a large buffer takes longer than roles may take to start.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

_REFERENCES = (
    'SELECT DISTINCT child.name, parent."table" FROM sqlite_master AS child '
    "JOIN pragma_foreign_key_list(child.name) AS parent WHERE child.type = 'table' ORDER BY 1"
)


class Orphan(NamedTuple):
    """A table with a row that refers to one that is not there, and the table in which that is missing."""

    child: str
    parent: str


class Touched:
    """The tables whose rows statements change."""

    def __init__(self) -> None:
        self._filled: set[str] = set()
        self._taken_from: set[str] = set()

    def note(self, action: int, table: str | None, *_: str | None) -> int:
        """What SQLite calls for each table that a statement touches, a table that it drops included."""
        if table is not None and action in (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE):
            self._filled.add(table)
        if table is not None and action in (sqlite3.SQLITE_DELETE, sqlite3.SQLITE_UPDATE):
            self._taken_from.add(table)
        return sqlite3.SQLITE_OK

    def orphan(self, connection: sqlite3.Connection) -> Orphan | None:
        """The first that was found of what may have been left."""
        references = connection.execute(_REFERENCES).fetchall()
        children = [child for child, parent in references if child in self._filled or parent in self._taken_from]
        for child in dict.fromkeys(children):
            found = connection.execute(f'PRAGMA foreign_key_check("{child}")').fetchone()
            if found is not None:
                return Orphan(child, found[2])
        return None


@contextmanager
def touched_by(connection: sqlite3.Connection) -> Iterator[Touched]:
    """The tables that statements touch inside of this context."""
    touched = Touched()
    connection.set_authorizer(touched.note)
    try:
        yield touched
    finally:
        connection.set_authorizer(None)
