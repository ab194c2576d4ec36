"""Holds the text index against the dead letters: a thousand of them, evenly spread, are looked for in it."""

from __future__ import annotations

import sqlite3

from pipeline.buffer.sqlite.search.letter_texts import match_of_any_lines
from pipeline.buffer.sqlite.search.text_candidates import indexed_to

SAMPLED = 1000
_INDEXES = {"letter": ("id", "dead letters"), "stack": ("stack_ref", "stack traces")}


def unfindable_texts(connection: sqlite3.Connection) -> str:
    """A sentence when the index does not name what it was filled with; empty when it does, as far as was looked."""
    if not indexed_to(connection):
        return ""
    try:
        return next(filter(None, (_missing(connection, index) for index in _INDEXES)), "")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        return f"the text index is damaged: {error}"


def _missing(connection: sqlite3.Connection, index: str) -> str:
    key, name = _INDEXES[index]
    (last,) = connection.execute(f"SELECT {index}s_to FROM text_index").fetchone()
    looked: set[int] = set()
    missing = []
    for number in range(SAMPLED):
        row = connection.execute(
            f"SELECT {key}, text FROM {index}_texts WHERE {key} >= ? ORDER BY {key} LIMIT 1", (last * number // SAMPLED,)
        ).fetchone()
        if row is None or row[0] in looked:
            continue
        looked.add(row[0])
        match = match_of_any_lines(row[1])
        asked = f"SELECT 1 FROM {index}_index WHERE {index}_index MATCH ? AND rowid = ?"
        if match and connection.execute(asked, (match, row[0])).fetchone() is None:
            missing.append(row[0])
    if not missing:
        return ""
    return f"the text index does not name {len(missing)} of {len(looked)} {name} looked for, the first: {missing[0]}"
