"""Brings dead letters from groups of older fingerprint versions to those of the newest, a few at a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from pipeline.buffer.regroup_contract import OldFailure, Regrouped
from pipeline.buffer.sqlite.connection import WriterConnection, atomic, reading
from pipeline.buffer.sqlite.rows import RowsOf, json_cells
from pipeline.crash_points import reached

LETTERS_AT_ONCE = 500
BYTES_AT_ONCE = 4_000_000
"""A row is written anew as a whole: fewer of large ones."""

_OLD = RowsOf(OldFailure)
_NEXT = """
SELECT id, length(headers) + coalesce(length(value), 0) + coalesce(length(key), 0) + coalesce(length(stacktrace), 0)
FROM dead_letter_rows
WHERE fingerprint IN (SELECT fingerprint FROM dead_letter_groups WHERE fingerprint_version < :version LIMIT :at_once)
LIMIT :at_once
"""
_CELLS = json_cells(Regrouped)
_MOVES = f"SELECT {', '.join(f'{sql} AS {name}' for name, sql in _CELLS.items())} FROM json_each(:moves)"
_MOVE = f"""
UPDATE dead_letter_rows SET fingerprint = moves.fingerprint FROM ({_MOVES}) AS moves
WHERE dead_letter_rows.id = moves.id AND dead_letter_rows.fingerprint = moves.before
RETURNING id
"""
# In two statements, each of which sees the groups as they are: a letter may stay in the group that it is in.
_MOVED = f"""
SELECT moves.*, status = 'open' AS is_open, failed_at_ms FROM ({_MOVES}) AS moves
JOIN dead_letter_rows ON dead_letter_rows.id = moves.id
WHERE moves.id IN (SELECT value FROM json_each(:moved))
"""
_INTO = f"""
INSERT INTO dead_letter_groups (fingerprint, error_class, title, source_topic, total, open, first_seen_ms, last_seen_ms,
                                fingerprint_version, new_since_ms)
SELECT moved.fingerprint, min(moved.error_class), min(moved.title), min(moved.source_topic), count(*), sum(is_open),
       min(min(before.first_seen_ms, moved.failed_at_ms)), max(moved.failed_at_ms), :version,
       iif(count(*) = count(before.new_since_ms), min(before.new_since_ms), NULL)
FROM ({_MOVED}) AS moved JOIN dead_letter_groups AS before ON before.fingerprint = moved.before
GROUP BY moved.fingerprint
ON CONFLICT (fingerprint) DO UPDATE SET
    total = total + excluded.total,
    open = open + excluded.open,
    first_seen_ms = min(first_seen_ms, excluded.first_seen_ms),
    last_seen_ms = max(last_seen_ms, excluded.last_seen_ms),
    fingerprint_version = excluded.fingerprint_version,
    new_since_ms = min(new_since_ms, excluded.new_since_ms)
"""
_OUT_OF = f"""
UPDATE dead_letter_groups SET total = total - moved.letters, open = open - moved.open_letters
FROM (SELECT before, count(*) AS letters, sum(is_open) AS open_letters FROM ({_MOVED}) GROUP BY before) AS moved
WHERE dead_letter_groups.fingerprint = moved.before
"""
_EMPTY = "DELETE FROM dead_letter_groups WHERE total = 0 AND fingerprint IN (SELECT value ->> 1 FROM json_each(:moves))"


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
        told = {"moves": json.dumps(moves), "version": version}
        with atomic(self._connection) as connection:
            # 1. The letters, unless somebody else has moved them.
            moved = [identifier for (identifier,) in connection.execute(_MOVE, told)]
            told["moved"] = json.dumps(moved)
            # 2. The figures of the groups that they come to, and of those that they leave.
            connection.execute(_INTO, told)
            connection.execute(_OUT_OF, told)
            connection.execute(_EMPTY, told)
            reached("regroup: move not committed")
        return len(moved)


def has_older(connection: sqlite3.Connection, version: int) -> bool:
    """Whether any dead letter is in a group of a version before this one."""
    found = connection.execute("SELECT 1 FROM dead_letter_groups WHERE fingerprint_version < ? LIMIT 1", (version,))
    return found.fetchone() is not None


def _first_few(sizes: list[tuple[int, int]]) -> list[int]:
    few: list[int] = []
    size = 0
    for identifier, letter_bytes in sizes:
        size += letter_bytes
        if few and size > BYTES_AT_ONCE:
            break
        few.append(identifier)
    return few
