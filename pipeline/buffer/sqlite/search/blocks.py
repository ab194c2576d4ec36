"""Reads what is kept of dead letters by the block, so that most queries look at no row: see columns.py."""

from __future__ import annotations

import sqlite3

from pipeline.buffer.sqlite.search.columns import BLOCK_BITS, Column

THERE = "there"
"""The column that says which letters of a block are there."""
HOUR = "hour"
"""The column with the hours since 1970 in which they failed, as texts."""


class Blocks:
    """The blocks as they are in the transaction that is open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        numbers = connection.execute("SELECT block FROM dead_letter_blocks WHERE field = ?", (THERE,))
        self.numbers = frozenset(number for (number,) in numbers)
        """Those that are kept. Of all other dead letters only their rows tell."""
        # What was changed since is told by rows too.
        self._changed = frozenset(connection.execute("SELECT block, field FROM dead_letter_block_changes").fetchall())

    def is_certain(self, number: int) -> bool:
        """Whether all of its letters are still there."""
        return (number, THERE) not in self._changed

    def column(self, number: int, field: str) -> Column | None:
        """A column as it is now; None where only rows tell it."""
        if (number, field) in self._changed:
            return None
        row = self._connection.execute(
            "SELECT kind, meaning, codes FROM dead_letter_blocks WHERE (block, field) = (?, ?)", (number, field)
        ).fetchone()
        return None if row is None else Column(*row)

    def there(self, number: int) -> bytes:
        """A byte a letter: 1 for those that were there when the block was written. Empty: all of them."""
        row = self._connection.execute(
            "SELECT codes FROM dead_letter_blocks WHERE (block, field) = (?, ?)", (number, THERE)
        ).fetchone()
        return bytes(row[0])


def block_of(identifier: int) -> int:
    """The number of the block that a dead letter is in."""
    return identifier >> BLOCK_BITS


def ends_of(connection: sqlite3.Connection) -> tuple[int | None, int | None]:
    """The least and the greatest id of all dead letters; None when there are none."""
    # Asked for in one SELECT, both are looked for in every row.
    row = connection.execute(
        "SELECT (SELECT min(id) FROM dead_letter_rows), (SELECT max(id) FROM dead_letter_rows)"
    ).fetchone()
    return row[0], row[1]
