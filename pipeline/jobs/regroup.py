"""Groups all dead letters by the newest fingerprint version, a few at a time, while everything else goes on.

Nobody does it unasked: by another rule a group may be several, or several one. Whoever begins again after a crash goes
on where it ended: what is left is what is in groups of an older version.
"""

from __future__ import annotations

from pipeline.buffer import Buffer, OldFailure, Regrouped
from pipeline.crash_points import reached
from pipeline.dead_letters.causes import FINGERPRINT_VERSION, fingerprint


class Regrouping:
    """What is to be regrouped, a step at a time."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer

    def left(self) -> int:
        """How many dead letters are in groups of an older version."""
        return self._buffer.regrouping.count_older(FINGERPRINT_VERSION)

    def step(self) -> int:
        """Regroups the next few; returns how many they were, 0 when none are left."""
        found = self._buffer.regrouping.older(FINGERPRINT_VERSION)
        if not found:
            return 0
        # Outside of the transaction, so that nobody waits for it.
        moves = list(map(_moved, found))
        reached("regroup: before letters are moved")
        self._buffer.regrouping.regroup(moves, FINGERPRINT_VERSION)
        reached("regroup: letters moved")
        return len(found)


def _moved(old: OldFailure) -> Regrouped:
    group = fingerprint(old.error_class, old.reason, old.rule, old.source_topic, old.stacktrace, old.topic)
    return Regrouped(old.id, old.fingerprint, group.fingerprint, group.title, old.error_class, old.source_topic)
