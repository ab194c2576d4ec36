"""The collector: brings dead letters of any dialect from their topics into the buffer, each once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pipeline.buffer import Advance, Buffer, DeadLetterRow
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.clock import Clock, Interval, StopSignal
from pipeline.consuming.consumer import IDLE_WAIT_S, ConsumedPartition, Consumer
from pipeline.consuming.holds import TopicHolds
from pipeline.consuming.session import consumer_session
from pipeline.consuming.topic_choice import choose_dead_letter_topics
from pipeline.consuming.topic_guard import TopicGuard
from pipeline.crash_points import reached
from pipeline.dead_letters.letters import dead_letter_row
from pipeline.dead_letters.topics_file import NOTHING, DeadLetterTopics, DeadLetterTopicsFile
from pipeline.errors import KafkaUnavailableError, SchemaPendingError, UndecodableError
from pipeline.headers import read_failure, source_timestamp_ms_of
from pipeline.kafka import ClusterView, Gap, PartitionReader
from pipeline.orders.mapping.mapping_file import MappingFile
from pipeline.orders.order_reader import OrderReader, RecordList
from pipeline.records import Failure, LastRead, Order, Position, Record
from pipeline.running.sessions import keep_going
from pipeline.running.statusboard import StatusWriter
from pipeline.settings import Settings

BATCH_RECORDS = 4000
LOOK_FOR_TOPICS_EVERY_MS = 5000


def run_collector(
    settings: Settings,
    order_reader: OrderReader,
    topics_file: DeadLetterTopicsFile,
    mapping_file: MappingFile,
    clock: Clock,
    steady_clock: Clock,
    stop: StopSignal,
    status: StatusWriter,
) -> None:
    """Collects dead letters until asked to stop. `steady_clock` is one that nobody sets."""

    def session() -> None:
        order_reader.recheck_registry()
        with consumer_session(settings, "collector", BATCH_RECORDS, clock, steady_clock, stop) as opened:
            group_id = f"{settings.group_id}-collector"
            reader = opened.keep(PartitionReader(settings, opened.view.cluster, group_id, stop.wait))
            collection = _Collection(
                settings,
                opened.writer,
                order_reader,
                topics_file,
                reader,
                opened.view,
                opened.guard,
                opened.holds,
                clock,
                status,
            )
            while not stop.is_set():
                opened.check()
                order_reader.use(mapping_file.content)
                collection.look_for_topics()
                if collection.has_topics:
                    collection.round()
                else:
                    collection.wait(stop)

    keep_going(session, status, clock, stop)


class _Collection(Consumer[PartitionReader]):
    """The partitions of the dead-letter topics."""

    def __init__(
        self,
        settings: Settings,
        writer: BatchWriter,
        order_reader: OrderReader,
        topics_file: DeadLetterTopicsFile,
        reader: PartitionReader,
        view: ClusterView,
        guard: TopicGuard,
        holds: TopicHolds,
        clock: Clock,
        status: StatusWriter,
    ) -> None:
        super().__init__(settings, writer, clock, status)
        self._order_reader = order_reader
        self._topics_file = topics_file
        self._reader = reader
        self._view = view
        self._guard = guard
        self._holds = holds
        self._written: list[Advance] = []
        self._partitions: dict[tuple[str, int], ConsumedPartition] = {}
        self._topics: dict[str, int] = {}
        self._committed: dict[tuple[str, int], int] = {}
        self._not_looked_up: dict[str, str] = {}
        self._not_made = ""
        self._topics_interval = Interval(LOOK_FOR_TOPICS_EVERY_MS, clock)

    # -- topics come and go

    @property
    def has_topics(self) -> bool:
        """Whether there is anything to read."""
        return bool(self._topics)

    def look_for_topics(self) -> None:
        """Looks every five seconds for topics and partitions that match; they join, and those that are gone leave."""
        if not self._topics_interval.is_over():
            return
        partitions = self._view.partitions()
        # Without a processor nobody here writes dead letters: the topics are for their writers to make.
        if self._settings.sends_orders and self._settings.own_dlq_topic not in partitions:
            self._make_own_topic()
        found = choose_dead_letter_topics(self._settings, partitions)
        if found != self._topics:
            self._change_to(found)

    def _make_own_topic(self) -> None:
        try:
            self._view.ensure_topic(self._settings.own_dlq_topic)
        except KafkaUnavailableError as error:
            self._not_made = str(error)  # that keeps nobody from collecting from the others
        else:
            self._not_made = ""
            self._topics_interval = Interval(LOOK_FOR_TOPICS_EVERY_MS, self._clock)  # it is there in a moment

    def _change_to(self, found: Mapping[str, int]) -> None:
        # One that has more or fewer partitions than before may be another one of the same name.
        self._leave({topic for topic, count in self._topics.items() if found.get(topic) != count})
        told, self._not_looked_up = self._view.look_up([topic for topic in found if topic not in self._topics])
        # What is held joins once somebody has said from where on: a session begins again then.
        self._holds.expect(told)
        told = {topic: identity for topic, identity in told.items() if topic not in self._holds.held}
        self._not_looked_up |= self._guard.expect(told)
        self.take_on({topic: found[topic] for topic in told if topic not in self._not_looked_up})

    def _leave(self, topics: Collection[str]) -> None:
        if not topics:
            return
        self._conclude()  # should one join again, it goes on from where the buffer stands
        self._guard.forget(topics)
        self._reader.drop((topic, partition) for topic in topics for partition in range(self._topics[topic]))
        self._partitions = {key: partition for key, partition in self._partitions.items() if key[0] not in topics}
        self._topics = {topic: count for topic, count in self._topics.items() if topic not in topics}

    def take_on(self, topics: Mapping[str, int]) -> None:
        """Reads all partitions of these topics too, so many each, from where the buffer stands."""
        self._topics |= topics
        self._reader.take_on(
            [(topic, partition) for topic, count in topics.items() for partition in range(count)], self._begin_at
        )

    def _begin_at(self, topic: str, partition: int) -> int:
        low, high = self._reader.watermarks(topic, partition)
        identity = self._guard.generations[topic]
        reached("collector: before a partition is taken over")
        assignment = self._writer.flow.assign("collector", identity, partition, low, self._clock(), high)
        reached("collector: partition taken over")
        next_offset = assignment.next_offset
        taken_on = ConsumedPartition(assignment.ref, identity, partition, next_offset, next_offset)
        self._partitions[taken_on.key] = taken_on
        return next_offset

    # -- one round

    def round(self) -> None:
        """One round: dead letters and the offsets after them in one transaction."""
        # 1. Read what has come, up to before records that may be copies.
        came, gaps = self._read()
        records = self._holds.records_before_copies(came)
        # 2. Understand it, whatever dialect it speaks. The round before may still be on its way into the buffer.
        now_ms = self._clock()
        rows = self._rows(records)
        # 3. By now it is there, or its failure ends this session.
        self._conclude()
        # 4. What was read is of the topics that we take it for, not of one that was recreated meanwhile.
        self._guard.confirm(_by_topic(records, gaps))
        # 5. Rows, groups, figures and offsets, guarded; a failure that is known already is left out there.
        if records:
            newest_ms = _newest_ms(records)
            self._written = [
                self._partitions[key].advance_to(last.offset + 1, last, newest_ms[key])
                for key, last in _last_read(records).items()
            ]
            self._writer.write(partial(_collect, self._written, rows, now_ms), len(records))
        # 6. A small batch is in the buffer at once; a big one is concluded in the next round.
        if gaps or not self._writer.busy:
            self._conclude()
        # 7. Skip what Kafka no longer has. It comes after what there was to read.
        for gap in gaps:
            self._skip(gap)
        self._holds.check_met()
        # 8. Pass markers of transactions and what else is no record.
        self._follow(self._reader)
        # 9. Report.
        self._throughput.add(len(records))
        self._report(self._reader)

    def _read(self) -> tuple[list[Record], list[Gap]]:
        """What has come of partitions that are ours; a topic that is gone may have left some behind."""
        records, gaps = self._reader.read(self._writer.records_at_once, 0 if self._writer.busy else IDLE_WAIT_S)
        ours = self._partitions.keys()
        return (
            [record for record in records if (record.position.topic, record.position.partition) in ours],
            [gap for gap in gaps if (gap.topic, gap.partition) in ours],
        )

    def wait(self, stop: StopSignal) -> None:
        """Instead of a round while there is no topic to read: reading would only be refused, for the group's sake."""
        stop.wait(IDLE_WAIT_S)
        self._report(self._reader)

    def _conclude(self) -> None:
        """What follows from a batch that is in the buffer. Raises what writing it raised."""
        self._finish_writing(self._reader, self._written)
        self._written = []

    def _rows(self, records: Sequence[Record]) -> list[DeadLetterRow]:
        rows = []
        said = self._topics_file.content
        for record, order in zip(records, orders_in(records, self._order_reader, said), strict=True):
            partition = self._partitions[record.position.topic, record.position.partition]
            rows.append(dead_letter_row(record, partition.ref, partition.identity, order, said, self._topics))
        return rows

    def _skip(self, gap: Gap) -> None:
        partition = self._partitions[gap.topic, gap.partition]
        if self._held_up(self._reader, partition, gap):
            return
        reached("collector: before a gap is skipped")
        self._pass_over(self._reader, partition, gap, ", uncollected")
        reached("collector: gap skipped")

    def _write_moves(self, moves: list[Advance]) -> None:
        of = {partition.ref: partition.identity.topic for partition in self._consumed}
        self._guard.confirm({of[move.ref]: () for move in moves})
        self._writer.write(partial(_collect, moves, [], self._clock()), 0)

    def _commit_offsets(self, reader: PartitionReader) -> None:
        offsets = self._stored_offsets()
        if offsets != self._committed:
            reached("collector: before offsets are committed to Kafka")
            reader.commit_offsets(offsets)
            reached("collector: offsets committed to Kafka")
            self._committed = offsets

    @property
    def _consumed(self) -> Collection[ConsumedPartition]:
        return self._partitions.values()

    def _detail(self, reader: PartitionReader) -> str:
        return reader.trouble or self._writer.trouble or self._topics_file.error or self._missing()

    def _missing(self) -> str:
        known = self._topics.keys() | self._not_looked_up.keys() | self._holds.held.keys()
        missing = sorted(set(self._settings.dlq_topics) - known)
        names = ", ".join(topic for topic in missing if not topic.startswith("^"))
        hidden = f"not there yet, or hidden from this account (no ACL allows Describe on it): {names}" if names else ""
        return "; ".join(filter(None, (self._not_made, *self._not_looked_up.values(), hidden)))

    def _figures(self, reader: PartitionReader) -> dict[str, Any]:
        return {
            "lag": sum(self._lag(reader, partition) for partition in self._consumed),
            "rate_per_s": self._throughput.per_s(),
            "topics": sorted(self._topics),
            "stopped": "; ".join(map(str, self._holds.held.values())),
        }


