"""When a member of the group joins it again: when what it was dealt out is not to be read, or nobody answers it."""

from __future__ import annotations

from pipeline.clock import Clock, is_due, steady_clock_ms

FIRST_WAIT_MS = 1000
LONGEST_WAIT_MS = 30_000
"""Each time the others of the group have to wait for it. After so long without a need for it, it is at once again."""

JOIN_PATIENCE_MS = 5_000
"""Beyond a session's length: so long the others of the group are waited for."""
_ASKED = frozenset({"wait-join", "wait-sync"})
"""The library's states between a question to the group's coordinator and the answer."""


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


class JoinWatch:
    """Notices a question to join that nobody answers.

    The library waits for the answer as long as a member of the group may take over a batch (`max.poll.interval.ms`,
    five minutes): over a connection whose other end is gone, in vain. `session_ms` is how long Kafka waits for a
    silent member before it answers the others.
    """

    def __init__(self, session_ms: int, steady_clock: Clock = steady_clock_ms) -> None:
        self._patience_ms = session_ms + JOIN_PATIENCE_MS
        self._clock = steady_clock
        self._asked_at_ms: int | None = None

    def is_in_vain(self, join_state: str) -> bool:
        """Whether it has been asked for too long; called with each look at the state."""
        if join_state not in _ASKED:
            self._asked_at_ms = None
            return False
        if self._asked_at_ms is None:
            self._asked_at_ms = self._clock()
        return is_due(self._clock(), self._asked_at_ms, self._patience_ms)
