"""Fills the text index in the order of the ids, in steps of its own after the rows are there."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.buffer.sqlite.connection import WriterConnection, atomic, reading
from pipeline.buffer.sqlite.search.letter_texts import LETTERS, MOST_LETTERS, STACKS, letter_text, stack_text
from pipeline.buffer.text_contract import TextIndexProgress
from pipeline.crash_points import reached
from pipeline.search.folding import FOLDING

LETTERS_AT_ONCE = 1000
STACKS_AT_ONCE = 200
TEXT_AT_ONCE = 400_000
"""Letters of text that a step indexes: some 50 ms, in which nobody else writes."""
PAGES_AT_ONCE = 200


class _State(NamedTuple):
    """What the index has, and the newest that there is."""

    folding: str
    letters_to: int
    stacks_to: int
    last_letter: int
    last_stack: int
    stored_anew: int
    """1 while dead letters of an older layout are being stored anew, and their stack traces with them."""


_STATE = (
    "SELECT folding, letters_to, stacks_to, (SELECT coalesce(max(id), 0) FROM dead_letter_rows), "
    "(SELECT coalesce(max(stack_ref), 0) FROM stacktraces), EXISTS (SELECT 1 FROM compaction) FROM text_index"
)
EMPTY_THE_INDEX = (
    "INSERT INTO letter_index (letter_index) VALUES ('delete-all')",
    "INSERT INTO stack_index (stack_index) VALUES ('delete-all')",
    "DELETE FROM long_letters",
    "DELETE FROM long_stacks",
    "UPDATE text_index SET folding = '', letters_to = 0, stacks_to = 0",
)
"""After these statements the index has nothing, and is filled again from the first dead letter on."""

LETTERS_BY_STACK = (
    "CREATE INDEX IF NOT EXISTS dead_letters_by_stack ON dead_letter_rows (stack_ref) WHERE stack_ref IS NOT NULL"
)
"""Which dead letters have a stack trace: asked only where the index of stack traces has one."""


class _Step(NamedTuple):
    """What a step adds to one of the two indexes: texts by their ids, and the ids of those that are too long."""

    texts: list[tuple[int, str]]
    too_long: list[tuple[int]]
    last: int

    @property
    def added(self) -> int:
        return len(self.texts) + len(self.too_long)


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
            if state.letters_to >= state.last_letter and state.stacks_to >= state.last_stack:
                return 0
            # 1. What the texts are, while others may write.
            letters = self._next_letters(state.letters_to)
            stacks = self._next_stacks(state.stacks_to)
        with atomic(self._connection) as connection:
            # 2. The guard: nobody else has filled the index meanwhile.
            moved = connection.execute(
                "UPDATE text_index SET letters_to = ?, stacks_to = ? "
                "WHERE letters_to = ? AND stacks_to = ? AND folding = ?",
                (letters.last, stacks.last, state.letters_to, state.stacks_to, FOLDING),
            ).rowcount
            if moved:
                # 3. The texts, and which are too long.
                connection.executemany("INSERT INTO stack_index (rowid, stacktrace) VALUES (?, ?)", stacks.texts)
                connection.executemany("INSERT INTO long_stacks VALUES (?)", stacks.too_long)
                connection.executemany("INSERT INTO letter_index (rowid, reason) VALUES (?, ?)", letters.texts)
                connection.executemany("INSERT INTO long_letters VALUES (?)", letters.too_long)
            reached("worker: texts not committed")
        return letters.added + stacks.added

    def merge_some(self) -> bool:
        """See TextIndexStore."""
        with atomic(self._connection) as connection:
            return any([_merge(connection, index) for index in ("letter_index", "stack_index")])

    def progress(self) -> TextIndexProgress:
        """See TextIndexStore."""
        with reading(self._connection):
            state = _State(*self._connection.execute(_STATE).fetchone())
        return TextIndexProgress(state.letters_to if state.folding == FOLDING else 0, state.last_letter)

    def _begin_anew(self, state: _State) -> None:
        with atomic(self._connection) as connection:
            if _State(*connection.execute(_STATE).fetchone()) == state:
                # By a step of layouts it would read all dead letters of an older one before any role could start.
                connection.execute(LETTERS_BY_STACK)
                for statement in EMPTY_THE_INDEX:
                    connection.execute(statement)
                connection.execute("UPDATE text_index SET folding = ?", (FOLDING,))

    def _next_letters(self, after: int) -> _Step:
        rows = self._connection.execute(f"{LETTERS} raw.id > ? ORDER BY raw.id LIMIT ?", (after, LETTERS_AT_ONCE))
        return _step(after, ((identifier, letter_text(*cells)) for identifier, *cells in rows))

    def _next_stacks(self, after: int) -> _Step:
        rows = self._connection.execute(f"{STACKS} stack_ref > ? ORDER BY stack_ref LIMIT ?", (after, STACKS_AT_ONCE))
        return _step(after, ((ref, stack_text(*cells)) for ref, *cells in rows))


def _step(after: int, texts: Iterable[tuple[int, str | None]]) -> _Step:
    step = _Step([], [], after)
    size = 0
    for identifier, text in texts:
        step = step._replace(last=identifier)
        if text is None:
            step.too_long.append((identifier,))
        else:
            step.texts.append((identifier, text))
        size += MOST_LETTERS if text is None else len(text)
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
    texts = [(identifier, letter_text(*cells)) for identifier, *cells in rows]
    connection.executemany(
        "INSERT INTO letter_index (letter_index, rowid, reason) VALUES ('delete', ?, ?)",
        [(identifier, text) for identifier, text in texts if text is not None],
    )
    connection.execute("DELETE FROM long_letters WHERE dead_letter_id IN (SELECT value FROM json_each(?))", (ids,))


def indexed_stacks_of(connection: sqlite3.Connection, ids: str) -> list[tuple[int, str | None]]:
    """The stack traces of dead letters that are about to go, as they are indexed."""
    rows = connection.execute(
        f"{STACKS} stack_ref IN (SELECT stack_ref FROM dead_letter_rows WHERE id IN (SELECT value FROM json_each(?))) "
        "AND stack_ref <= (SELECT stacks_to FROM text_index)",
        (ids,),
    )
    return [(ref, stack_text(*cells)) for ref, *cells in rows]


def unindex_stacks(connection: sqlite3.Connection, stacks: list[tuple[int, str | None]]) -> None:
    """Takes those of these stack traces that are gone by now out of the index.

    The next one may get the number of the last one that went: the index is filled from there on again.
    """
    left = {
        ref
        for (ref,) in connection.execute(
            "SELECT stack_ref FROM stacktraces WHERE stack_ref IN (SELECT value FROM json_each(?))",
            (json.dumps([ref for ref, _ in stacks]),),
        )
    }
    connection.executemany(
        "INSERT INTO stack_index (stack_index, rowid, stacktrace) VALUES ('delete', ?, ?)",
        [(ref, text) for ref, text in stacks if ref not in left and text is not None],
    )
    connection.execute("DELETE FROM long_stacks WHERE stack_ref NOT IN (SELECT stack_ref FROM stacktraces)")
    connection.execute(
        "UPDATE text_index SET stacks_to = min(stacks_to, (SELECT coalesce(max(stack_ref), 0) FROM stacktraces))"
    )
