"""Waits for a condition, for scripts, benchmarks and tests; never for a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")
DEADLINE_S = 60.0
LOOK_EVERY_S = 0.05


def wait_for(
    what: str, condition: Callable[[], Answer], deadline_s: float = DEADLINE_S, look_every_s: float = LOOK_EVERY_S
) -> Answer:
    """The condition's answer once it is true. Raises TimeoutError, which names `what`, when it is not in time."""
    pause, until = threading.Event(), time.monotonic() + deadline_s
    while not (answer := condition()):
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not come within {deadline_s:.0f} s")
        pause.wait(look_every_s)
    return answer
