"""How a consumer keeps account of its partitions, and what it reports of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pipeline.buffer import Advance
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.clock import Clock, Interval
from pipeline.kafka import Gap, Reader, in_one_line
from pipeline.records import LastRead, TopicIdentity
from pipeline.running.statusboard import RoleState, StatusWriter
from pipeline.running.throughput import Throughput
from pipeline.settings import Settings

AnyReader = TypeVar("AnyReader", bound=Reader)

IDLE_WAIT_S = 0.5
STATUS_EVERY_MS = 250
COMMIT_EVERY_MS = 1000
FOLLOW_EVERY_MS = 1000


@dataclass(slots=True)
class ConsumedPartition:
    """A partition of one topic generation, and how far it is read.

    `next_offset` is after the last record that is in the buffer or in the batch that is on its way there,
    `stored_offset` after the last one that is in the buffer.
    """

    ref: int
    identity: TopicIdentity
    partition_id: int
    next_offset: int
    stored_offset: int

    @property
    def key(self) -> tuple[str, int]:
        """Topic and partition."""
        return self.identity.topic, self.partition_id

    def __str__(self) -> str:
        return f"{self.identity.topic}[{self.partition_id}]"

    def advance_to(self, next_offset: int, last: LastRead | None = None, newest_ms: int = -1) -> Advance:
        """Goes on to this offset, after the `last` record read; returns the move, which a batch has to write.

        `newest_ms` is the latest timestamp of what was read.
        """
        move = Advance(self.ref, self.next_offset, next_offset, last, newest_ms)
        self.next_offset = next_offset
        return move


class Consumer(ABC, Generic[AnyReader]):
    """The state of one session. Nothing in it is true unless the buffer holds it too."""

    def __init__(self, settings: Settings, writer: BatchWriter, clock: Clock, status: StatusWriter) -> None:
        self._settings = settings
        self._writer = writer
        self._clock = clock
        self._status = status
        self._throughput = Throughput(clock)
        self._status_interval = Interval(STATUS_EVERY_MS, clock)
        self._commit_interval = Interval(COMMIT_EVERY_MS, clock)
        self._follow_interval = Interval(FOLLOW_EVERY_MS, clock)

    @property
    @abstractmethod
    def _consumed(self) -> Iterable[ConsumedPartition]:
        """The partitions that are read."""

    @abstractmethod
    def _detail(self, reader: AnyReader) -> str:
        """What is wrong or waited for; empty when all is well."""

    @abstractmethod
    def _figures(self, reader: AnyReader) -> dict[str, Any]:
        """The consumer's own numbers for the status board."""

    @abstractmethod
    def _commit_offsets(self, reader: AnyReader) -> None:
        """Commits what is stored to Kafka, for lag tools."""

    @abstractmethod
    def _write_moves(self, moves: list[Advance]) -> None:
        """Writes moves over what is no record, guarded as a batch is, once the topics are known to be the same ones."""

    def _finish_writing(self, reader: AnyReader, advances: Iterable[Advance]) -> None:
        """Waits until the batch with these moves is in the buffer. Raises what writing it raised."""
        self._writer.finish(lambda: self._report(reader))
        stored = {advance.ref: advance.next_offset for advance in advances}
        for partition in self._consumed:
            partition.stored_offset = stored.get(partition.ref, partition.stored_offset)

    def _follow(self, reader: AnyReader) -> None:
        """Goes on behind offsets that are no records, so that nobody misses them once Kafka has removed them."""
        # While a batch is on its way, what was read is not stored yet.
        if self._writer.busy or not self._follow_interval.is_over():
            return
        moves = []
        for partition in self._consumed:
            position = reader.position(*partition.key)
            if position is not None and partition.next_offset == partition.stored_offset < position:
                moves.append(partition.advance_to(position))
        if moves:
            self._write_moves(moves)
            self._finish_writing(reader, moves)

    def _pass_over(self, reader: AnyReader, partition: ConsumedPartition, gap: Gap, why: str) -> None:
        """Goes on behind offsets that are gone. No batch may be on its way."""
        message = f"{partition} offsets {partition.next_offset} to {gap.low - 1} are gone{why}"
        self._writer.flow.skip(partition.ref, partition.next_offset, gap.low, self._clock(), message)
        partition.next_offset = partition.stored_offset = gap.low
        reader.seek(gap.topic, gap.partition, gap.low)

    def _held_up(self, reader: AnyReader, partition: ConsumedPartition, gap: Gap) -> bool:
        """Whether nothing is gone that was not read; then it goes on, or waits for records that Kafka has lost."""
        if gap.low > partition.next_offset:
            return False
        if gap.high >= partition.next_offset:
            reader.seek(gap.topic, gap.partition, partition.next_offset)
        else:
            reader.wait_with(gap, lost_its_end(partition, gap.high, partition.next_offset))
        return True

    def _report(self, reader: AnyReader) -> None:
        """Tells the status board and Kafka how far this is, whenever one of them is due."""
        if self._status_interval.is_over():
            # Without a partition that can be read it still tries what is parked, and sends dead letters.
            state: RoleState = "running" if reader.readable else "waiting"
            detail = "; ".join(filter(None, (in_one_line(reader.unreadable), self._detail(reader))))
            self._status.report(state, detail, self._figures(reader) | {"unreadable": reader.unreadable})
        if self._commit_interval.is_over():
            self._commit_offsets(reader)

    def _stored_offsets(self) -> dict[tuple[str, int], int]:
        return {partition.key: partition.stored_offset for partition in self._consumed}

    def _lag(self, reader: AnyReader, partition: ConsumedPartition) -> int:
        """Records that Kafka has and the buffer has not; 0 before anything is known."""
        key = partition.key
        high = reader.known_high(*key)
        if high is None:
            return 0
        reached = partition.stored_offset
        if reached == partition.next_offset:
            # All that was read is stored. What the reader has passed behind it are no records.
            reached = max(reached, reader.position(*key) or 0)
        return max(0, high - reached)


def lost_its_end(partition: object, high: int, next_offset: int) -> str:
    """What is wrong with a partition that ends before the offset that it was read up to."""
    return (
        f"{partition} ends at offset {high}, but was read up to {next_offset}: Kafka has lost its newest records; "
        "delete and recreate the topic, or wait until it is restored"
    )
