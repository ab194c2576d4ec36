"""Carries what people said of groups on to the groups that a newer fingerprint version makes of them.

A group that people have merged keeps its name: the new fingerprints are merged into it, and what was said of it stays.
The state and notes of another one are handed on to each group that its dead letters come to.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from pipeline.buffer.regroup_contract import OldFailure, Regrouped
from pipeline.buffer.sqlite.groups.merges import Merges
from pipeline.buffer.sqlite.groups.splits import (
    RULES,
    Placed,
    Splits,
    forget_split_letters,
    note_split_letters,
    split_from,
    versions_of,
)
from pipeline.buffer.sqlite.groups.states import combine
from pipeline.buffer.sqlite.rows import RowsOf

_SAID_OF_GROUPS = " UNION ALL ".join(
    f"SELECT fingerprint FROM {table}" for table in ("group_states", "group_notes", "group_merges", "group_splits")
)
_OLD = RowsOf(OldFailure)


def carried_on(connection: sqlite3.Connection, moves: Sequence[Regrouped], version: int) -> list[Regrouped]:
    """The same moves with splits applied to them; what was said of the groups is carried on in between."""
    if connection.execute(f"{_SAID_OF_GROUPS} LIMIT 1").fetchone() is None:
        return list(moves)
    own = split_from(connection, [move.id for move in moves])
    pairs = {(own[move.id].fingerprint if move.id in own else move.before, move.fingerprint) for move in moves}
    # 1. Which belong together, and which rules take dead letters out of them.
    merges = Merges(connection)
    for before, after in sorted(pairs):
        _carry_merge(merges, before, after, connection)
        _carry_splits(connection, before, after)
    _carry_names(connection, merges, version)
    # 2. Where the rules put the dead letters.
    moves = _placed(connection, moves, own, version)
    # 3. What was said of the groups that they come from.
    for before, after in sorted({(move.before, move.fingerprint) for move in moves}):
        _carry_state(connection, merges, before, after)
    return moves


def drop_empty(connection: sqlite3.Connection, moves: Sequence[Regrouped]) -> None:
    """Drops groups that nothing is left of, with what was said of them and has been carried on."""
    before = json.dumps(sorted({move.before for move in moves}))
    empty = "fingerprint IN (SELECT value FROM json_each(?))"
    connection.execute(f"DELETE FROM dead_letter_groups WHERE total = 0 AND {empty}", (before,))
    gone = (
        f"{empty} AND fingerprint NOT IN (SELECT fingerprint FROM dead_letter_groups) "
        "AND fingerprint NOT IN (SELECT fingerprint FROM group_merges) "
        "AND fingerprint NOT IN (SELECT merged_into FROM group_merges)"
    )
    connection.execute(f"DELETE FROM group_states WHERE {gone}", (before,))
    connection.execute(f"DELETE FROM group_notes WHERE {gone}", (before,))


def _carry_merge(merges: Merges, before: str, after: str, connection: sqlite3.Connection) -> None:
    group, there = merges.group_of(before), merges.group_of(after)
    if group == there or not merges.is_merged(before):
        return
    by, at_ms = connection.execute(
        "SELECT merged_by, merged_at_ms FROM group_merges WHERE merged_into = ? ORDER BY merged_at_ms LIMIT 1", (group,)
    ).fetchone()
    combine(connection, group, there)
    merges.merge(there, group, by, at_ms)


def _carry_splits(connection: sqlite3.Connection, before: str, after: str) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO group_splits (fingerprint, field, value, origin, split_by, split_at_ms) "
        "SELECT ?, field, value, origin, split_by, split_at_ms FROM group_splits WHERE fingerprint = ? ORDER BY id",
        (after, before),
    )


def _carry_names(connection: sqlite3.Connection, merges: Merges, version: int) -> None:
    """The groups that rules make have another name in each version, and may be merged and split themselves."""
    older = [each for each in versions_of(connection) if each != version]
    for rule in RULES.read_all(connection.execute(f"SELECT {RULES.sql} FROM group_splits ORDER BY id").fetchall()):
        for before in map(rule.name, older):
            _carry_merge(merges, before, rule.name(version), connection)
            _carry_splits(connection, before, rule.name(version))


def _placed(
    connection: sqlite3.Connection, moves: Sequence[Regrouped], own: Mapping[int, Placed], version: int
) -> list[Regrouped]:
    splits = Splits(connection)
    if not splits and not own:
        return list(moves)
    ids = json.dumps([move.id for move in moves])
    sql = f"SELECT {_OLD.sql} FROM dead_letters WHERE id IN (SELECT value FROM json_each(?))"
    letters = {letter.id: letter for letter in _OLD.read_all(connection.execute(sql, (ids,)))}
    placed: list[Regrouped] = []
    taken: list[tuple[int, str, str]] = []
    for move in moves:
        # One that was pruned meanwhile is not moved either.
        if splits and move.id in letters:
            fingerprint, title = splits.place(letters[move.id], move.fingerprint, move.title, version)
            if fingerprint != move.fingerprint:
                taken.append((move.id, move.fingerprint, move.title))
            move = move._replace(fingerprint=fingerprint, title=title)
        placed.append(move)
    forget_split_letters(connection, own.keys() - {identifier for identifier, *_ in taken})
    note_split_letters(connection, taken)
    return placed


def _carry_state(connection: sqlite3.Connection, merges: Merges, before: str, after: str) -> None:
    if before == after or merges.is_merged(before):
        # What is said of a merged group is said of its name, which stays.
        return
    combine(connection, merges.group_of(after), before)
    connection.execute(
        "INSERT OR IGNORE INTO group_notes (fingerprint, note, written_by, written_at_ms) "
        "SELECT ?, note, written_by, written_at_ms FROM group_notes WHERE fingerprint = ? ORDER BY id",
        (after, before),
    )
