"""Keeps sample orders, replays and dead letters from outrunning the demo cluster, which drops what it cannot hold.

A real cluster keeps what it was given, so nothing waits there.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.clock import Clock, is_due
from pipeline.running.statusboard import RoleStatus, read_roles
from pipeline.settings import Settings

WINDOW_RECORDS = 10_000
DEMO_OUTSTANDING = 10_000
"""Orders of some 250 bytes that may wait for the processor: far below 5 MB even if all share a partition's fate."""
DEMO_UNCOLLECTED = 2000
"""Dead letters of some 1.5 kB, with their headers, that may wait for the collector."""
LOOK_EVERY_MS = 100


class Pace:
    """How much may be sent now. The roles report on the status board how far they are."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._roles: list[RoleStatus] = []
        self._looked_at_ms = 0

    @property
    def limited(self) -> bool:
        """Whether what goes to topics of the orders has to wait for the processor."""
        return self._settings.demo and self._settings.sends_orders

    def orders(self, ends: Mapping[str, Mapping[int, int]], under_way: int) -> int:
        """Records that may go to these topics of the orders; 0: wait.

        Their partitions are known to end at `ends`, with so many records `under_way` beyond.
        """
        if not self.limited:
            return WINDOW_RECORDS
        reached: dict[str, int] = {}
        waiting = under_way
        for status in self._speaking("processor"):
            waiting += int(status.figures.get("outbox", 0))
            for name, partition in status.figures.get("partitions", {}).items():
                reached[name] = partition["next_offset"]
        known = {f"{topic}[{partition}]": end for topic, found in ends.items() for partition, end in found.items()}
        if not reached or known.keys() - reached.keys():
            return 0  # the processor is away or has not got all partitions yet
        outstanding = sum(max(0, end - reached[name]) for name, end in known.items())
        return max(0, min(WINDOW_RECORDS, DEMO_OUTSTANDING - outstanding - waiting))

    def dead_letters(self) -> bool:
        """Whether dead letters may go to their topic now."""
        if not self._settings.demo or "collector" not in self._settings.roles:
            return True
        collectors = self._speaking("collector")
        lag = sum(int(status.figures.get("lag", 0)) for status in collectors if status.state == "running")
        return any(status.state == "running" for status in collectors) and lag < DEMO_UNCOLLECTED

    def _speaking(self, role: str) -> list[RoleStatus]:
        now_ms = self._clock()
        if is_due(now_ms, self._looked_at_ms, LOOK_EVERY_MS):
            self._roles = read_roles(self._settings.data_dir)
            self._looked_at_ms = now_ms
        return [status for status in self._roles if status.role == role and not status.silent(now_ms)]
