"""Writes a role's batches one after another; big ones while the next records are already read and decoded.

SQLite works without the interpreter's lock, so on two cores that takes the time of the slower half, not the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import get_ident

from pipeline.buffer.contract import Buffer, DeadLetterStore, FlowStore, WatchStore
from pipeline.buffer.reread_contract import RereadStore
from pipeline.clock import Clock

BIG_RECORDS = 500
"""From here on a thread pays; below, what came is in the buffer before anything else is done, for latency."""
MIN_RECORDS = 50
LONG_MS = 1000
"""Others wait for their turn meanwhile: a batch that took longer has the next ones be smaller."""
SHORT_MS = 250
SLOW_MS = 2000
"""A batch takes a tenth of a second where nothing is wrong."""
REPORTED_FOR_MS = 10_000
REPORT_EVERY_S = 0.25

Commit = Callable[[Buffer], object]
"""Writes one batch to the buffer that it is given."""


class BatchWriter:
    """Has a buffer for itself, and hands it out: to a batch while that is being written, otherwise by `flow` and so on.

    At most one batch is being written. `flow` and `dead_letters` wait for it, so nobody comes in between. A store that
    somebody kept raises RuntimeError meanwhile, see Buffer.reserve. Closing the writer closes the buffer.
    """

    def __init__(self, buffer: Buffer, max_records: int, steady_clock: Clock) -> None:
        self.records_at_once = max_records
        """How many records the next batch may have."""
        self._buffer = buffer
        self._max_records = max_records
        self._steady_clock = steady_clock
        self._began_at_ms = 0
        self._took_ms = 0
        self._slow_at_ms = 0
        self._thread = ThreadPoolExecutor(1, "batch-writer")
        self._thread_id = self._thread.submit(get_ident).result()
        self._under_way: Future[object] | None = None

    @property
    def flow(self) -> FlowStore:
        """What is known of partitions, once no batch is being written. To be used at once, not to be kept."""
        self.wait()
        return self._buffer.flow

    @property
    def dead_letters(self) -> DeadLetterStore:
        """The dead letters, once no batch is being written. To be used at once, not to be kept."""
        self.wait()
        return self._buffer.dead_letters

    @property
    def watch(self) -> WatchStore:
        """Alerts and events, once no batch is being written. To be used at once, not to be kept."""
        self.wait()
        return self._buffer.watch

    @property
    def rereads(self) -> RereadStore:
        """Which topics are not to be read, once no batch is being written. To be used at once, not to be kept."""
        self.wait()
        return self._buffer.rereads

    def check_file(self) -> None:
        """See Buffer."""
        self._buffer.check_file()

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
        elif self._slow_at_ms and now_ms - self._slow_at_ms <= REPORTED_FOR_MS:
            took = f"a batch took {self._took_ms / 1000:.1f} s"
        else:
            return ""
        return f"writing to the buffer is slow, {took}: its disk is slow, or another program holds it up"

    def write(self, commit: Commit, records: int) -> None:
        """Has `commit` write a batch that `records` new records caused, or begins to. The one before must be finished.

        Raises what `commit` raises, as `finish` does for a batch that is written meanwhile.
        """
        if self._under_way is not None:
            raise RuntimeError("the batch before is not finished")
        self._began_at_ms = self._steady_clock()
        if records < BIG_RECORDS:
            self._timed(commit, records)
        else:
            # From here on, not only once the thread has begun.
            self._buffer.reserve(self._thread_id)
            self._under_way = self._thread.submit(self._timed, commit, records)

    def wait(self) -> None:
        """Waits for the batch that is being written, whatever becomes of it: `finish` raises what it raised."""
        if self._under_way is not None:
            wait([self._under_way])
            self._buffer.reserve(None)

    def finish(self, report: Callable[[], None] = lambda: None) -> None:
        """Waits for the batch that is being written and raises what that raised. Calls `report` while that lasts."""
        if self._under_way is None:
            return
        while not wait([self._under_way], REPORT_EVERY_S).done:
            report()
        self.wait()
        under_way, self._under_way = self._under_way, None
        under_way.result()

    def close(self) -> None:
        """Ends the thread, after the batch that it may be writing, and closes the buffer."""
        self._thread.shutdown()
        self._buffer.close()

    def _timed(self, commit: Commit, records: int) -> None:
        commit(self._buffer)
        ended_ms = self._steady_clock()
        took_ms = ended_ms - self._began_at_ms
        if took_ms >= SLOW_MS:
            self._took_ms, self._slow_at_ms = took_ms, ended_ms
        if took_ms > LONG_MS:
            self.records_at_once = max(MIN_RECORDS, min(self.records_at_once, records * LONG_MS // took_ms))
        elif took_ms < SHORT_MS:
            self.records_at_once = min(self._max_records, self.records_at_once * 2)
