"""What people say of groups, on SQLite."""

from __future__ import annotations

import sqlite3

from pipeline.buffer.group_contract import GroupState, GroupTold, SplitField
from pipeline.buffer.sqlite.connection import WriterConnection, atomic, reading
from pipeline.buffer.sqlite.groups.hours import has_old_hours, prune_hours
from pipeline.buffer.sqlite.groups.listing import told_of
from pipeline.buffer.sqlite.groups.merges import Merges
from pipeline.buffer.sqlite.groups.moves import move_queued, next_queued, queue_moves
from pipeline.buffer.sqlite.groups.splits import RULES, Rule, Splits, versions_of
from pipeline.buffer.sqlite.groups.states import combine, copy_state, regress_what_failed_since, say
from pipeline.crash_points import reached
from pipeline.errors import UsageError

_KNOWN = """
SELECT 1 FROM dead_letter_groups WHERE fingerprint = :name
UNION ALL SELECT 1 FROM group_states WHERE fingerprint = :name
UNION ALL SELECT 1 FROM group_splits WHERE fingerprint = :name
UNION ALL SELECT 1 FROM group_merges WHERE fingerprint = :name OR merged_into = :name LIMIT 1
"""


class SqliteGroupStore:
    """The contract's GroupStore on SQLite."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def resolve(self, fingerprint: str, by: str, now_ms: int) -> None:
        """See GroupStore."""
        with atomic(self._connection) as connection:
            say(connection, _group_of(connection, fingerprint), "resolved", by, now_ms)

    def ignore(self, fingerprint: str, until_ms: int, by: str, now_ms: int) -> None:
        """See GroupStore."""
        with atomic(self._connection) as connection:
            say(connection, _group_of(connection, fingerprint), "ignored", by, now_ms, until_ms)

    def reopen(self, fingerprint: str, by: str, now_ms: int) -> None:
        """See GroupStore."""
        with atomic(self._connection) as connection:
            say(connection, _group_of(connection, fingerprint), "known", by, now_ms)

    def note(self, fingerprint: str, note: str, by: str, now_ms: int) -> None:
        """See GroupStore."""
        with atomic(self._connection) as connection:
            connection.execute(
                "INSERT OR IGNORE INTO group_notes (fingerprint, note, written_by, written_at_ms) VALUES (?, ?, ?, ?)",
                (_group_of(connection, fingerprint), note, by, now_ms),
            )

    def merge(self, into: str, fingerprints: list[str], by: str, now_ms: int) -> None:
        """See GroupStore."""
        with atomic(self._connection) as connection:
            group = _group_of(connection, into)
            merges = Merges(connection)
            others = {_group_of(connection, each) for each in fingerprints} - {group}
            if not others:
                raise UsageError(f"these are one group already: {into}, {', '.join(fingerprints)}")
            # 1. They are one from here on, with what was said last of one of them.
            for other in sorted(others):
                combine(connection, group, other)
                merges.merge(other, group, by, now_ms)
            regress_what_failed_since(connection, group)
            # 2. Rules of one hold for the others too.
            queue_moves(connection, Splits(connection).reach([group]))

    def unmerge(self, fingerprint: str, now_ms: int) -> None:
        """See GroupStore."""
        with atomic(self._connection) as connection:
            merges = Merges(connection)
            group = merges.group_of(fingerprint)
            if group == fingerprint:
                raise UsageError(f"{fingerprint} is merged into no other group")
            reached_before = Splits(connection).reach([group])
            merges.unmerge(fingerprint)
            regress_what_failed_since(connection, fingerprint)
            queue_moves(connection, reached_before | Splits(connection).reach([group, fingerprint]))

    def split(self, fingerprint: str, field: SplitField, value: str, by: str, now_ms: int) -> int:
        """See GroupStore."""
        with atomic(self._connection) as connection:
            group = _group_of(connection, fingerprint)
            number = connection.execute(
                "INSERT OR IGNORE INTO group_splits (fingerprint, field, value, origin, split_by, split_at_ms) "
                "VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
                (group, field, value, group, by, now_ms),
            ).fetchone()
            if number is None:
                raise UsageError(f"{fingerprint} is split so already: {field} {value}")
            for name in _names(connection, _rule(connection, number[0])):
                copy_state(connection, group, name)
            queue_moves(connection, Splits(connection).reach([group]))
        return int(number[0])

    def unsplit(self, number: int, now_ms: int) -> None:
        """See GroupStore."""
        with atomic(self._connection) as connection:
            rule = _rule(connection, number)
            splits = Splits(connection)
            names = _names(connection, rule)
            for name in names:
                if inner := splits.rules_on(name):
                    raise UsageError(
                        f"the group that split {number} makes is split itself: take back split {inner[0].id} first"
                    )
            # Once carried on to a newer fingerprint version, it is there more than once.
            same = (rule.origin, rule.field, rule.value)
            groups = connection.execute(
                "DELETE FROM group_splits WHERE (origin, field, value) = (?, ?, ?) RETURNING fingerprint", same
            ).fetchall()
            reached_before = splits.reach(group for (group,) in groups)
            # If it is ever made again, it begins anew.
            connection.executemany("DELETE FROM group_states WHERE fingerprint = ?", [(name,) for name in names])
            queue_moves(connection, reached_before)

    def move(self) -> int:
        """See GroupStore."""
        with reading(self._connection):
            if not next_queued(self._connection):
                return 0
        with atomic(self._connection) as connection:
            moved = move_queued(connection)
            reached("groups: move not committed")
        return moved

    def told_of(self, states: tuple[GroupState, ...], now_ms: int, most: int) -> list[GroupTold]:
        """See GroupStore."""
        with reading(self._connection):
            return told_of(self._connection, states, now_ms, most)

    def prune_hours(self, before_ms: int) -> int:
        """See GroupStore."""
        with reading(self._connection):
            if not has_old_hours(self._connection, before_ms):
                return 0
        with atomic(self._connection) as connection:
            return prune_hours(connection, before_ms)


def _group_of(connection: sqlite3.Connection, fingerprint: str) -> str:
    """The group that somebody names by one of its fingerprints. Raises UsageError."""
    if connection.execute(_KNOWN, {"name": fingerprint}).fetchone() is None:
        raise UsageError(f"there is no group {fingerprint}")
    return Merges(connection).group_of(fingerprint)


def _rule(connection: sqlite3.Connection, number: int) -> Rule:
    found = connection.execute(f"SELECT {RULES.sql} FROM group_splits WHERE id = ?", (number,)).fetchone()
    if found is None:
        raise UsageError(f"there is no split {number}")
    return RULES.read(found)


def _names(connection: sqlite3.Connection, rule: Rule) -> list[str]:
    """The groups that a rule makes, of each fingerprint version that is there."""
    return [rule.name(version) for version in versions_of(connection)]
