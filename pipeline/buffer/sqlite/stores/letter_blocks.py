"""Writes what is kept of dead letters by the block: once all letters of a block are there, and again when some changed.

What is read takes no lock. A trigger counts the changes of each column: those that came meanwhile are not forgotten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.buffer.sqlite.connection import WriterConnection, atomic, reading, snapshot
from pipeline.buffer.sqlite.search.blocks import HOUR, THERE, block_of, ends_of
from pipeline.buffer.sqlite.search.columns import (
    BLOCK,
    BLOCK_BITS,
    Column,
    column_of_numbers,
    column_of_places,
    column_of_texts,
)
from pipeline.buffer.sqlite.search.functions import text_of
from pipeline.search.fields import FIELDS, ORDERED

HOUR_MS = 3_600_000
_FIELDS = tuple(field for field in FIELDS if field.kind != "text" and field.name != "id")
"""Those that have a column: what is looked for inside of long texts is no matter of a few values."""
_CELLS = ", ".join(f'"{field.column}"' for field in _FIELDS)
_LETTERS = (
    f"SELECT id & {BLOCK - 1}, failed_at_ms / {HOUR_MS}, {_CELLS} FROM dead_letters "
    "WHERE id BETWEEN :first AND :last ORDER BY id"
)
# The last letter of a block is the last to come: the newest block is of rows alone until it is there.
_NEXT = """
WITH RECURSIVE numbers (block) AS (
    SELECT :newest WHERE :newest >= :oldest UNION ALL SELECT block - 1 FROM numbers WHERE block > :oldest
)
SELECT block FROM numbers
WHERE NOT EXISTS (SELECT 1 FROM dead_letter_blocks AS kept WHERE (kept.block, field) = (numbers.block, :there))
   OR EXISTS (SELECT 1 FROM dead_letter_block_changes AS changed WHERE changed.block = numbers.block)
LIMIT 1
"""


class BlockLetters(NamedTuple):
    """The letters of a block that are there, by their places in it, and what each has in each field."""

    places: Sequence[int]
    texts: dict[str, Sequence[str | None]]
    numbers: dict[str, Sequence[int | None]]


def write_block(connection: WriterConnection) -> bool:
    """Writes the newest block that is missing or has changed; false when there is none."""
    with reading(connection), snapshot(connection):
        number, oldest = _next_block(connection)
        if number is None:
            return False
        changes = connection.execute(
            "SELECT block, field, changes FROM dead_letter_block_changes WHERE block = ?", (number,)
        ).fetchall()
        columns = _columns(connection, number)
    with atomic(connection):
        # Those whose letters are gone.
        for table in ("dead_letter_blocks", "dead_letter_block_changes"):
            connection.execute(f"DELETE FROM {table} WHERE block < ?", (oldest,))
        connection.executemany(
            "INSERT OR REPLACE INTO dead_letter_blocks (block, field, kind, meaning, codes) VALUES (?, ?, ?, ?, ?)",
            [(number, field, *column) for field, column in columns.items()],
        )
        connection.executemany(
            "DELETE FROM dead_letter_block_changes WHERE (block, field, changes) = (?, ?, ?)", changes
        )
    return True


def _next_block(connection: sqlite3.Connection) -> tuple[int | None, int]:
    """The block to write, and the oldest that has letters."""
    least, most = ends_of(connection)
    if least is None or most is None:
        return None, 0
    oldest = block_of(least)
    wanted = {"newest": block_of(most + 1) - 1, "oldest": oldest, "there": THERE}
    row = connection.execute(_NEXT, wanted).fetchone()
    return (row[0] if row else None), oldest


def letters_of(connection: sqlite3.Connection, number: int) -> BlockLetters:
    """What the rows of a block say."""
    first = number << BLOCK_BITS
    rows = connection.execute(_LETTERS, {"first": first, "last": first + BLOCK - 1}).fetchall()
    if not rows:
        return BlockLetters((), {}, {})
    places, hours, *cells = zip(*rows, strict=True)
    letters = BlockLetters(places, {HOUR: [str(hour) for hour in hours]}, {})
    for field, values in zip(_FIELDS, cells, strict=True):
        if field.kind in ORDERED:
            letters.numbers[field.name] = values
        else:
            letters.texts[field.name] = [text_of(value) for value in values]
    return letters


def _columns(connection: sqlite3.Connection, number: int) -> dict[str, Column]:
    places, texts, numbers = letters_of(connection, number)
    columns = {THERE: column_of_places(places)}
    columns |= {name: column_of_texts(cells, places) for name, cells in texts.items()}
    return columns | {name: column_of_numbers(cells, places) for name, cells in numbers.items()}
