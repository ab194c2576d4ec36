"""Holds the text index against the dead letters: a thousand of them, evenly spread, are looked for in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import NamedTuple

from pipeline.buffer.sqlite.search.letter_texts import (
    LETTERS,
    SETS,
    STACKS,
    letter_texts,
    match_of_any_lines,
    set_texts,
    stack_texts,
)
from pipeline.buffer.sqlite.search.text_candidates import indexed_to

SAMPLED = 1000


class _Index(NamedTuple):
    """One of them: what it is filled with, and how people call that."""

    name: str
    key: str
    rows: str
    texts: Callable[..., tuple[str, ...] | None]
    what: str


_INDEXES = (
    _Index("letter", "raw.id", LETTERS, letter_texts, "dead letters"),
    _Index("stack", "stack_ref", STACKS, stack_texts, "stack traces"),
    _Index("set", "set_ref", SETS, set_texts, "header sets"),
)


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


def _missing(connection: sqlite3.Connection, index: _Index) -> str:
    (last,) = connection.execute(f"SELECT {index.name}s_to FROM text_index").fetchone()
    asked = f"SELECT 1 FROM {index.name}_index WHERE {index.name}_index MATCH ? AND rowid = ?"
    looked: set[int] = set()
    missing = []
    for number in range(SAMPLED):
        begin = last * number // SAMPLED
        sql = f"{index.rows} {index.key} BETWEEN ? AND ? ORDER BY 1 LIMIT 1"
        identifier, *cells = connection.execute(sql, (begin, last)).fetchone() or (None,)
        if identifier is None or identifier in looked:
            continue
        looked.add(identifier)
        match = match_of_any_lines(*(index.texts(*cells) or ()))
        if match and connection.execute(asked, (match, identifier)).fetchone() is None:
            missing.append(identifier)
    if not missing:
        return ""
    return f"the text index does not name {len(missing)} of {len(looked)} {index.what} looked for, first {missing[0]}"
