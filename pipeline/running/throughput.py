"""Records a second over the last few seconds."""

from __future__ import annotations

from collections import deque

from pipeline.clock import Clock

OVER_MS = 5000


class Throughput:
    """Counts records and calculates the rate of the last five seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: deque[tuple[int, int]] = deque()
        self._total = 0

    def add(self, records: int) -> None:
        """So many more."""
        if records:
            self._counts.append((self._clock(), records))
            self._total += records

    def per_s(self) -> float:
        """The rate, 0.0 when nothing came."""
        oldest_ms = self._clock() - OVER_MS
        while self._counts and self._counts[0][0] < oldest_ms:
            self._total -= self._counts.popleft()[1]
        return round(self._total * 1000 / OVER_MS, 1)
