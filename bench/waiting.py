"""Waits for what is to come about, and tells after how long it did not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LOOK_EVERY_S = 0.02


def wait_until(condition: Callable[[], bool], limit_s: float = 600, every_s: float = LOOK_EVERY_S) -> None:
    """Looks again and again until the condition holds. Raises TimeoutError."""
    deadline, never = time.monotonic() + limit_s, threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {limit_s:.0f} s")
        never.wait(every_s)
