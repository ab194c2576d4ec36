"""How every role outlives what it depends on: a session that fails is closed, and a new one begins after a wait.

A session keeps nothing that the buffer does not hold, so beginning again is always right.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from pipeline.clock import Clock, StopSignal
from pipeline.errors import BufferCorruptError, StaleWriterError, TopicChangedError, UnavailableError
from pipeline.running.statusboard import RoleState, StatusWriter

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 5.0
REPORT_EVERY_S = 1.0
SETTLED_AFTER_MS = 10_000
"""A session that lasted so long was a good one: the next failure waits the shortest time again."""


def keep_going(session: Callable[[], None], status: StatusWriter, clock: Clock, stop: StopSignal) -> None:
    """Runs sessions until asked to stop. What else they raise is a defect and ends the process.

    Until a session reports that it runs, the status is why the one before it failed.
    """
    wait_s = FIRST_WAIT_S
    state: RoleState = "starting"
    reason = "connecting"
    logged: set[str] = set()
    while not stop.is_set():
        status.report(state, reason)
        began_at_ms = clock()
        try:
            session()
            continue
        except (StaleWriterError, TopicChangedError, UnavailableError) as error:
            state, reason = "waiting", str(error)
        except BufferCorruptError as error:
            state, reason = "failing", str(error)
        if clock() - began_at_ms > SETTLED_AFTER_MS:
            wait_s = FIRST_WAIT_S
            logged.clear()
        if reason not in logged:
            log.warning("%s; trying again", reason)
            logged.add(reason)
        _wait(wait_s, stop, partial(status.report, state, reason))
        wait_s = min(wait_s * 2, LONGEST_WAIT_S)


def _wait(wait_s: float, stop: StopSignal, report: Callable[[], None]) -> None:
    """Reports it again and again: who only waits must not be taken for dead."""
    while wait_s > 0 and not stop.is_set():
        report()
        stop.wait(min(wait_s, REPORT_EVERY_S))
        wait_s -= REPORT_EVERY_S
