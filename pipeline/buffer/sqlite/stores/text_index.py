"""Fills the text index in the order of the ids, in steps of its own after the rows are there."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from typing import NamedTuple

from pipeline.buffer.sqlite.connection import WriterConnection, atomic, reading
from pipeline.buffer.sqlite.search.letter_texts import (
    LETTER_COLUMNS,
    LETTERS,
    MOST_LETTERS,
    SETS,
    STACKS,
    letter_texts,
    set_texts,
    stack_texts,
)
from pipeline.buffer.text_contract import TextIndexProgress
from pipeline.crash_points import reached
from pipeline.search.folding import FOLDING

LETTERS_AT_ONCE = 1000
STACKS_AT_ONCE = 200
SETS_AT_ONCE = 1000
TEXT_AT_ONCE = 400_000
"""Letters of text that a step indexes: some 50 ms, in which nobody else writes."""
PAGES_AT_ONCE = 200


class _State(NamedTuple):
    """What the index has, and the newest that there is."""

    folding: str
    letters_to: int
    stacks_to: int
    sets_to: int
    last_letter: int
    last_stack: int
    last_set: int
    stored_anew: int
    """1 while dead letters of an older layout are being stored anew, and their stack traces with them."""

    @property
    def is_done(self) -> bool:
        """Whether the index has all that there is."""
        return (
            self.letters_to >= self.last_letter and self.stacks_to >= self.last_stack and self.sets_to >= self.last_set
        )


_STATE = (
    "SELECT folding, letters_to, stacks_to, sets_to, (SELECT coalesce(max(id), 0) FROM dead_letter_rows), "
    "(SELECT coalesce(max(stack_ref), 0) FROM stacktraces), (SELECT coalesce(max(set_ref), 0) FROM header_sets), "
    "EXISTS (SELECT 1 FROM compaction) FROM text_index"
)
EMPTY_THE_INDEX = (
    "INSERT INTO letter_index (letter_index) VALUES ('delete-all')",
    "INSERT INTO stack_index (stack_index) VALUES ('delete-all')",
    "INSERT INTO set_index (set_index) VALUES ('delete-all')",
    "DELETE FROM long_letters",
    "DELETE FROM long_stacks",
    "UPDATE text_index SET folding = '', letters_to = 0, stacks_to = 0, sets_to = 0",
)
"""After these statements the index has nothing, and is filled again from the first dead letter on."""

LETTERS_BY_WHAT_THEY_SHARE = (
    "CREATE INDEX IF NOT EXISTS dead_letters_by_stack ON dead_letter_rows (stack_ref) WHERE stack_ref IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS dead_letters_by_set ON dead_letter_rows (set_ref) WHERE set_ref IS NOT NULL",
)
"""Which dead letters have a stack trace or a header set: asked only where the indexes of those have one."""


class _Step(NamedTuple):
    """What a step adds to one of the indexes: texts by their ids, and the ids of those that are too long."""

    texts: list[tuple[int | str, ...]]
    too_long: list[tuple[int]]
    last: int

    @property
    def added(self) -> int:
        return len(self.texts) + len(self.too_long)


class _Shared(NamedTuple):
    """What is stored once and indexed once: its index, its table with the key and the text, and how that is told."""

    name: str
    table: str
    key: str
    column: str
    rows: str
    texts: Callable[..., tuple[str, ...] | None]


_SHARED = (
    _Shared("stack", "stacktraces", "stack_ref", "stacktrace", STACKS, stack_texts),
    _Shared("set", "header_sets", "set_ref", "pieces", SETS, set_texts),
)
_Texts = list[tuple[int, tuple[str, ...] | None]]
_COLUMNS = ", ".join(LETTER_COLUMNS)
_CELLS = ", ?" * len(LETTER_COLUMNS)


class SqliteTextIndexStore:
    """The contract's TextIndexStore on SQLite."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def index_some(self) -> int:
        """See TextIndexStore."""
        with reading(self._connection):
            state = _State(*self._connection.execute(_STATE).fetchone())
            if state.stored_anew:
                return 0
            if state.folding != FOLDING:
                self._begin_anew(state)
                return 1
            if state.is_done:
                return 0
            # 1. What the texts are, while others may write.
            letters = self._next_letters(state.letters_to)
            stacks = self._next_stacks(state.stacks_to)
        with atomic(self._connection) as connection:
            sets = self._next_sets(state.sets_to)
            # 2. The guard: nobody else has filled the index meanwhile.
            moved = connection.execute(
                "UPDATE text_index SET (letters_to, stacks_to, sets_to) = (?, ?, ?) "
                "WHERE (letters_to, stacks_to, sets_to, folding) = (?, ?, ?, ?)",
                (letters.last, stacks.last, sets.last, state.letters_to, state.stacks_to, state.sets_to, FOLDING),
            ).rowcount
            if moved:
                # 3. The texts, and which are too long.
                connection.executemany("INSERT INTO stack_index (rowid, stacktrace) VALUES (?, ?)", stacks.texts)
                connection.executemany("INSERT INTO long_stacks VALUES (?)", stacks.too_long)
                connection.executemany("INSERT INTO set_index (rowid, pieces) VALUES (?, ?)", sets.texts)
                connection.executemany(
                    f"INSERT INTO letter_index (rowid, {_COLUMNS}) VALUES (?{_CELLS})", letters.texts
                )
                connection.executemany("INSERT INTO long_letters VALUES (?)", letters.too_long)
            reached("worker: texts not committed")
        return letters.added + stacks.added + sets.added

    def merge_some(self) -> bool:
        """See TextIndexStore."""
        with atomic(self._connection) as connection:
            return any([_merge(connection, index) for index in ("letter_index", "stack_index", "set_index")])

    def progress(self) -> TextIndexProgress:
        """See TextIndexStore."""
        with reading(self._connection):
            state = _State(*self._connection.execute(_STATE).fetchone())
        return TextIndexProgress(state.letters_to if state.folding == FOLDING else 0, state.last_letter)

    def _begin_anew(self, state: _State) -> None:
        with atomic(self._connection) as connection:
            if _State(*connection.execute(_STATE).fetchone()) == state:
                # By a step of layouts it would read all dead letters of an older one before any role could start.
                for statement in (*LETTERS_BY_WHAT_THEY_SHARE, *EMPTY_THE_INDEX):
                    connection.execute(statement)
                connection.execute("UPDATE text_index SET folding = ?", (FOLDING,))

    def _next_letters(self, after: int) -> _Step:
        rows = self._connection.execute(f"{LETTERS} raw.id > ? ORDER BY raw.id LIMIT ?", (after, LETTERS_AT_ONCE))
        return _step(after, ((identifier, letter_texts(*cells)) for identifier, *cells in rows))

    def _next_stacks(self, after: int) -> _Step:
        rows = self._connection.execute(f"{STACKS} stack_ref > ? ORDER BY stack_ref LIMIT ?", (after, STACKS_AT_ONCE))
        return _step(after, ((ref, stack_texts(*cells)) for ref, *cells in rows))

    def _next_sets(self, after: int) -> _Step:
        rows = self._connection.execute(f"{SETS} set_ref > ? ORDER BY set_ref LIMIT ?", (after, SETS_AT_ONCE))
        return _step(after, ((ref, set_texts(pieces)) for ref, pieces in rows))


