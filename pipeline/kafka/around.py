"""Records of one partition around a place, for people: what came before it and since, bounded in count and time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pipeline.clock import Clock, steady_clock_ms
from pipeline.errors import KafkaUnavailableError
from pipeline.kafka.cluster import Cluster
from pipeline.kafka.partition_reader import PartitionReader
from pipeline.kafka.unreadable import in_one_line
from pipeline.records import Position, Record
from pipeline.settings import Settings

AROUND_RECORDS = 5_000
AROUND_MS = 2_000
POLL_S = 0.1

Span = tuple[int, int]
"""Offsets: the first, and the one after the last."""


@dataclass(frozen=True, slots=True)
class LookedAt:
    """What was looked at of a partition, which holds `low` up to before `high`. `cut` says why it ended early."""

    low: int
    high: int
    spans: tuple[Span, ...]
    records: int
    cut: str = ""


class AroundReader:
    """Looks around places, a member of no group. All its looks together take so many records and so long at most."""

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        most_records: int = AROUND_RECORDS,
        most_ms: int = AROUND_MS,
        steady_clock: Clock = steady_clock_ms,
    ) -> None:
        self._reader = PartitionReader(settings, cluster, f"{settings.group_id}-look", note_ends=True)
        self._clock = steady_clock
        self._left = most_records
        self._most_ms = most_ms
        self._until_ms = steady_clock() + most_ms

    def look(self, place: Position, take: Callable[[Record], None], most_records: int | None = None) -> LookedAt:
        """Gives the records around a place to `take`: first that at the place and those after it, then those before.

        Half of them are before it, unless there are fewer on one side. Raises KafkaUnavailableError.
        """
        most = self._left if most_records is None else min(most_records, self._left)
        low, high = self._reader.known_watermarks(place.topic, [place.partition])[place.partition]
        spans, records = [], 0
        for first, end in spans_around(low, high, place.offset, most):
            reached, read = self._read(place, (first, end), take)
            records += read
            spans.append((first, reached))
            if reached < end:
                break
        else:
            return LookedAt(low, high, _joined(spans), records)
        return LookedAt(low, high, _joined(spans), records, f"it took longer than {self._most_ms:,} ms")

    def _read(self, place: Position, span: Span, take: Callable[[Record], None]) -> tuple[int, int]:
        """Reads offsets; returns up to before which one they were read, and how many records they held."""
        topic, partition = place.topic, place.partition
        reader, (reached, end), count = self._reader, span, 0
        reader.at_end.discard((topic, partition))
        reader.assign(topic, partition, reached)
        while reached < end and self._clock() < self._until_ms:
            records, gaps = reader.read(1000, POLL_S)
            for record in records:
                if span[0] <= record.position.offset < end:
                    take(record)
                    count += 1
            if reader.unreadable:
                raise KafkaUnavailableError(in_one_line(reader.unreadable))
            # Behind the last record there may be markers of transactions, and what compaction took.
            at_end = bool(gaps) or (topic, partition) in reader.at_end
            reached = end if at_end else min(end, max(reached, reader.position(topic, partition) or 0))
        reader.drop([(topic, partition)])
        self._left -= count
        return reached, count

    def close(self) -> None:
        """Leaves Kafka."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def spans_around(low: int, high: int, offset: int, most: int) -> list[Span]:
    """The offsets from a place on, and those before it: not more than so many in all, nor more than there are."""
    begin = min(max(offset, low), high)
    after = min(high - begin, max(most - most // 2, most - (begin - low)))
    before = min(begin - low, most - after)
    return [span for span in ((begin, begin + after), (begin - before, begin)) if span[0] < span[1]]


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    """In their order; those that touch as one."""
    joined: list[Span] = []
    for first, end in sorted(span for span in spans if span[0] < span[1]):
        if joined and joined[-1][1] == first:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((first, end))
    return tuple(joined)
