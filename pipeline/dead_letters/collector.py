"""The collector: brings dead letters of any dialect from their topics into the buffer, each once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Container, Sequence
from functools import partial
from typing import Any

from pipeline.buffer import Advance, Buffer, DeadLetterRow, record_id
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.clock import Clock, Interval, StopSignal
from pipeline.consuming.consumer import IDLE_WAIT_S, ConsumedPartition, Consumer
from pipeline.consuming.session import consumer_session
from pipeline.crash_points import reached
from pipeline.dead_letters.fingerprints import fingerprint
from pipeline.dead_letters.topics_file import NOTHING, NOTHING_SAID, DeadLetterTopics, DeadLetterTopicsFile
from pipeline.errors import UndecodableError
from pipeline.headers import dead_letter_id_of, read_failure, reason_of, source_timestamp_ms_of
from pipeline.headers.values import LAST_TIMESTAMP_MS
from pipeline.kafka import ClusterView, Gap, IdentityWatch, PartitionReader
from pipeline.orders.serde import OrderCodec
from pipeline.records import Failure, Order, Position, Record, TopicIdentity
from pipeline.running.sessions import keep_going
from pipeline.running.statusboard import StatusWriter
from pipeline.settings import Settings

BATCH_RECORDS = 4000
LOOK_FOR_TOPICS_EVERY_MS = 5000


def run_collector(
    settings: Settings,
    codec: OrderCodec,
    topics_file: DeadLetterTopicsFile,
    clock: Clock,
    steady_clock: Clock,
    stop: StopSignal,
    status: StatusWriter,
) -> None:
    """Collects dead letters until asked to stop. `steady_clock` is one that nobody sets."""

    def topics(view: ClusterView) -> dict[str, int]:
        if settings.sends_orders:
            # Without a processor nobody here writes dead letters: the topics are for their writers to make.
            view.ensure_topic(settings.own_dlq_topic)
        return matching_topics(settings, view.partitions())

    def session() -> None:
        codec.recheck_registry()
        with consumer_session(settings, BATCH_RECORDS, steady_clock, stop, topics) as opened:
            group_id = f"{settings.group_id}-collector"
            reader = opened.keep(PartitionReader(settings, opened.view.cluster, group_id, stop.wait))
            collection = _Collection(
                settings, opened.writer, codec, topics_file, reader, opened.view, opened.watch, clock, status
            )
            collection.take_on(opened.topics, opened.identities)
            while not stop.is_set():
                opened.check()
                if opened.topics:
                    collection.round()
                else:
                    collection.wait(stop)
                if collection.found_topics():
                    break  # the next session reads them too

    keep_going(session, status, clock, stop)


def matching_topics(settings: Settings, partitions: dict[str, int]) -> dict[str, int]:
    """The dead-letter topics among `partitions` (topic: count of its partitions): named ones, patterns, our own."""
    names = {topic for topic in settings.dlq_topics if not topic.startswith("^")} | {settings.own_dlq_topic}
    patterns = [re.compile(topic) for topic in settings.dlq_topics if topic.startswith("^")]
    return {
        topic: count
        for topic, count in partitions.items()
        if topic in names or any(pattern.search(topic) for pattern in patterns)
    }


class _Collection(Consumer[PartitionReader]):
    """The partitions of the dead-letter topics."""

    def __init__(
        self,
        settings: Settings,
        writer: BatchWriter,
        codec: OrderCodec,
        topics_file: DeadLetterTopicsFile,
        reader: PartitionReader,
        view: ClusterView,
        watch: IdentityWatch,
        clock: Clock,
        status: StatusWriter,
    ) -> None:
        super().__init__(settings, writer, clock, status)
        self._codec = codec
        self._topics_file = topics_file
        self._reader = reader
        self._view = view
        self._watch = watch
        self._written: list[Advance] = []
        self._partitions: dict[tuple[str, int], ConsumedPartition] = {}
        self._topics: dict[str, int] = {}
        self._committed: dict[tuple[str, int], int] = {}
        self._topics_interval = Interval(LOOK_FOR_TOPICS_EVERY_MS, clock, clock())

    def take_on(self, topics: dict[str, int], identities: dict[str, TopicIdentity]) -> None:
        """Reads all partitions of these topics from where the buffer stands."""
        self._topics = topics
        partitions = [(identities[topic], partition) for topic, count in topics.items() for partition in range(count)]
        # All are asked for before the first is read: a broker answers no question while it waits for records to come.
        lows = [self._reader.watermarks(identity.topic, partition)[0] for identity, partition in partitions]
        for (identity, partition), low in zip(partitions, lows, strict=True):
            self._take_on_partition(identity, partition, low)

    def _take_on_partition(self, identity: TopicIdentity, partition: int, low: int) -> None:
        reached("collector: before a partition is taken over")
        assignment = self._writer.flow.assign("collector", identity, partition, low, self._clock())
        reached("collector: partition taken over")
        next_offset = assignment.next_offset
        taken_on = ConsumedPartition(assignment.ref, identity, partition, next_offset, next_offset)
        self._partitions[taken_on.key] = taken_on
        self._reader.assign(identity.topic, partition, next_offset)

    def round(self) -> None:
        """One round: dead letters and the offsets after them in one transaction."""
        # 1. Read what has come.
        records, gaps = self._reader.read(self._writer.records_at_once, 0 if self._writer.busy else IDLE_WAIT_S)
        # 2. Understand it, whatever dialect it speaks. The round before may still be on its way into the buffer.
        now_ms = self._clock()
        rows = self._rows(records)
        # 3. By now it is there, or its failure ends this session.
        self._conclude()
        # 4. What was read is of the topics that we take it for, not of one that was recreated meanwhile.
        self._watch.confirm({record.position.topic for record in records} | {gap.topic for gap in gaps})
        # 5. Rows, groups, figures and offsets, guarded; a failure that is known already is left out there.
        if records:
            self._written = [self._partitions[key].advance_to(end) for key, end in _ends(records).items()]
            self._writer.write(partial(_collect, self._written, rows, now_ms), len(records))
        # 6. A small batch is in the buffer at once; a big one is concluded in the next round.
        if gaps or not self._writer.busy:
            self._conclude()
        # 7. Pass over what Kafka no longer has. It comes after what there was to read.
        for gap in gaps:
            self._skip(gap)
        # 8. Report.
        self._throughput.add(len(records))
        self._report(self._reader)

    def wait(self, stop: StopSignal) -> None:
        """Instead of a round while there is no topic to read: reading would only be refused, for the group's sake."""
        stop.wait(IDLE_WAIT_S)
        self._report(self._reader)

    def _conclude(self) -> None:
        """What follows from a batch that is in the buffer. Raises what writing it raised."""
        self._finish_writing(self._reader, self._written)
        self._written = []

    def found_topics(self) -> bool:
        """Whether topics or partitions have come that match; looks every five seconds."""
        if not self._topics_interval.is_over():
            return False
        return matching_topics(self._settings, self._view.partitions()) != self._topics

    def _rows(self, records: Sequence[Record]) -> list[DeadLetterRow]:
        rows = []
        said = self._topics_file.content
        for record, order in zip(records, orders_in(records, self._codec), strict=True):
            partition = self._partitions[record.position.topic, record.position.partition]
            rows.append(dead_letter_row(record, partition.ref, partition.identity, order, said, self._topics))
        return rows

    def _skip(self, gap: Gap) -> None:
        partition = self._partitions[gap.topic, gap.partition]
        if gap.low <= partition.next_offset:
            self._status.report("waiting", f"{partition} ends before offset {partition.next_offset}")
            return
        reached("collector: before a gap is skipped")
        self._pass_over(self._reader, partition, gap, ", uncollected")
        reached("collector: gap skipped")

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
        missing = sorted(set(self._settings.dlq_topics) - self._topics.keys())
        names = ", ".join(topic for topic in missing if not topic.startswith("^"))
        return f"not there yet, or hidden from this account (no ACL allows Describe on it): {names}" if names else ""

    def _figures(self, reader: PartitionReader) -> dict[str, Any]:
        return {
            "lag": sum(self._lag(reader, partition) for partition in self._consumed),
            "rate_per_s": self._throughput.per_s(),
            "topics": sorted(self._topics),
        }


