"""The one place that reads a clock and that pauses.

Entry points take these and pass them on. Below them a parameter may have one as its default; nothing
calls one by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Epoch milliseconds now."""

Wait = Callable[[float], bool]
"""Waits for that many seconds or until the process is to stop; true when it is to stop."""


def wall_clock_ms() -> int:
    """Epoch milliseconds, UTC."""
    return time.time_ns() // 1_000_000


def steady_clock_ms() -> int:
    """Milliseconds since some moment of its own; nobody can set it."""
    return time.monotonic_ns() // 1_000_000


def is_due(now_ms: int, last_ms: int, every_ms: int) -> bool:
    """Whether something that was done at `last_ms` is to be done again.

    It is, too, when the clock was set back meanwhile: nobody knows then how long ago that was.
    """
    return not 0 <= now_ms - last_ms < every_ms


class Interval:
    """Something that is to be done every so often; at first at once, unless `last_ms` says when it was done last."""

    def __init__(self, every_ms: int, clock: Clock, last_ms: int = 0) -> None:
        self._every_ms = every_ms
        self._clock = clock
        self._last_ms = last_ms

    def is_over(self) -> bool:
        """Whether it is to be done now; then the next interval begins."""
        now_ms = self._clock()
        if not is_due(now_ms, self._last_ms, self._every_ms):
            return False
        self._last_ms = now_ms
        return True


def pause(seconds: float) -> bool:
    """Waits so long, whatever happens meanwhile; false: nobody asked to stop. For what has no stop signal."""
    time.sleep(seconds)
    return False


class StopSignal:
    """Set by SIGTERM, SIGINT or a closed standard input; loops wait on it instead of sleeping."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Asks every loop to end."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether the process is to end."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits so long, or until asked to stop; true when asked to stop."""
        return self._event.wait(seconds)