def _collect(advances: Sequence[Advance], rows: Sequence[DeadLetterRow], now_ms: int, buffer: Buffer) -> None:
    reached("collector: before dead letters are collected")
    buffer.dead_letters.collect(advances, rows, now_ms)
    reached("collector: dead letters collected")


def _by_topic(records: Sequence[Record], gaps: Sequence[Gap]) -> dict[str, list[Position | Gap]]:
    """Where something was read, or is missing."""
    found: dict[str, list[Position | Gap]] = {}
    for record in records:
        found.setdefault(record.position.topic, []).append(record.position)
    for gap in gaps:
        found.setdefault(gap.topic, []).append(gap)
    return found


def _last_read(records: Sequence[Record]) -> dict[tuple[str, int], LastRead]:
    """The last record of each partition."""
    last = {(record.position.topic, record.position.partition): record for record in records}
    return {
        key: LastRead.of(record.position.offset, record.timestamp_ms, record.key, record.value)
        for key, record in last.items()
    }


def _newest_ms(records: Sequence[Record]) -> dict[tuple[str, int], int]:
    """The latest timestamp in each partition."""
    newest: dict[tuple[str, int], int] = {}
    for record in records:
        key = record.position.topic, record.position.partition
        newest[key] = max(newest.get(key, -1), record.timestamp_ms)
    return newest


