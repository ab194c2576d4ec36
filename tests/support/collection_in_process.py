"""The collector's rounds without Kafka: dead letters are handed to it, and so is the time. The buffer is a real one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.buffer import Buffer, Reader
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.consuming.holds import TopicHolds
from pipeline.dead_letters import collector
from pipeline.dead_letters.collector import _Collection
from pipeline.dead_letters.topics_file import DeadLetterTopicsFile
from pipeline.headers import failure_headers
from pipeline.kafka import Gap, PartitionKey
from pipeline.orders.order_reader import OrderReader
from pipeline.records import Headers, Position, Record, TopicIdentity
from pipeline.settings import load_settings
from tests.support.buffer_rows import DEAD, NOW_MS
from tests.support.flow_in_process import CODEC


def our_headers(offset: int, dead_letter_id: str | None = None) -> Headers:
    """What a dead letter of ours has, of the order at this offset."""
    return failure_headers(
        Position("orders", 0, offset),
        stage="VALUE_CONVERTER",
        class_name="pipeline.orders.handlers:accept",
        exception_class="pipeline.errors.RuleBrokenError",
        message=f"orders[0] offset {offset}: price 0.00 is below the minimum 0.01 (rule price)",
        stacktrace="",
        attempts=1,
        first_failed_at_ms=NOW_MS,
        failed_at_ms=NOW_MS + offset,
        rule="price",
        dead_letter_id=dead_letter_id or f"{offset:032x}",
    )


@dataclass(slots=True)
class LettersByHand:
    """Gives what it was given, once; offsets are dealt out in the order of giving."""

    waiting: list[Record] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    ends: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    committed: dict[tuple[str, int], int] = field(default_factory=dict)
    sought: list[tuple[str, int, int]] = field(default_factory=list)
    trouble: str = ""
    readable: bool = True
    unreadable: dict[str, str] = field(default_factory=dict)

    def give(
        self, key: bytes | None, value: bytes | None, headers: Headers, partition: int = 0, topic: str = DEAD.topic
    ) -> None:
        """One more dead letter to be read."""
        offset = self.ends[topic, partition]
        self.ends[topic, partition] += 1
        self.waiting.append(Record(Position(topic, partition, offset), NOW_MS, key, value, headers))

    def read(self, max_records: int, _: float) -> tuple[list[Record], list[Gap]]:
        """The next records, and the gaps once all are read."""
        taken, self.waiting = self.waiting[:max_records], self.waiting[max_records:]
        gaps: list[Gap] = []
        if not self.waiting:
            gaps, self.gaps = self.gaps, gaps
        return taken, gaps

    def watermarks(self, _: str, __: int) -> tuple[int, int]:
        """Nothing is gone when a partition is taken on."""
        return 0, 0

    def known_high(self, topic: str, partition: int) -> int:
        """All that was given."""
        return self.ends[topic, partition]

    def position(self, topic: str, partition: int) -> int | None:
        """All that was given, once it was read."""
        return None if self.waiting else self.ends[topic, partition]

    def take_on(self, keys: Iterable[PartitionKey], begin_at: Callable[[str, int], int]) -> None:
        """Reading goes on where the buffer stands."""
        begins = {key: begin_at(*key) for key in keys}
        self.waiting = [
            each
            for each in self.waiting
            if each.position.offset >= begins.get((each.position.topic, each.position.partition), 0)
        ]

    def seek(self, topic: str, partition: int, next_offset: int) -> None:
        """Notes it."""
        self.sought.append((topic, partition, next_offset))

    def commit_offsets(self, next_offsets: Mapping[tuple[str, int], int]) -> None:
        """Notes it."""
        self.committed = dict(next_offsets)


class _Silent:
    def report(self, *_: object) -> None:
        """Nobody listens."""


class _Unchanged:
    def __init__(self, *topics: TopicIdentity) -> None:
        self.generations = {each.topic: each for each in topics}

    def confirm(self, _: object) -> None:
        """The topics are the same ones."""


class CollectionInProcess:
    """A collector of some partitions of a topic, round by round."""

    def __init__(
        self, buffer: Buffer, reader: LettersByHand, partitions: int = 2, identity: TopicIdentity = DEAD
    ) -> None:
        self.now_ms = NOW_MS
        self.reader = reader
        self._writer = BatchWriter(buffer, collector.BATCH_RECORDS, lambda: self.now_ms)
        self.collection = _Collection(
            load_settings(),
            self._writer,
            OrderReader(CODEC),
            DeadLetterTopicsFile(load_settings()),
            reader,  # type: ignore[arg-type] # only what a collection asks of it
            None,  # type: ignore[arg-type] # the cluster is only needed to find topics
            _Unchanged(identity),  # type: ignore[arg-type] # only what a collection asks of it
            TopicHolds("collector", self._writer, Reader(Path("nowhere")), lambda: self.now_ms),
            lambda: self.now_ms,
            _Silent(),  # type: ignore[arg-type] # only what a collection asks of it
        )
        self.collection.take_on({identity.topic: partitions})

    def run_dry(self) -> None:
        """Rounds until all that was given is in the buffer and committed to Kafka."""
        while self.reader.waiting or self.reader.gaps:
            self.collection.round()
        self.now_ms += 1000
        self.collection.round()

    def close(self) -> None:
        """Ends the collector."""
        self._writer.close()
