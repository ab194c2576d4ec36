"""Brings dead letters from one group to another, and holds those that are there against changed rules, bit by bit."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.buffer.regroup_contract import Regrouped
from pipeline.buffer.sqlite.groups.splits import Placed, Splits, forget_split_letters, note_split_letters, split_from
from pipeline.buffer.sqlite.groups.states import regress_groups
from pipeline.buffer.sqlite.rows import RowsOf, json_cells

LETTERS_AT_ONCE = 500
BYTES_AT_ONCE = 4_000_000
"""A row is written anew as a whole: fewer of large ones."""

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
       min(iif(:whole, min(before.first_seen_ms, moved.failed_at_ms), moved.failed_at_ms)), max(moved.failed_at_ms),
       :version, iif(count(*) = count(before.new_since_ms), min(before.new_since_ms), NULL)
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


class _Queued(NamedTuple):
    """A fingerprint whose dead letters are to be held against the rules, and which of them."""

    id: int
    fingerprint: str
    after_id: int
    up_to_id: int


class _Letter(NamedTuple):
    """A dead letter as rules look at it."""

    id: int
    reason: str
    stacktrace: str | None
    error_class: str | None
    topic: str | None
    source_topic: str | None
    size_bytes: int


_QUEUED = RowsOf(_Queued)
_LETTER = RowsOf(
    _Letter,
    size_bytes="coalesce(length(value), 0) + coalesce(length(key), 0) + length(reason)",
)
_LETTERS = f"SELECT {_LETTER.sql} FROM dead_letters WHERE fingerprint = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?"


def move_letters(connection: sqlite3.Connection, moves: Sequence[Regrouped], version: int, whole: bool) -> list[int]:
    """Moves dead letters, with the figures of the groups; returns which: one that somebody else has moved stays.

    `version` is that of the groups that they come to. `whole`: the group that they come to stands for the one that they
    leave, and has been seen since that was.
    """
    told: dict[str, object] = {"moves": json.dumps(moves), "version": version, "whole": whole}
    # 1. The letters, unless somebody else has moved them.
    moved = [identifier for (identifier,) in connection.execute(_MOVE, told)]
    told["moved"] = json.dumps(moved)
    # 2. The figures of the groups that they come to, and of those that they leave.
    connection.execute(_INTO, told)
    connection.execute(_OUT_OF, told)
    return moved


def queue_moves(connection: sqlite3.Connection, fingerprints: Iterable[str]) -> None:
    """Has all dead letters of these fingerprints that are there be held against the rules."""
    (up_to_id,) = connection.execute("SELECT coalesce(max(id), 0) FROM dead_letter_rows").fetchone()
    connection.executemany(
        "INSERT INTO group_moves (fingerprint, after_id, up_to_id) VALUES (?, 0, ?) "
        "ON CONFLICT (fingerprint) DO UPDATE SET after_id = 0, up_to_id = excluded.up_to_id",
        [(fingerprint, up_to_id) for fingerprint in sorted(fingerprints)],
    )


def next_queued(connection: sqlite3.Connection) -> bool:
    """Whether any are queued."""
    return connection.execute("SELECT 1 FROM group_moves LIMIT 1").fetchone() is not None


def move_queued(connection: sqlite3.Connection) -> int:
    """Holds the next few dead letters against the rules and moves those that belong elsewhere.

    Returns how many were looked at, where a fingerprint's end counts as one; 0 when nothing is queued.
    """
    found = connection.execute(f"SELECT {_QUEUED.sql} FROM group_moves ORDER BY id LIMIT 1").fetchone()
    if found is None:
        return 0
    queued = _QUEUED.read(found)
    # 1. The next letters of the fingerprint.
    span = (queued.fingerprint, queued.after_id, queued.up_to_id, LETTERS_AT_ONCE)
    letters = _first_few(map(_LETTER.read, connection.execute(_LETTERS, span)))
    if not letters:
        connection.execute("DELETE FROM group_moves WHERE id = ?", (queued.id,))
        return 1
    # 2. Those that belong elsewhere by now, and what they had been before a rule took them.
    known = connection.execute(
        "SELECT title, fingerprint_version FROM dead_letter_groups WHERE fingerprint = ?", (queued.fingerprint,)
    ).fetchone()
    if known is not None:
        _settle(connection, Placed(queued.fingerprint, known[0]), letters, known[1])
    # 3. How far it is.
    connection.execute("UPDATE group_moves SET after_id = ? WHERE id = ?", (letters[-1].id, queued.id))
    return len(letters)


def _settle(connection: sqlite3.Connection, group: Placed, letters: Sequence[_Letter], version: int) -> None:
    splits = Splits(connection)
    before = split_from(connection, [letter.id for letter in letters])
    moves: list[Regrouped] = []
    taken: list[tuple[int, str, str]] = []
    for letter in letters:
        own = before.get(letter.id, group)
        placed = splits.place(letter, *own, version) if splits else own
        if placed.fingerprint != group.fingerprint:
            moves.append(Regrouped(letter.id, group.fingerprint, *placed, letter.error_class, letter.source_topic))
            taken.append((letter.id, *own))
    if moves:
        move_letters(connection, moves, version, whole=False)
        back = [move.id for move, (_, own, _) in zip(moves, taken, strict=True) if move.fingerprint == own]
        note_split_letters(connection, taken)
        forget_split_letters(connection, back)
        regress_groups(connection, (move.fingerprint for move in moves))


def _first_few(letters: Iterable[_Letter]) -> list[_Letter]:
    few: list[_Letter] = []
    size = 0
    for letter in letters:
        size += letter.size_bytes
        if few and size > BYTES_AT_ONCE:
            break
        few.append(letter)
    return few
