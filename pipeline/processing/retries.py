"""When a failed record is tried again, and what waits behind it.

The rows are the buffer's; this is the processor's index of them in memory, rebuilt from the buffer on assignment.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, KeysView
from dataclasses import dataclass

from pipeline.settings import Settings

Key = bytes | None


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before each retry.

    `exponential` waits anything from 0 to min(cap, base * 2^(retry - 1)), all equally likely ("full jitter", Marc
    Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). `draw` gives numbers in [0, 1).
    """

    preset: str
    retries: int
    base_ms: int
    cap_ms: int
    draw: Callable[[], float]

    @property
    def longest_ms(self) -> int:
        """No wait is longer."""
        return self.base_ms if self.preset == "fixed" else self.cap_ms

    def delay_ms(self, attempts: int) -> int | None:
        """The wait after that many failed attempts; None when no retry is left."""
        if attempts > self.retries:
            return None
        if self.preset == "fixed":
            return self.base_ms
        # Beyond 2^32 every cap is reached; the power must not grow with the attempts.
        return int(self.draw() * min(self.cap_ms, self.base_ms * 2 ** min(attempts - 1, 32)))


def backoff_of(settings: Settings, draw: Callable[[], float]) -> Backoff:
    """The backoff that the settings ask for."""
    if settings.retry_preset == "fixed":
        return Backoff("fixed", 3, 2000, 2000, draw)
    retries = 0 if settings.retry_preset == "none" else settings.retry_max
    return Backoff(settings.retry_preset, retries, settings.retry_base_ms, settings.retry_cap_ms, draw)


class ParkedIndex:
    """The parked records of one partition: which is due when, and which keys are held up.

    Records of one key are tried in the order in which they came (`order` of `add`): only the first of them can be due.
    Those without a key stand for themselves.
    """

    def __init__(self) -> None:
        self._queues: dict[bytes, deque[int]] = {}
        self._key_of: dict[int, Key] = {}
        self._due: list[tuple[int, int]] = []
        self._now_ms = 0

    def __len__(self) -> int:
        return len(self._key_of)

    @property
    def held_keys(self) -> KeysView[bytes]:
        """Keys whose records have to wait behind a parked one, now and as more are parked."""
        return self._queues.keys()

    def add(self, record_id: int, key: Key, due_at_ms: int) -> None:
        """Parks a record at the end of its key's queue; one that waits behind others is due when they are settled."""
        self._key_of[record_id] = key
        if key is None:
            heapq.heappush(self._due, (due_at_ms, record_id))
            return
        queue = self._queues.setdefault(key, deque())
        queue.append(record_id)
        if len(queue) == 1:
            heapq.heappush(self._due, (due_at_ms, record_id))

    def next_due_ms(self) -> int | None:
        """When the next record is due; None when nothing is parked."""
        return self._due[0][0] if self._due else None

    def take_due(self, now_ms: int, limit: int) -> list[int]:
        """Up to `limit` records whose time has come. Each must be given back: postponed or settled."""
        if now_ms < self._now_ms:
            # The clock was set back: what waits waits no longer for that.
            self._due = [(due_at_ms - (self._now_ms - now_ms), record_id) for due_at_ms, record_id in self._due]
        self._now_ms = now_ms
        taken: list[int] = []
        while self._due and self._due[0][0] <= now_ms and len(taken) < limit:
            taken.append(heapq.heappop(self._due)[1])
        return taken

    def postpone(self, record_id: int, due_at_ms: int) -> None:
        """Failed again: its key waits on."""
        heapq.heappush(self._due, (due_at_ms, record_id))

    def settle(self, record_id: int) -> int | None:
        """Parked no more; returns the record of the same key that may now be tried, if one waits.

        That one has been taken: it must be given back, too.
        """
        key = self._key_of.pop(record_id)
        if key is None:
            return None
        queue = self._queues[key]
        queue.popleft()
        if not queue:
            del self._queues[key]
            return None
        return queue[0]
