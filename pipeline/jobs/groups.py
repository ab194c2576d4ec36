"""What people say of groups: states, merges, splits and notes; and the steps that move dead letters for it.

A merge holds at once, whatever the size of the groups. Rules of splits hold at once for dead letters to come; those
that are there are moved a few at a time, by the worker and by who asked on the command line.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.buffer import SPLIT_FIELDS, Buffer, SplitField
from pipeline.clock import Clock
from pipeline.errors import UsageError

NOTE_LETTERS = 2_000
VALUE_LETTERS = 500


class GroupChanges:
    """Changes by one person. Each raises UsageError where it cannot be done, and nothing is changed then."""

    def __init__(self, buffer: Buffer, clock: Clock, by: str) -> None:
        self._groups = buffer.groups
        self._clock = clock
        self._by = by

    def resolve(self, fingerprint: str) -> None:
        """Its cause is gone."""
        self._groups.resolve(fingerprint, self._by, self._clock())

    def reopen(self, fingerprint: str) -> None:
        """It is known, and neither resolved nor ignored."""
        self._groups.reopen(fingerprint, self._by, self._clock())

    def ignore(self, fingerprint: str, until_ms: int) -> None:
        """Nobody wants to see it until then."""
        now_ms = self._clock()
        if until_ms <= now_ms:
            raise UsageError("a group can be ignored until a time that is still to come")
        self._groups.ignore(fingerprint, until_ms, self._by, now_ms)

    def note(self, fingerprint: str, note: str) -> None:
        """Writes something down of it."""
        self._groups.note(fingerprint, _text(note, "a note", NOTE_LETTERS), self._by, self._clock())

    def merge(self, into: str, fingerprints: Sequence[str]) -> None:
        """Makes groups one with another one."""
        self._groups.merge(into, list(fingerprints), self._by, self._clock())

    def unmerge(self, fingerprint: str) -> None:
        """Takes a fingerprint out of the group that it was merged into."""
        self._groups.unmerge(fingerprint, self._clock())

    def split(self, fingerprint: str, field: str, value: str) -> int:
        """Makes what matches a group of its own; returns the number of the split."""
        known: list[SplitField] = [each for each in SPLIT_FIELDS if each == field]
        if not known:
            raise UsageError(f"a group is split by one of {', '.join(SPLIT_FIELDS)}, not by {field}")
        value = _text(value, "what a group is split by", VALUE_LETTERS)
        return self._groups.split(fingerprint, known[0], value, self._by, self._clock())

    def unsplit(self, number: int) -> None:
        """Takes a split back."""
        self._groups.unsplit(number, self._clock())

    def step(self) -> int:
        """Moves the next few dead letters where they belong by now; 0 when none are left."""
        return self._groups.move()


def _text(text: str, what: str, most: int) -> str:
    text = text.strip()
    if not text:
        raise UsageError(f"{what} needs a text")
    if len(text) > most:
        raise UsageError(f"{what} has at most {most:,} characters, this has {len(text):,}")
    return text