def _collect(advances: Sequence[Advance], rows: Sequence[DeadLetterRow], now_ms: int, buffer: Buffer) -> None:
    reached("collector: before dead letters are collected")
    buffer.dead_letters.collect(advances, rows, now_ms)
    reached("collector: dead letters collected")


def _ends(records: Sequence[Record]) -> dict[tuple[str, int], int]:
    """The offset after the last record of each partition."""
    positions = [record.position for record in records]
    return {(position.topic, position.partition): position.offset + 1 for position in positions}


def orders_in(records: Sequence[Record], codec: OrderCodec) -> list[Order | None]:
    """The order in each record; None where the value is none.

    Raises RegistryUnavailableError when the registry cannot say whether it is one: written down without it, a dead
    letter would never get its columns.
    """
    orders = codec.decode_many([record.value for record in records])
    found = dict(zip(orders.indexes.tolist(), orders.orders(), strict=True))
    return [found.get(index) or _order_in(record, codec) for index, record in enumerate(records)]


def _order_in(record: Record, codec: OrderCodec) -> Order | None:
    try:
        return codec.decode(record.value)
    except UndecodableError:
        return None


def dead_letter_row(
    record: Record,
    ref: int,
    identity: TopicIdentity,
    order: Order | None,
    topics: DeadLetterTopics = NOTHING,
    collected: Container[str] = (),
) -> DeadLetterRow:
    """A dead letter as its headers and value describe it. A record without any known header is one too.

    What they do not tell is taken from what is said of its topic. Without an order, the order's columns are NULL.
    `collected` are the dead-letter topics.
    """
    told = read_failure(record.headers)
    said = topics.of(record.position.topic)
    failure = told if said is NOTHING_SAID else said.completed(told, record.headers)
    reason = reason_of(failure, record.value) if record.headers_readable else "its headers could not be read"
    group, title = fingerprint(failure.error_class, reason, failure.rule, failure.source_topic)
    timestamp_ms = record.timestamp_ms if 0 <= record.timestamp_ms <= LAST_TIMESTAMP_MS else 0
    return DeadLetterRow(
        record_id=record_id(ref, record.position.offset),
        topic=record.position.topic,
        partition=record.position.partition,
        offset=record.position.offset,
        timestamp_ms=timestamp_ms,
        key=record.key,
        value=record.value,
        headers=record.headers,
        dialect=failure.dialect,
        reason=reason,
        fingerprint=group,
        title=title,
        failed_at_ms=failure.failed_at_ms if failure.failed_at_ms is not None else timestamp_ms,
        # By its headers alone: a copy that comes after the file was changed is still the same failure.
        dead_letter_id=identity_of_failure(record, told, identity),
        source_topic=failure.source_topic,
        source_partition=failure.source_partition,
        source_offset=failure.source_offset,
        source_timestamp_ms=source_timestamp_ms_of(failure, timestamp_ms),
        order=order,
        error_class=failure.error_class,
        stacktrace=failure.stacktrace,
        rule=failure.rule,
        stage=failure.stage,
        consumer_group=failure.consumer_group,
        attempts=failure.attempts,
        first_failed_at_ms=failure.first_failed_at_ms,
        replay_of=failure.replay_of,
        replay_id=failure.replay_id,
        failed_in=_newest_position(told) if told.newest_topic in collected else None,
    )


def _newest_position(failure: Failure) -> Position | None:
    topic, partition, offset = failure.newest_topic, failure.newest_partition, failure.newest_offset
    return None if topic is None or partition is None or offset is None else Position(topic, partition, offset)


def identity_of_failure(record: Record, failure: Failure, identity: TopicIdentity) -> str:
    """The same for the same failed record, however often it was written to the dead-letter topic.

    Ours carry their id. Others are the same when they name the same newest source position and hold the same bytes;
    those that do not name one are distinguished by their own position.
    """
    # No id of ours has a NUL, and the buffer could not look for it.
    if failure.dead_letter_id and "\0" not in failure.dead_letter_id:
        return failure.dead_letter_id
    newest = (failure.newest_topic, failure.newest_partition, failure.newest_offset)
    if None in newest:
        return dead_letter_id_of(identity, record.position.partition, record.position.offset)
    parts = (identity.cluster_id, identity.topic, identity.topic_id, failure.dialect, failure.consumer_group, *newest)
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=16)
    # A recreated source topic has the same positions again, but hardly the same bytes there.
    digest.update(repr((record.key, record.value)).encode())
    return digest.hexdigest()
