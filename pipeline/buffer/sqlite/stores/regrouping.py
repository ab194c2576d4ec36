"""Brings dead letters from groups of older fingerprint versions to those of the newest, a few at a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from pipeline.buffer.regroup_contract import OldFailure, Regrouped
from pipeline.buffer.sqlite.connection import WriterConnection, atomic, reading
from pipeline.buffer.sqlite.groups.moves import BYTES_AT_ONCE, LETTERS_AT_ONCE, move_letters
from pipeline.buffer.sqlite.groups.regrouping import carried_on, drop_empty
from pipeline.buffer.sqlite.groups.states import regress_groups
from pipeline.buffer.sqlite.rows import RowsOf
from pipeline.crash_points import reached

_OLD = RowsOf(OldFailure)
_NEXT = """
SELECT id, length(headers) + coalesce(length(value), 0) + coalesce(length(key), 0) + coalesce(length(stacktrace), 0)
FROM dead_letter_rows
WHERE fingerprint IN (
    SELECT fingerprint FROM dead_letter_groups WHERE fingerprint_version < :version AND total > 0 LIMIT :at_once)
LIMIT :at_once
"""


class SqliteRegroupStore:
    """The contract's RegroupStore on SQLite."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def count_older(self, version: int) -> int:
        """See RegroupStore."""
        with reading(self._connection):
            (letters,) = self._connection.execute(
                "SELECT coalesce(sum(total), 0) FROM dead_letter_groups WHERE fingerprint_version < ?", (version,)
            ).fetchone()
        return int(letters)

    def older(self, version: int) -> list[OldFailure]:
        """See RegroupStore."""
        with reading(self._connection):
            sizes = self._connection.execute(_NEXT, {"version": version, "at_once": LETTERS_AT_ONCE}).fetchall()
            rows = self._connection.execute(
                f"SELECT {_OLD.sql} FROM dead_letters WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
                (json.dumps(_first_few(sizes)),),
            )
            return _OLD.read_all(rows)

    def regroup(self, moves: Sequence[Regrouped], version: int) -> int:
        """See RegroupStore."""
        with atomic(self._connection) as connection:
            # 1. What people have said of the groups: it decides where the letters come to, too.
            moves = carried_on(connection, _not_moved(connection, moves), version)
            # 2. The letters, with the figures of the groups.
            moved = move_letters(connection, moves, version, whole=True)
            # 3. What that says of the groups.
            regress_groups(connection, (move.fingerprint for move in moves))
            drop_empty(connection, moves)
            reached("regroup: move not committed")
        return len(moved)


def has_older(connection: sqlite3.Connection, version: int) -> bool:
    """Whether any dead letter is in a group of a version before this one."""
    found = connection.execute(
        "SELECT 1 FROM dead_letter_groups WHERE fingerprint_version < ? AND total > 0 LIMIT 1", (version,)
    )
    return found.fetchone() is not None


def _not_moved(connection: sqlite3.Connection, moves: Sequence[Regrouped]) -> list[Regrouped]:
    """Those that are where they were when it was worked out where they belong."""
    ids = json.dumps([move.id for move in moves])
    there = dict(
        connection.execute(
            "SELECT id, fingerprint FROM dead_letter_rows WHERE id IN (SELECT value FROM json_each(?))", (ids,)
        ).fetchall()
    )
    return [move for move in moves if there.get(move.id) == move.before]


def _first_few(sizes: list[tuple[int, int]]) -> list[int]:
    few: list[int] = []
    size = 0
    for identifier, letter_bytes in sizes:
        size += letter_bytes
        if few and size > BYTES_AT_ONCE:
            break
        few.append(identifier)
    return few
