"""What is kept of the records around a dead letter's original while they are read: those of its key, and candidates for
a good one."""

from __future__ import annotations

from collections import deque

from pipeline.records import Record

KEPT_ON_A_SIDE = 25
"""Of the records of its key so many before it and so many after it are shown: those nearest to it."""
CANDIDATES_ON_A_SIDE = 100
MOST_BYTES = 100_000
"""Larger values are no candidates, and of larger ones of its key nothing is shown."""


class Neighbours:
    """Takes the records around an offset, as they are read: those from it on in their order, those before it too."""

    def __init__(self, offset: int, key: bytes | None) -> None:
        self._offset = offset
        self._key = key
        self.original: Record | None = None
        self.older_count = 0
        self.newer_count = 0
        self.newer: list[Record] = []
        self._older: deque[Record] = deque(maxlen=KEPT_ON_A_SIDE)
        self._before: deque[Record] = deque(maxlen=CANDIDATES_ON_A_SIDE)
        self._after: list[Record] = []

    def take(self, record: Record) -> None:
        """Keeps it, or lets it go."""
        offset = record.position.offset
        if offset == self._offset:
            self.original = record
        elif offset < self._offset:
            self._take_before(record)
        else:
            self._take_after(record)

    def _take_before(self, record: Record) -> None:
        if self.is_of_key(record):
            self.older_count += 1
            self._older.append(record)
        if _is_candidate(record):
            self._before.append(record)

    def _take_after(self, record: Record) -> None:
        if self.is_of_key(record):
            self.newer_count += 1
            if len(self.newer) < KEPT_ON_A_SIDE:
                self.newer.append(record)
        if _is_candidate(record) and len(self._after) < CANDIDATES_ON_A_SIDE:
            self._after.append(record)

    def is_of_key(self, record: Record) -> bool:
        """Whether it has the same key."""
        return self._key is not None and record.key == self._key

    @property
    def of_key(self) -> list[Record]:
        """Those of its key that are kept, with the original, by offset."""
        original = [self.original] if self.original is not None else []
        return [*self._older, *original, *self.newer]

    @property
    def candidates(self) -> list[Record]:
        """What may be good records: those of the same key first, then the nearest."""
        found = [*self._before, *self._after]
        known = {record.position.offset for record in found}
        found += [
            each for each in (*self._older, *self.newer) if each.position.offset not in known and _is_candidate(each)
        ]
        return sorted(found, key=lambda each: (not self.is_of_key(each), abs(each.position.offset - self._offset)))


def _is_candidate(record: Record) -> bool:
    return bool(record.value) and len(record.value or b"") <= MOST_BYTES