def orders_in(records: Sequence[Record], reader: OrderReader, said: DeadLetterTopics = NOTHING) -> list[Order | None]:
    """The order in each record, read as those of the topic that it came from are; None where it is none.

    Raises RegistryUnavailableError when the registry cannot say whether it is one: written down without it, a dead
    letter would never get its columns.
    """
    found: list[Order | None] = [None] * len(records)
    for topic, some in _by_source(records, reader, said).items():
        letters = list(some.values())
        orders, _ = reader.read_many(topic, RecordList(letters))
        at_once = dict(zip(orders.indexes.tolist(), orders.orders(), strict=True))
        for at, index in enumerate(some):
            found[index] = at_once.get(at) or _order_in(letters[at], topic, reader)
    return found


def _by_source(records: Sequence[Record], reader: OrderReader, said: DeadLetterTopics) -> dict[str, dict[int, Record]]:
    """The records by the topic that they came from and by their index, each with the time that it had there."""
    if not reader.has_sections:
        return {"": dict(enumerate(records))}
    by_source: dict[str, dict[int, Record]] = {}
    for index, record in enumerate(records):
        failure = said.of(record.position.topic).completed(read_failure(record.headers), record.headers)
        by_source.setdefault(failure.source_topic or "", {})[index] = _as_it_was(record, failure)
    return by_source


def _as_it_was(letter: Record, failure: Failure) -> Record:
    """With the record's own time, which a mapping may ask for, where the dead letter tells it."""
    told_ms = failure.record_timestamp_ms
    if told_ms is None:
        told_ms = source_timestamp_ms_of(failure, letter.timestamp_ms, letter.append_time)
    return letter if told_ms is None else replace(letter, timestamp_ms=told_ms, append_time=False)


def _order_in(record: Record, topic: str, reader: OrderReader) -> Order | None:
    try:
        found = reader.read(topic, record)
    except (UndecodableError, SchemaPendingError):
        return None
    return found if isinstance(found, Order) else None
