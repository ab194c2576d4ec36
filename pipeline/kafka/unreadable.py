"""Partitions that cannot be read just now: each has its own reason, and a wait of its own that grows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pipeline.clock import Clock
from pipeline.kafka.messages import PartitionKey

FIRST_WAIT_MS = 250
LONGEST_WAIT_MS = 15_000
QUIET_MS = 3000
"""A partition that is read again and of which nobody complains for so long is well, though it may have no records."""
SHOWN = 3
"""So many partitions of one reason are named; the rest are counted."""


@dataclass(slots=True)
class _Trouble:
    reason: str
    wait_ms: int
    since_ms: int
    on_trial: bool = False


class UnreadablePartitions:
    """What is known of them. Its owner takes them out of reading, and tries again what `pop_due` returns."""

    def __init__(self, steady_clock: Clock) -> None:
        self._steady_clock = steady_clock
        self._troubles: dict[PartitionKey, _Trouble] = {}

    def __len__(self) -> int:
        return len(self._troubles)

    def __contains__(self, key: PartitionKey) -> bool:
        return key in self._troubles

    def failed(self, key: PartitionKey, reason: str) -> None:
        """A partition cannot be read: it waits, twice as long as the last time."""
        before = self._troubles.get(key)
        wait_ms = min(before.wait_ms * 2, LONGEST_WAIT_MS) if before else FIRST_WAIT_MS
        self._troubles[key] = _Trouble(reason, wait_ms, self._steady_clock())

    def pop_due(self, is_answered: Callable[[PartitionKey], bool]) -> list[PartitionKey]:
        """Partitions whose wait is over: on trial until they fail again, are read, or stay quiet for long enough.

        Quiet counts only where `is_answered`: the broker gives an answer when it is asked for records.
        """
        now_ms = self._steady_clock()
        due = []
        for key, trouble in list(self._troubles.items()):
            passed_ms = now_ms - trouble.since_ms
            if trouble.on_trial and passed_ms >= QUIET_MS:
                if is_answered(key):
                    del self._troubles[key]
            elif not trouble.on_trial and passed_ms >= trouble.wait_ms:
                trouble.on_trial, trouble.since_ms = True, now_ms
                due.append(key)
        return due

    def forget(self, keys: Iterable[PartitionKey]) -> None:
        """These can be read, or are ours no more."""
        for key in keys:
            self._troubles.pop(key, None)

    def waiting(self) -> set[PartitionKey]:
        """Those that are out of reading: none that is on trial."""
        return {key for key, trouble in self._troubles.items() if not trouble.on_trial}

    def reasons(self) -> dict[str, str]:
        """Why each cannot be read, by `topic[partition]`."""
        return {
            f"{topic}[{partition}]": self._troubles[topic, partition].reason
            for topic, partition in sorted(self._troubles)
        }


def in_one_line(reasons: dict[str, str]) -> str:
    """`reasons` in one line, partitions of the same reason together; empty when there are none."""
    if not reasons:
        return ""
    partitions_of: dict[str, list[str]] = {}
    for partition, reason in reasons.items():
        partitions_of.setdefault(reason, []).append(partition)
    return "; ".join(f"not read: {_some(partitions)}: {reason}" for reason, partitions in partitions_of.items())


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
