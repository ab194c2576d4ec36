"""Which fingerprints are one group, since people said so."""

from __future__ import annotations

import sqlite3
from collections import defaultdict

GROUP_OF = "coalesce((SELECT merged_into FROM group_merges WHERE group_merges.fingerprint = {0}), {0})"
"""The group of a fingerprint, in SQL."""


def in_group_named(exact: str, wanted: str) -> str:
    """The fingerprints of the groups that are named by one of their fingerprints, or by part of a title.

    Both are SQL: `exact` of the name as it is, `wanted` of it folded.
    """
    is_name = (
        f"EXISTS (SELECT 1 FROM dead_letter_groups WHERE fingerprint = {exact}) "
        f"OR EXISTS (SELECT 1 FROM group_merges WHERE merged_into = {exact})"
    )
    named = (
        "SELECT coalesce(merged_into, fingerprint) AS name "
        "FROM dead_letter_groups LEFT JOIN group_merges USING (fingerprint) "
        f"WHERE fingerprint = {exact} OR holds({wanted}, title) AND NOT ({is_name}) "
        f"UNION SELECT merged_into FROM group_merges WHERE {exact} IN (fingerprint, merged_into)"
    )
    return (
        f"WITH named AS ({named}) SELECT name AS fingerprint FROM named "
        "UNION ALL SELECT fingerprint FROM group_merges WHERE merged_into IN (SELECT name FROM named)"
    )


class Merges:
    """All merges as they are in the transaction that is open; people make few."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._into: dict[str, str] = dict(connection.execute("SELECT fingerprint, merged_into FROM group_merges"))
        self._merged: defaultdict[str, set[str]] = defaultdict(set)
        for fingerprint, group in self._into.items():
            self._merged[group].add(fingerprint)

    def group_of(self, fingerprint: str) -> str:
        """The group that a fingerprint belongs to: nearly always itself."""
        return self._into.get(fingerprint, fingerprint)

    def members(self, group: str) -> list[str]:
        """The fingerprints of a group, its own first."""
        return [group, *sorted(self._merged.get(group, ()))]

    def is_merged(self, fingerprint: str) -> bool:
        """Whether its group has other fingerprints too."""
        return fingerprint in self._into or bool(self._merged.get(fingerprint))

    def merge(self, group: str, into: str, by: str, now_ms: int) -> None:
        """Has all fingerprints of a group belong to another one."""
        for fingerprint in self.members(group):
            self._connection.execute(
                "INSERT INTO group_merges VALUES (?, ?, ?, ?) "
                "ON CONFLICT (fingerprint) DO UPDATE SET merged_into = excluded.merged_into",
                (fingerprint, into, by, now_ms),
            )
            self._into[fingerprint] = into
            self._merged[into].add(fingerprint)
        self._merged.pop(group, None)

    def unmerge(self, fingerprint: str) -> None:
        """Has a fingerprint be a group of its own again."""
        self._connection.execute("DELETE FROM group_merges WHERE fingerprint = ?", (fingerprint,))
        self._merged[self._into.pop(fingerprint)].discard(fingerprint)
