"""What a buffer promises about groups of older fingerprint versions, whose dead letters may come to the newest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class OldFailure(NamedTuple):
    """A dead letter of an older fingerprint version, with all that a fingerprint is made of."""

    id: int
    fingerprint: str
    error_class: str | None
    reason: str
    rule: str | None
    source_topic: str | None
    stacktrace: str | None
    topic: str | None
    """The dead-letter topic."""


class Regrouped(NamedTuple):
    """Where a dead letter belongs by the newest version. `before`: where it was when that was worked out."""

    id: int
    before: str
    fingerprint: str
    title: str
    error_class: str | None
    source_topic: str | None


class RegroupStore(Protocol):
    """Groups of older fingerprint versions. Each call is one short step."""

    def count_older(self, version: int) -> int:
        """How many dead letters are in groups of a version before this one."""

    def older(self, version: int) -> list[OldFailure]:
        """The next few of them, fewer when they are large; none when all are of this version."""

    def regroup(self, moves: Sequence[Regrouped], version: int) -> int:
        """Moves dead letters to groups of this version; returns how many. One that somebody else has moved stays.

        All else of a dead letter stays as it is. A group has been seen since the oldest of those that it is made of,
        and counts as new only if all of them do.
        """
