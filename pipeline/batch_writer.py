"""Writes a role's batches one after another; big ones while the next records are already read and decoded.

SQLite works without the interpreter's lock, so on two cores that takes the time of the slower half, not the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

BIG_RECORDS = 500
"""From here on a thread pays; below, what came is in the buffer before anything else is done, for latency."""


class BatchWriter:
    """At most one batch is being written. Until `finish` nobody else may use the buffer's connection."""

    def __init__(self) -> None:
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
            commit()
        else:
            self._under_way = self._thread.submit(commit)

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
