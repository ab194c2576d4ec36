"""Has the text index follow the dead letters, in short steps between which whoever waits for the buffer gets it."""

from __future__ import annotations

from pipeline.buffer import Buffer
from pipeline.clock import Clock, Wait
from pipeline.crash_points import reached
from pipeline.watching.upkeep import PAUSE_S

AT_ONCE_MS = 300
"""So long a round takes at most; the next one goes on. At a second a round this is some 5,000 dead letters a second."""
FAR_BEHIND = 10_000
"""From so many dead letters on that the index lacks, people are told: a search looks through each of them."""


class TextIndexing:
    """One round indexes what has come since the last one, and brings parts of the index together."""

    def __init__(self, buffer: Buffer, pause: Wait, steady_clock: Clock) -> None:
        self._buffer = buffer
        self._pause = pause
        self._steady_clock = steady_clock
        self._to_merge = True

    def round(self, at_most_ms: int = AT_ONCE_MS) -> bool:
        """Does what is due; whether there may be more."""
        end_ms = self._steady_clock() + at_most_ms
        while self._step():
            if self._steady_clock() >= end_ms:
                return True
            self._pause(PAUSE_S)
        return False

    def told(self) -> str:
        """How far the index is, where it is far behind; else empty."""
        progress = self._buffer.texts.progress()
        if progress.newest - progress.indexed_to < FAR_BEHIND:
            return ""
        return f"indexing texts of dead letters for search: {progress.indexed_to:,} of {progress.newest:,}"

    def _step(self) -> bool:
        """Indexes some, and then merges until enough is merged: an index in many parts is slow to ask."""
        reached("worker: before texts are indexed")
        if self._to_merge:
            self._to_merge = self._buffer.texts.merge_some()
            worked = True
        else:
            worked = self._to_merge = self._buffer.texts.index_some() > 0
        reached("worker: texts indexed")
        return worked
