"""What was said last of a group, and whether a resolved one came back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable
from typing import Literal

from pipeline.buffer.sqlite.groups.merges import GROUP_OF, Merges

_SAID = "said, said_by, said_at_ms, until_ms, regressed_at_ms"


def say(
    connection: sqlite3.Connection,
    group: str,
    said: Literal["resolved", "ignored", "known"],
    by: str,
    now_ms: int,
    until_ms: int | None = None,
) -> None:
    """Puts this in the place of what was said before."""
    connection.execute(
        f"INSERT OR REPLACE INTO group_states (fingerprint, {_SAID}) VALUES (?, ?, ?, ?, ?, NULL)",
        (group, said, by, now_ms, until_ms),
    )


def regress(connection: sqlite3.Connection, fingerprints: Collection[str], now_ms: int) -> None:
    """Has the resolved groups of these fingerprints, of each of which a dead letter came, be back."""
    connection.execute(
        "UPDATE group_states SET regressed_at_ms = ? WHERE said = 'resolved' AND regressed_at_ms IS NULL "
        f"AND fingerprint IN (SELECT {GROUP_OF.format('value')} FROM json_each(?))",
        (now_ms, json.dumps(list(fingerprints))),
    )


def copy_state(connection: sqlite3.Connection, group: str, to: str) -> None:
    """Has a group without a state begin with that of another one."""
    connection.execute(
        f"INSERT OR IGNORE INTO group_states (fingerprint, {_SAID}) "
        f"SELECT ?, {_SAID} FROM group_states WHERE fingerprint = ?",
        (to, group),
    )


def combine(connection: sqlite3.Connection, group: str, other: str) -> None:
    """Has a group that another one's dead letters come to be what was said last of either."""
    copy_state(connection, other, group)
    connection.execute(
        f"UPDATE group_states SET ({_SAID}) = (SELECT {_SAID} FROM group_states WHERE fingerprint = :other) "
        "WHERE fingerprint = :this "
        "AND said_at_ms < (SELECT said_at_ms FROM group_states WHERE fingerprint = :other)",
        {"this": group, "other": other},
    )


def regress_what_failed_since(connection: sqlite3.Connection, group: str) -> None:
    """Has a resolved group be back if one of its fingerprints was seen after that was said."""
    connection.execute(
        "UPDATE group_states SET regressed_at_ms = last.seen_ms FROM ("
        "  SELECT max(last_seen_ms) AS seen_ms FROM dead_letter_groups WHERE total > 0 AND "
        "  (fingerprint = :group OR fingerprint IN (SELECT fingerprint FROM group_merges WHERE merged_into = :group))"
        ") AS last WHERE fingerprint = :group AND said = 'resolved' AND regressed_at_ms IS NULL "
        "AND last.seen_ms > said_at_ms",
        {"group": group},
    )


def regress_groups(connection: sqlite3.Connection, fingerprints: Iterable[str]) -> None:
    """The same for the groups of fingerprints that dead letters were moved to."""
    merges = Merges(connection)
    for group in {merges.group_of(fingerprint) for fingerprint in fingerprints}:
        regress_what_failed_since(connection, group)