def _step(after: int, told: Iterable[tuple[int, tuple[str, ...] | None]]) -> _Step:
    step = _Step([], [], after)
    size = 0
    for identifier, texts in told:
        step = step._replace(last=identifier)
        if texts is None:
            step.too_long.append((identifier,))
        else:
            step.texts.append((identifier, *texts))
        size += MOST_LETTERS if texts is None else sum(map(len, texts))
        if size >= TEXT_AT_ONCE:
            break
    return step


def _merge(connection: sqlite3.Connection, index: str) -> bool:
    before = connection.total_changes
    connection.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('merge', {PAGES_AT_ONCE})")
    # SQLite's documentation of the command: one change is the command itself.
    return connection.total_changes - before > 1


def unindex_letters(connection: sqlite3.Connection, ids: str) -> None:
    """Takes dead letters that are about to go, a JSON array of their ids, out of the index."""
    rows = connection.execute(
        f"{LETTERS} raw.id IN (SELECT value FROM json_each(?)) AND raw.id <= (SELECT letters_to FROM text_index)",
        (ids,),
    )
    told = [(identifier, letter_texts(*cells)) for identifier, *cells in rows]
    connection.executemany(
        f"INSERT INTO letter_index (letter_index, rowid, {_COLUMNS}) VALUES ('delete', ?{_CELLS})",
        [(identifier, *texts) for identifier, texts in told if texts is not None],
    )
    connection.execute("DELETE FROM long_letters WHERE dead_letter_id IN (SELECT value FROM json_each(?))", (ids,))


def indexed_shared_of(connection: sqlite3.Connection, ids: str) -> list[tuple[_Shared, _Texts]]:
    """What dead letters that are about to go refer to, as it is indexed."""
    found = []
    for shared in _SHARED:
        rows = connection.execute(
            f"{shared.rows} {shared.key} IN "
            f"(SELECT {shared.key} FROM dead_letter_rows WHERE id IN (SELECT value FROM json_each(?))) "
            f"AND {shared.key} <= (SELECT {shared.name}s_to FROM text_index)",
            (ids,),
        )
        found.append((shared, [(ref, shared.texts(*cells)) for ref, *cells in rows]))
    return found


def unindex_shared(connection: sqlite3.Connection, indexed: list[tuple[_Shared, _Texts]]) -> None:
    """Takes what of this is gone by now out of the index.

    The next one may get the number of the last one that went: the index is filled from there on again.
    """
    for (name, table, key, column, *_), told in indexed:
        left = {
            ref
            for (ref,) in connection.execute(
                f"SELECT {key} FROM {table} WHERE {key} IN (SELECT value FROM json_each(?))",
                (json.dumps([ref for ref, _ in told]),),
            )
        }
        connection.executemany(
            f"INSERT INTO {name}_index ({name}_index, rowid, {column}) VALUES ('delete', ?, ?)",
            [(ref, *texts) for ref, texts in told if ref not in left and texts is not None],
        )
        connection.execute(
            f"UPDATE text_index SET {name}s_to = min({name}s_to, (SELECT coalesce(max({key}), 0) FROM {table}))"
        )
    connection.execute("DELETE FROM long_stacks WHERE stack_ref NOT IN (SELECT stack_ref FROM stacktraces)")
