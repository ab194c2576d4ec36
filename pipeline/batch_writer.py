"""Writes a role's batches one after another; big ones while the next records are already read and decoded.

SQLite works without the interpreter's lock, so on two cores that takes the time of the slower half, not the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from pipeline.clock import Clock

BIG_RECORDS = 500
"""From here on a thread pays; below, what came is in the buffer before anything else is done, for latency."""


SLOW_MS = 2000
"""A batch takes a tenth of a second where nothing is wrong."""
TOLD_FOR_MS = 10_000


class BatchWriter:
    """At most one batch is being written. Until `finish` nobody else may use the buffer's connection."""

    def __init__(self, steady_clock: Clock) -> None:
        self._steady_clock = steady_clock
        self._took_ms = 0
        self._slow_at_ms = 0
        self._thread = ThreadPoolExecutor(1, "batch-writer")
        self._under_way: Future[object] | None = None

    @property
    def busy(self) -> bool:
        """Whether a batch is being written, or was since `finish` was called last."""
        return self._under_way is not None

    def write(self, commit: Callable[[], object], records: int) -> None:
        """Has `commit` write a batch that `records` new records caused, or begins to. The one before must be finished.

        Raises what `commit` raises, as `finish` does for a batch that is written meanwhile.
        """
        if records < BIG_RECORDS:
            self._timed(commit)
        else:
            self._under_way = self._thread.submit(self._timed, commit)

    @property
    def trouble(self) -> str:
        """That writing was slow a moment ago; empty when it was not."""
        if not self._slow_at_ms or self._steady_clock() - self._slow_at_ms > TOLD_FOR_MS:
            return ""
        return (
            f"writing to the buffer is slow, a batch took {self._took_ms / 1000:.1f} s: its disk is slow, or another "
            "program holds it up"
        )

    def _timed(self, commit: Callable[[], object]) -> None:
        began_ms = self._steady_clock()
        commit()
        ended_ms = self._steady_clock()
        if ended_ms - began_ms >= SLOW_MS:
            self._took_ms, self._slow_at_ms = ended_ms - began_ms, ended_ms

    def wait(self) -> None:
        """Waits for the batch that is being written, whatever becomes of it: `finish` will tell."""
        if self._under_way is not None:
            wait([self._under_way])

    def finish(self) -> None:
        """Waits for the batch that is being written and raises what that raised."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def close(self) -> None:
        """Ends the thread, after the batch that it may be writing."""
        self._thread.shutdown()
