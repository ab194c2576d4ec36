"""Stops reading when most orders fail, until somebody lets it go on: a wrong deployment may fail a million of them.

Each topic has a brake of its own: whoever writes one wrongly stops no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pipeline.buffer import Batch, BrakeLimit, StoppedTopic, ref_of
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.clock import Clock, Interval
from pipeline.settings import Settings

LOOK_EVERY_MS = 500


class Brake:
    """What a processor knows of its topics' brakes. Their state is in the buffer, so all processors obey them.

    `topic_of` tells the topic of each partition of the buffer that records are of.
    """

    def __init__(self, settings: Settings, writer: BatchWriter, topic_of: Mapping[int, str], clock: Clock) -> None:
        self._limit = BrakeLimit(settings.brake_share, settings.brake_min_records, settings.brake_window_s * 1000)
        self._writer = writer
        self._topic_of = topic_of
        self._clock = clock
        self._interval = Interval(LOOK_EVERY_MS, clock)
        self.stopped: dict[str, StoppedTopic] = {}
        """The topics of which nothing is read now, and why; others than ours among them."""

    def count(self, written: Batch) -> None:
        """Counts a batch that is in the buffer; looks whether reading is stopped. No batch may be on its way."""
        counted = bool(self._limit.share) and self._count(written)
        if counted or self._interval.is_over():
            self.look()

    def _count(self, written: Batch) -> bool:
        """Whether there was anything to count."""
        failed = self._by_topic(Counter(ref_of(row.record_id) for row in written.outbox))
        orders = Counter(ref_of(row.record_id) for row in written.orders)
        for block in written.blocks:
            orders[ref_of(block.record_ids[0])] += len(block.record_ids)
        accepted = self._by_topic(orders)
        for topic in accepted.keys() | failed.keys():
            self._writer.watch.count_judged(topic, accepted[topic], failed[topic], self._limit, self._clock())
        return bool(accepted or failed)

    def _by_topic(self, by_ref: Mapping[int, int]) -> Counter[str]:
        found: Counter[str] = Counter()
        for ref, count in by_ref.items():
            found[self._topic_of[ref]] += count
        return found

    def look(self) -> None:
        """Asks the buffer: another processor may have stopped reading, and a person may let it go on."""
        self.stopped = {each.topic: each for each in self._writer.watch.stopped()}
