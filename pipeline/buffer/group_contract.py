"""What a buffer promises about groups of dead letters: what people say of them, merge, split and note."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, get_args

GroupState = Literal["new", "ongoing", "regressed", "escalating", "resolved", "ignored"]
"""How a group stands, see docs/dead-letters.md."""
SplitField = Literal["reason", "stacktrace", "error_class", "topic", "source_topic"]
"""What of a dead letter a split looks at: the first two contain its value, in any case; the others are equal to it."""

GROUP_STATES: tuple[GroupState, ...] = get_args(GroupState)
SPLIT_FIELDS: tuple[SplitField, ...] = get_args(SplitField)
CONTAINING: tuple[SplitField, ...] = ("reason", "stacktrace")

HOUR_MS = 3_600_000
NEW_FOR_MS = 24 * HOUR_MS
USUAL_HOURS = 168
"""The usual hourly rate is the mean of so many hours, or of those since the group was first seen and met,"""
LEAST_USUAL_HOURS = 24
"""and of fewer than so many there is none."""
ESCALATING_TIMES = 10
LEAST_ESCALATING = 10
"""Dead letters in an hour: fewer are no escalation, however rare the group is."""
HOURS_KEPT = 2 * USUAL_HOURS


class GroupTold(NamedTuple):
    """A group that somebody may want to be told of."""

    fingerprint: str
    title: str
    state: GroupState
    last_hour: int
    """Dead letters of the hour that runs or the one before, whichever had more."""


class GroupStore(Protocol):
    """What people say of groups. Any of its fingerprints names a group; UsageError is raised for an unknown one."""

    def resolve(self, fingerprint: str, by: str, now_ms: int) -> None:
        """Notes that the cause is gone. The transaction that adds a dead letter of the group has it regressed."""

    def ignore(self, fingerprint: str, until_ms: int, by: str, now_ms: int) -> None:
        """Notes that nobody wants to see the group until then."""

    def reopen(self, fingerprint: str, by: str, now_ms: int) -> None:
        """Notes that the group is known and not resolved, whatever was said before."""

    def note(self, fingerprint: str, note: str, by: str, now_ms: int) -> None:
        """Adds a note. The same one twice is one."""

    def merge(self, into: str, fingerprints: list[str], by: str, now_ms: int) -> None:
        """Makes the groups one, also for dead letters to come.

        What was said last of one of them is the state of all; if that they are resolved, and one has failed since, the
        group has regressed.
        """

    def unmerge(self, fingerprint: str, now_ms: int) -> None:
        """Takes a fingerprint out of the group that it was merged into.

        It has the state that it had before; if that is resolved, and it has failed since, it has regressed.
        """

    def split(self, fingerprint: str, field: SplitField, value: str, by: str, now_ms: int) -> int:
        """Makes dead letters of the group that match a group of their own, also those to come; returns its number.

        It begins with the state of the group. Those that are there are moved by `move`.
        """

    def unsplit(self, number: int, now_ms: int) -> None:
        """Takes a split back. Refused with UsageError while its group is split itself."""

    def move(self) -> int:
        """Holds the next few dead letters against the rules; how many were looked at, 0 when none are left."""

    def told_of(self, states: tuple[GroupState, ...], now_ms: int, most: int) -> list[GroupTold]:
        """The groups in one of these states, at most so many."""

    def prune_hours(self, before_ms: int) -> int:
        """Drops the next few counts of hours before then; returns how many."""
