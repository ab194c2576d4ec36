"""Writes a role's batches one after another; big ones while the next records are already read and decoded.

SQLite works without the interpreter's lock, so on two cores that takes the time of the slower half, not the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from pipeline.clock import Clock

BIG_RECORDS = 500
"""From here on a thread pays; below, what came is in the buffer before anything else is done, for latency."""
MIN_RECORDS = 50
LONG_MS = 1000
"""Others wait for their turn meanwhile: a batch that took longer has the next ones be smaller."""
SHORT_MS = 250
SLOW_MS = 2000
"""A batch takes a tenth of a second where nothing is wrong."""
TOLD_FOR_MS = 10_000
SAY_EVERY_S = 0.25


class BatchWriter:
    """At most one batch is being written. Until `finish` nobody else may use the buffer's connection."""

    def __init__(self, max_records: int, steady_clock: Clock) -> None:
        self.records_at_once = max_records
        """How many records the next batch should have at most."""
        self._max_records = max_records
        self._steady_clock = steady_clock
        self._began_at_ms = 0
        self._took_ms = 0
        self._slow_at_ms = 0
        self._thread = ThreadPoolExecutor(1, "batch-writer")
        self._under_way: Future[object] | None = None

    @property
    def busy(self) -> bool:
        """Whether a batch is being written, or was since `finish` was called last."""
        return self._under_way is not None

    @property
    def trouble(self) -> str:
        """That writing is slow, or was a moment ago; empty when it was not."""
        now_ms = self._steady_clock()
        under_way = self._under_way is not None and not self._under_way.done()
        if under_way and now_ms - self._began_at_ms >= SLOW_MS:
            took = f"a batch has taken {(now_ms - self._began_at_ms) / 1000:.0f} s so far"
        elif self._slow_at_ms and now_ms - self._slow_at_ms <= TOLD_FOR_MS:
            took = f"a batch took {self._took_ms / 1000:.1f} s"
        else:
            return ""
        return f"writing to the buffer is slow, {took}: its disk is slow, or another program holds it up"

    def write(self, commit: Callable[[], object], records: int) -> None:
        """Has `commit` write a batch that `records` new records caused, or begins to. The one before must be finished.

        Raises what `commit` raises, as `finish` does for a batch that is written meanwhile.
        """
        self._began_at_ms = self._steady_clock()
        if records < BIG_RECORDS:
            self._timed(commit, records)
        else:
            self._under_way = self._thread.submit(self._timed, commit, records)

    def wait(self) -> None:
        """Waits for the batch that is being written, whatever becomes of it: `finish` will tell."""
        if self._under_way is not None:
            wait([self._under_way])

    def finish(self, say: Callable[[], None] = lambda: None) -> None:
        """Waits for the batch that is being written and raises what that raised. `say` is called while that lasts."""
        if self._under_way is not None:
            while not wait([self._under_way], SAY_EVERY_S).done:
                say()
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def close(self) -> None:
        """Ends the thread, after the batch that it may be writing."""
        self._thread.shutdown()

    def _timed(self, commit: Callable[[], object], records: int) -> None:
        commit()
        ended_ms = self._steady_clock()
        took_ms = ended_ms - self._began_at_ms
        if took_ms >= SLOW_MS:
            self._took_ms, self._slow_at_ms = took_ms, ended_ms
        if took_ms > LONG_MS:
            self.records_at_once = max(MIN_RECORDS, min(self.records_at_once, records * LONG_MS // took_ms))
        elif took_ms < SHORT_MS:
            self.records_at_once = min(self._max_records, self.records_at_once * 2)
