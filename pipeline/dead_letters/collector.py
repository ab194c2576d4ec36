"""The collector: brings dead letters of any dialect from their topics into the buffer, each once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline.buffer import Advance, Buffer, DeadLetterRow, open_buffer, record_id
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.clock import Clock, StopSignal, is_due
from pipeline.crash_points import reached
from pipeline.dead_letters.fingerprints import fingerprint
from pipeline.errors import UndecodableError
from pipeline.headers import dead_letter_id_of, read_failure, reason_of, source_timestamp_ms_of
from pipeline.headers.values import LAST_TIMESTAMP_MS
from pipeline.kafka import ClusterView, Gap, IdentityWatch, PartitionReader, find_cluster
from pipeline.orders.serde import OrderCodec
from pipeline.records import Failure, Order, Record, TopicIdentity
from pipeline.running.sessions import keep_going
from pipeline.running.statusboard import StatusWriter
from pipeline.running.throughput import Throughput
from pipeline.settings import Settings

BATCH_RECORDS = 4000
IDLE_WAIT_S = 0.5
STATUS_EVERY_MS = 250
LOOK_FOR_TOPICS_EVERY_MS = 5000


def run_collector(
    settings: Settings, codec: OrderCodec, clock: Clock, steady_clock: Clock, stop: StopSignal, status: StatusWriter
) -> None:
    """Collects dead letters until asked to stop. `steady_clock` is one that nobody sets."""

    def session() -> None:
        codec.recheck_registry()
        with closing(BatchWriter(open_buffer(settings.database_file), BATCH_RECORDS, steady_clock)) as writer:
            cluster = find_cluster(settings)
            view = ClusterView(settings, cluster, stop.wait)
            if settings.sends_orders:
                # Without a processor nobody here writes dead letters: the topics are for their writers to make.
                view.ensure_topic(settings.own_dlq_topic)
            topics = matching_topics(settings, view.partitions())
            identities = view.identities(list(topics))
            watch = IdentityWatch(settings, view, identities)
            with PartitionReader(settings, cluster, f"{settings.group_id}-collector", stop.wait) as reader:
                collection = _Collection(settings, writer, codec, reader, view, watch, clock, status)
                try:
                    collection.take_on(topics, identities)
                    while not stop.is_set():
                        watch.check()
                        writer.check_file()
                        if topics:
                            collection.round()
                        else:
                            collection.wait(stop)
                        if collection.found_topics():
                            break  # the next session reads them too
                    collection.finish()
                finally:
                    watch.close()
                    writer.close()

    keep_going(session, status, clock, stop)


def matching_topics(settings: Settings, partitions: dict[str, int]) -> dict[str, int]:
    """The dead-letter topics among `partitions` (topic: number of partitions): named ones, patterns, our own."""
    names = {topic for topic in settings.dlq_topics if not topic.startswith("^")} | {settings.own_dlq_topic}
    patterns = [re.compile(topic) for topic in settings.dlq_topics if topic.startswith("^")]
    return {
        topic: count
        for topic, count in partitions.items()
        if topic in names or any(pattern.search(topic) for pattern in patterns)
    }


@dataclass(slots=True)
class _Place:
    """A partition; `next_offset` is after the last record that is in the buffer."""

    ref: int
    identity: TopicIdentity
    next_offset: int


class _Collection:
    """The state of one session."""

    def __init__(
        self,
        settings: Settings,
        writer: BatchWriter,
        codec: OrderCodec,
        reader: PartitionReader,
        view: ClusterView,
        watch: IdentityWatch,
        clock: Clock,
        status: StatusWriter,
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._codec = codec
        self._reader = reader
        self._view = view
        self._watch = watch
        self._clock = clock
        self._status = status
        self._written: dict[tuple[str, int], int] = {}
        self._places: dict[tuple[str, int], _Place] = {}
        self._topics: dict[str, int] = {}
        self._told: dict[tuple[str, int], int] = {}
        self._throughput = Throughput(clock)
        self._last_status_ms = 0
        self._looked_at_ms = clock()

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
        self._places[identity.topic, partition] = _Place(assignment.ref, identity, assignment.next_offset)
        self._reader.assign(identity.topic, partition, assignment.next_offset)

    def round(self) -> None:
        """One round: dead letters and the offsets after them in one transaction."""
        # 1. Read what has come.
        records, gaps = self._reader.read(self._writer.records_at_once, 0 if self._writer.busy else IDLE_WAIT_S)
        # 2. Understand it, whatever dialect it speaks. The round before may still be on its way into the buffer.
        now_ms = self._clock()
        rows = self._rows(records)
        # 3. By now it is there, or its failure ends this session.
        self._conclude()
        # 4. What was read is of the topics that we take it for, not of one that was made anew meanwhile.
        self._watch.confirm({record.position.topic for record in records} | {gap.topic for gap in gaps})
        # 5. Rows, groups, figures and offsets, guarded; a failure that is known already is left out there.
        if records:
            self._written = _ends(records)
            self._writer.write(partial(_collect, self._advances(), rows, now_ms), len(records))
        # 6. A small batch is in the buffer at once; a big one is concluded in the next round.
        if gaps or not self._writer.busy:
            self._conclude()
        # 7. Pass over what Kafka no longer has. It comes after what there was to read.
        for gap in gaps:
            self._skip(gap)
        # 8. Say how it goes.
        self._throughput.add(len(records))
        self._tell()

    def wait(self, stop: StopSignal) -> None:
        """Instead of a round while there is no topic to read: reading would only be refused, for the group's sake."""
        stop.wait(IDLE_WAIT_S)
        self._tell()

    def _conclude(self) -> None:
        """What follows from a batch that is in the buffer. Raises what writing it raised."""
        self._writer.finish(self._tell)
        for key, next_offset in self._written.items():
            self._places[key].next_offset = next_offset
        self._written = {}

    def finish(self) -> None:
        """Waits until all is written. Raises what writing raised."""
        self._writer.finish()

    def found_topics(self) -> bool:
        """Whether topics or partitions have come that match; looks every five seconds."""
        if not is_due(self._clock(), self._looked_at_ms, LOOK_FOR_TOPICS_EVERY_MS):
            return False
        self._looked_at_ms = self._clock()
        return matching_topics(self._settings, self._view.partitions()) != self._topics

    def _rows(self, records: Sequence[Record]) -> list[DeadLetterRow]:
        rows = []
        for record, order in zip(records, orders_in(records, self._codec), strict=True):
            place = self._places[record.position.topic, record.position.partition]
            rows.append(dead_letter_row(record, place.ref, place.identity, order))
        return rows

    def _advances(self) -> list[Advance]:
        places = ((self._places[key], next_offset) for key, next_offset in self._written.items())
        return [Advance(place.ref, place.next_offset, next_offset) for place, next_offset in places]

    def _skip(self, gap: Gap) -> None:
        place = self._places[gap.topic, gap.partition]
        if gap.low <= place.next_offset:
            self._status.say("waiting", f"{gap.topic}[{gap.partition}] ends before offset {place.next_offset}")
            return
        message = f"{gap.topic}[{gap.partition}] offsets {place.next_offset} to {gap.low - 1} are gone, uncollected"
        reached("collector: before a gap is skipped")
        self._writer.flow.skip(place.ref, place.next_offset, gap.low, self._clock(), message)
        reached("collector: gap skipped")
        place.next_offset = gap.low
        self._reader.seek(gap.topic, gap.partition, gap.low)

    def _tell(self) -> None:
        now_ms = self._clock()
        if not is_due(now_ms, self._last_status_ms, STATUS_EVERY_MS):
            return
        self._last_status_ms = now_ms
        places = {key: place.next_offset for key, place in self._places.items()}
        if places != self._told:
            reached("collector: before offsets are committed to Kafka")
            self._reader.commit_offsets(places)
            reached("collector: offsets committed to Kafka")
            self._told = places
        self._status.say("running", self._reader.trouble or self._writer.trouble or self._missing(), self._figures())

    def _missing(self) -> str:
        missing = sorted(set(self._settings.dlq_topics) - self._topics.keys())
        names = ", ".join(topic for topic in missing if not topic.startswith("^"))
        return f"not there yet, or hidden from this account (no ACL allows Describe on it): {names}" if names else ""

    def _figures(self) -> dict[str, Any]:
        lag = 0
        for (topic, partition), place in self._places.items():
            high = self._reader.known_high(topic, partition)
            lag += max(0, high - place.next_offset) if high is not None else 0
        return {"lag": lag, "rate_per_s": self._throughput.per_s(), "topics": sorted(self._topics)}


def _collect(advances: Sequence[Advance], rows: Sequence[DeadLetterRow], now_ms: int, buffer: Buffer) -> None:
    reached("collector: before dead letters are collected")
    buffer.dead_letters.collect(advances, rows, now_ms)
    reached("collector: dead letters collected")


def _ends(records: Sequence[Record]) -> dict[tuple[str, int], int]:
    """The offset after the last record of each partition."""
    places = [record.position for record in records]
    return {(place.topic, place.partition): place.offset + 1 for place in places}


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


def dead_letter_row(record: Record, ref: int, identity: TopicIdentity, order: Order | None) -> DeadLetterRow:
    """What a dead letter tells. A record without any known header is one too.

    Without an order, the order's columns are NULL.
    """
    failure = read_failure(record.headers)
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
        dead_letter_id=identity_of_failure(record, failure, identity),
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
    )


def identity_of_failure(record: Record, failure: Failure, identity: TopicIdentity) -> str:
    """The same for the same failed record, however often it was written to the dead-letter topic.

    Ours carry their id. Others are the same when they name the same newest source position and hold the same bytes;
    those that do not name one are told apart by their own place.
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
