"""The processor's rounds without Kafka: records are handed to it, and so is the time. The buffer is a real one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, Message

from pipeline.buffer import Buffer, Reader
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.consuming.holds import TopicHolds
from pipeline.kafka import Delivery, Fetched, Gap, PartitionKey
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.handlers import Handler, simulate_failures
from pipeline.orders.judge import Judge
from pipeline.orders.mapping.mapping_file import MappingFile
from pipeline.orders.order_reader import OrderReader
from pipeline.orders.rules_file import RulesFile
from pipeline.orders.serde import OrderCodec
from pipeline.processing.mapping_in_force import MappingInForce
from pipeline.processing.processor import BATCH_RECORDS, _Flow
from pipeline.processing.retries import Backoff
from pipeline.records import Headers, TopicIdentity
from pipeline.settings import Settings
from tests.support.buffer_rows import NOW_MS, ORDERS

ROOT = Path(__file__).parents[2]
CODEC = OrderCodec(SchemaStore(ROOT / "schemas"))


@dataclass(frozen=True, slots=True)
class Incoming:
    """A record of partition 0 or another one; offsets are dealt out in their order."""

    key: bytes | None
    value: bytes | None
    headers: Headers | None = ()
    """None: the client library cannot read them."""
    partition: int = 0
    append_time: bool = False


@dataclass(slots=True)
class ReaderByHand:
    """Gives what it was given, once."""

    fetched: list[Fetched] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    trouble: str = ""
    foreign_offsets: dict[PartitionKey, int] = field(default_factory=dict)
    held_back: set[str] = field(default_factory=set)
    readable: bool = True
    unreadable: dict[str, str] = field(default_factory=dict)

    def give(self, records: Iterable[Incoming]) -> None:
        """What is to be read next."""
        by_partition: defaultdict[int, list[tuple[Message, Headers | None]]] = defaultdict(list)
        for each in records:
            message = Message(
                topic=ORDERS.topic,
                partition=each.partition,
                offset=self.ends[each.partition],
                key=each.key,
                value=each.value,
                headers=list(each.headers or ()) or None,
                timestamp=(TIMESTAMP_LOG_APPEND_TIME if each.append_time else TIMESTAMP_CREATE_TIME, NOW_MS),
            )
            self.ends[each.partition] += 1
            by_partition[each.partition].append((message, each.headers))
        self.fetched = [_fetched(given) for given in by_partition.values()]

    def read_partitions(self, _: int, __: float) -> tuple[list[Fetched], list[Gap]]:
        """The records by partition, and what is missing behind them."""
        fetched, self.fetched = self.fetched, []
        gaps, self.gaps = self.gaps, []
        return fetched, gaps

    def seek(self, _: str, partition: int, next_offset: int) -> None:
        """What is given from here on comes behind the gap."""
        self.ends[partition] = next_offset

    def watermarks(self, _: str, partition: int) -> tuple[int, int]:
        """All that was given."""
        return 0, self.ends[partition]

    def known_high(self, _: str, partition: int) -> int:
        """All that was given."""
        return self.ends[partition]

    def position(self, _: str, partition: int) -> int:
        """All that was given, and what is no record behind it."""
        return self.ends[partition]

    def commit_offsets(self, next_offsets: dict[tuple[str, int], int]) -> None:
        """Nobody asks."""

    def hold_back(self, topics: Collection[str]) -> None:
        """Notes it."""
        self.held_back = set(topics)

    def query_ends(self) -> None:
        """They are known."""


def _fetched(given: Sequence[tuple[Message, Headers | None]]) -> Fetched:
    fetched = Fetched([message for message, _ in given])
    # Only the library itself makes a message whose headers it cannot read.
    for index, (_, headers) in enumerate(given):
        if headers is None:
            fetched._headers[index] = None
    return fetched


@dataclass(slots=True)
class SenderByHand:
    """Holds what is sent until the test has it confirmed or refused."""

    waiting: list[tuple[str, Headers, Callable[[Delivery], None]]] = field(default_factory=list)
    sent: list[Headers] = field(default_factory=list)
    answer: str | None = ""
    """What `poll` says of all that waits: empty confirms, text refuses, None leaves it waiting."""
    at_once: bool = False
    """Whether the answer comes while sending, as it does for what cannot even be queued."""
    on_send: Callable[[], None] = lambda: None

    def send(
        self,
        topic: str,
        key: Any,
        value: Any,
        headers: Iterable[Any],
        done: Callable[[Delivery], None],
        send_id: str,
        **_: Any,
    ) -> None:
        """Takes a record."""
        self.on_send()
        self.waiting.append((send_id, tuple(headers), done))
        if self.at_once:
            self.poll()

    def poll(self) -> None:
        """Answers for all that waits."""
        if self.answer is None:
            return
        waiting, self.waiting = self.waiting, []
        for send_id, headers, done in waiting:
            if not self.answer:
                self.sent.append(headers)
            done(Delivery(send_id, "orders-dlq", 0, len(self.sent), self.answer))


class _Silent:
    def report(self, *_: object) -> None:
        """Nobody listens."""


class _Topics:
    """One topic, which stays the same."""

    detail = ""

    def __init__(self, identity: TopicIdentity) -> None:
        self.generations = {identity.topic: identity}
        self.counts = {identity.topic: 1}

    def confirm(self, _: object) -> None:
        """It is the same one."""


class FlowInProcess:
    """A processor that owns some partitions of a topic, round by round."""

    def __init__(
        self,
        buffer: Buffer,
        partitions: Sequence[int] = (0,),
        identity: TopicIdentity = ORDERS,
        handler: Handler = simulate_failures,
        settings: Settings | None = None,
    ) -> None:
        self.now_ms = NOW_MS
        self.reader, self.sender = ReaderByHand(), SenderByHand()
        rules_file = RulesFile(ROOT / "rules.toml")
        reader = OrderReader(CODEC)
        judge = Judge(reader, rules_file, handler, self.clock)
        self.mapping_file = MappingFile(settings or Settings())
        backoff = Backoff("fixed", 3, 2000, 2000, lambda: 0.5)
        self._writer = BatchWriter(buffer, BATCH_RECORDS, self.clock)
        self.flow = _Flow(
            settings or Settings(),
            self._writer,
            judge,
            rules_file,
            MappingInForce(self.mapping_file, reader, self.clock),
            backoff,
            self.sender,  # type: ignore[arg-type] # only what a flow asks of it
            _Topics(identity),  # type: ignore[arg-type] # only what a flow asks of it
            TopicHolds("processor", self._writer, Reader(Path("nowhere")), self.clock),
            self.clock,
            _Silent(),  # type: ignore[arg-type] # only what a flow asks of it
        )
        for partition in partitions:
            self.flow.assigned(self.reader, identity.topic, partition)  # type: ignore[arg-type] # only what a flow asks of it

    def clock(self) -> int:
        """The time that the test has set."""
        return self.now_ms

    def map_by(self, text: str) -> None:
        """Writes another mapping file, which the next round reads by."""
        self.mapping_file.path.write_text(text)
        self.mapping_file.refresh()

    def round(self, records: Sequence[Incoming] = (), pass_ms: int = 100) -> None:
        """One round with these records; time passes after it."""
        self.reader.give(records)
        self.flow.round(self.reader)  # type: ignore[arg-type] # only what a flow asks of it
        self.now_ms += pass_ms

    def run_dry(self) -> None:
        """Rounds until nothing is parked and nothing waits in the outbox."""
        self.round()
        while self.flow._parked or self.flow._outbox.waiting:
            self.round(pass_ms=500)

    def close(self) -> None:
        """Ends the processor."""
        self._writer.finish()
        self._writer.close()
