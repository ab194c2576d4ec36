"""Stops reading when most orders fail, until somebody lets it go on: a wrong deployment may fail a million of them."""

from __future__ import annotations

from pipeline.buffer import Batch, BrakeLimit, StoppedTopic
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.clock import Clock, Interval
from pipeline.settings import Settings

LOOK_EVERY_MS = 500


class Brake:
    """What the processors of one topic know of its brake. Its state is in the buffer, so all of them obey it."""

    def __init__(self, settings: Settings, writer: BatchWriter, topic: str, clock: Clock) -> None:
        self._limit = BrakeLimit(settings.brake_share, settings.brake_min_records, settings.brake_window_s * 1000)
        self._writer = writer
        self._topic = topic
        self._clock = clock
        self._interval = Interval(LOOK_EVERY_MS, clock)
        self.stopped: StoppedTopic | None = None
        """Why nothing is read now; None while all is."""

    def count(self, written: Batch) -> None:
        """Counts a batch that is in the buffer; looks whether reading is stopped. No batch may be on its way."""
        counted = bool(self._limit.share) and self._count(written)
        if counted or self._interval.is_over():
            self.look()

    def _count(self, written: Batch) -> bool:
        """Whether there was anything to count."""
        failed = len(written.outbox)
        accepted = len(written.orders) + sum(len(block.record_ids) for block in written.blocks)
        if accepted or failed:
            self._writer.watch.count_judged(self._topic, accepted, failed, self._limit, self._clock())
        return bool(accepted or failed)

    def look(self) -> None:
        """Asks the buffer: another processor may have stopped reading, and a person may let it go on."""
        self.stopped = next((each for each in self._writer.watch.stopped() if each.topic == self._topic), None)
