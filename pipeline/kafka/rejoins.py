"""When a member of the group that was dealt out what is not to be read leaves and joins again."""

from __future__ import annotations

from pipeline.clock import Clock, is_due, steady_clock_ms

FIRST_WAIT_MS = 1000
LONGEST_WAIT_MS = 30_000
"""Each time the others of the group have to wait for it. After so long without a need for it, it is at once again."""


class Rejoins:
    """At once, then ever more slowly as long as what is dealt out does not get better."""

    def __init__(self, steady_clock: Clock = steady_clock_ms) -> None:
        self._clock = steady_clock
        self._wanted = False
        self._wait_ms = 0
        self._at_ms = steady_clock()

    def want(self) -> None:
        """Something was dealt out that is not to be read."""
        self._wanted = True

    def pop_due(self) -> bool:
        """Whether to leave now; then the wait for the next time begins."""
        if not self._wanted or not is_due(self._clock(), self._at_ms, self._wait_ms):
            return False
        if is_due(self._clock(), self._at_ms, self._wait_ms + LONGEST_WAIT_MS):
            self._wait_ms = 0
        self._wanted, self._at_ms = False, self._clock()
        self._wait_ms = min(max(FIRST_WAIT_MS, self._wait_ms * 2), LONGEST_WAIT_MS)
        return True
