"""The processor: reads orders, judges each, and writes rows, figures, retries, dead letters and offsets at once.

The order of the steps in `_Flow.round` is what makes "exactly once into the buffer" true; the reasons stand in
docs/architecture.md.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.batch_writer import BatchWriter
from pipeline.buffer import (
    Advance,
    Batch,
    Buffer,
    Generation,
    OrderBlock,
    OrderRow,
    OutboxRow,
    Parked,
    ReplayOutcome,
    offset_of,
    open_buffer,
    record_id,
    ref_of,
)
from pipeline.clock import Clock, StopSignal, is_due
from pipeline.columns import OrderColumns
from pipeline.crash_points import reached
from pipeline.errors import KafkaUnavailableError, RecordError, StaleWriterError
from pipeline.headers import dead_letter_id_of, failure_headers, replay_id_of
from pipeline.headers.orderpulse import REPLAY_ID
from pipeline.judge import Judge, class_of, is_transient, stacktrace_of
from pipeline.kafka import ClusterView, Fetched, Gap, GroupReader, IdentityWatch, OwnersWatch, Sender, find_cluster
from pipeline.outbox import OutboxDrain
from pipeline.records import Order, Position, Record, TopicIdentity
from pipeline.retries import Backoff, ParkedIndex, backoff_of
from pipeline.rules import RulesFile
from pipeline.sessions import keep_going
from pipeline.settings import Settings
from pipeline.statusboard import StatusWriter
from pipeline.throughput import Throughput

log = logging.getLogger(__name__)

BATCH_RECORDS = 10_000
BATCH_RETRIES = 500
IDLE_WAIT_S = 0.5
CONFIRMATION_WAIT_S = 0.02
TELL_EVERY_MS = 250
TELL_KAFKA_EVERY_MS = 1000
DEAD_LETTER_TIMEOUT_MS = 30_000
_HEADERS_OF_OURS = frozenset({REPLAY_ID})
"""A record with one of these has an effect beyond its order."""


def run_processor(
    settings: Settings,
    judge: Judge,
    rules_file: RulesFile,
    instance_id: str,
    clock: Clock,
    stop: StopSignal,
    status: StatusWriter,
) -> None:
    """Processes orders until asked to stop."""
    backoff = backoff_of(settings, random.Random().random)

    def session() -> None:
        # Before joining the group: a rebalance, and handlers called again, for nothing.
        judge.recheck_registry()
        with open_buffer(settings.database_file) as buffer:
            cluster = find_cluster(settings)
            view = ClusterView(settings, cluster)
            for topic in (settings.orders_topic, settings.own_dlq_topic):
                view.ensure_topic(topic)
            identities = view.identities([settings.orders_topic])
            sender = Sender(settings, cluster, DEAD_LETTER_TIMEOUT_MS)
            watch = IdentityWatch(settings, view, identities)
            owners = OwnersWatch(settings, view, instance_id)
            flow = _Flow(
                settings, buffer, judge, rules_file, backoff, sender, identities[settings.orders_topic], clock, status
            )
            reader = GroupReader(settings, cluster, instance_id, flow.assigned, flow.revoked)
            try:
                while not stop.is_set():
                    watch.check()
                    buffer.check_file()
                    if nobodys := owners.take_nobodys():
                        log.warning("partitions %s have no owner: joining the group anew", nobodys)
                        reader.join_anew()
                    flow.round(reader)
                flow.finish()
            finally:
                watch.close()
                owners.close()
                flow.close()
                reader.close()
                sender.close()

    keep_going(session, status, clock, stop)


@dataclass(slots=True)
class _Partition:
    """One partition that is ours: where we are, what is parked, and the generations whose leftovers we look after."""

    ref: int
    number: int
    next_offset: int
    generations: dict[int, Generation]
    parked: ParkedIndex = field(default_factory=ParkedIndex)


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Records, and which of them are accepted unless their key is held up; None: each is to be judged by itself."""

    records: Fetched
    accepted: OrderColumns | None


class _Flow:
    """The state of one session. Nothing in it is true unless the buffer holds it too."""

    def __init__(
        self,
        settings: Settings,
        buffer: Buffer,
        judge: Judge,
        rules_file: RulesFile,
        backoff: Backoff,
        sender: Sender,
        identity: TopicIdentity,
        clock: Clock,
        status: StatusWriter,
    ) -> None:
        self._settings = settings
        self._buffer = buffer
        self._judge = judge
        self._rules_file = rules_file
        self._backoff = backoff
        self._identity = identity
        self._clock = clock
        self._status = status
        self._partitions: dict[int, _Partition] = {}
        self._outbox = OutboxDrain(buffer.flow, sender, settings.own_dlq_topic, self._refs, clock)
        self._throughput = Throughput(clock)
        self._writer = BatchWriter(buffer.flow)
        self._added_to_outbox = 0
        self._paused = False
        self._said_at_ms = 0
        self._told_at_ms = 0

    # -- one round

    def round(self, reader: GroupReader) -> None:
        """One round: everything the records caused is written at once, or not at all."""
        # 1. Read what has come; partitions are dealt out and taken away in here, between two transactions.
        fetched, gaps = reader.read_partitions(BATCH_RECORDS, self._wait_s())
        # 2. Find the plain orders. That changes nothing here: the round before may still be on its way into the buffer.
        candidates = [self._look_at(records) for records in fetched]
        # 3. By now it is in the buffer, or its failure ends this session.
        if self._writer.busy:
            self._conclude(reader)
        for gap in gaps:
            if gap.partition in self._partitions:
                self._skip(reader, gap)
        # 4. Judge the retries that are due, then the new records: an older one of the same key comes first.
        batch = Batch(self._clock())
        self._judge_due(batch)
        for each in candidates:
            self._judge_new(batch, each)
        # 5. Orders, figures, parked and failed records and the offsets after them: one transaction, guarded.
        self._writer.write(batch, sum(len(records) for records in fetched))
        self._added_to_outbox += len(batch.outbox)
        # 6. A small batch is in the buffer at once; a big one is concluded in the next round.
        if not self._writer.busy:
            self._conclude(reader)

    def _conclude(self, reader: GroupReader) -> None:
        """What follows from a batch that is in the buffer. Raises what writing it raised."""
        self._writer.finish()
        # Failed records go to the dead-letter topic and leave the outbox when they are confirmed there.
        self._outbox.added(self._added_to_outbox)
        self._added_to_outbox = 0
        self._outbox.pump()
        # Say how it goes, and read no more than can be parked.
        self._hold_back(reader)
        self._tell(reader)

    def finish(self) -> None:
        """Waits until all is written. Raises what writing raised."""
        self._writer.finish()

    def close(self) -> None:
        """Ends writing; what is being written is written to its end."""
        self._writer.close()

    def _look_at(self, records: Fetched) -> _Candidates:
        names = self._judge.headers_looked_at
        if names is None:
            return _Candidates(records, None)
        values = records.values()
        plain = records.without_headers(names | _HEADERS_OF_OURS)
        if not all(plain):
            values = [value if without else None for value, without in zip(values, plain, strict=True)]
        return _Candidates(records, self._judge.accept_many(values))

    def _judge_new(self, batch: Batch, candidates: _Candidates) -> None:
        partition = self._partitions.get(candidates.records.partition)
        if partition is None:
            return  # taken away while we were reading
        records = candidates.records.since(partition.next_offset)
        if not len(records):
            return
        if records is not candidates.records:
            candidates = self._look_at(records)
        offsets = records.offsets()
        self._throughput.add(len(records))
        batch.advances.append(Advance(partition.ref, partition.next_offset, offsets[-1] + 1))
        partition.next_offset = offsets[-1] + 1
        first_id = record_id(partition.ref, offsets[-1]) - offsets[-1]
        accepted = candidates.accepted
        if accepted is None or len(accepted) < len(records) or len(partition.parked):
            accepted = self._judge_one_by_one(batch, partition, records, accepted)
        if accepted is not None and len(accepted):
            if len(accepted) < len(records):
                offsets = [offsets[place] for place in accepted.places.tolist()]
            batch.blocks.append(OrderBlock([first_id + offset for offset in offsets], accepted))

    def _judge_one_by_one(
        self, batch: Batch, partition: _Partition, records: Fetched, accepted: OrderColumns | None
    ) -> OrderColumns | None:
        """Judges what is not accepted already, in the order of offsets; returns what still is.

        A record whose key is held up waits, whatever it is.
        """
        plain = np.zeros(len(records), np.bool_)
        if accepted is not None:
            plain[accepted.places] = True
        waiting = []
        for index, (offset, key, is_plain) in enumerate(
            zip(records.offsets(), records.keys(), plain.tolist(), strict=True)
        ):
            if partition.parked.holds(key):
                identifier = record_id(partition.ref, offset)
                batch.parked.append(_waiting(identifier, records.record(index)))
                partition.parked.add(identifier, key, 0)
                waiting.append(index)
            elif not is_plain:
                self._judge_one(batch, partition, records.record(index))
        if accepted is None:
            return None
        plain[waiting] = False
        return accepted.where(plain[accepted.places])

    def _judge_one(self, batch: Batch, partition: _Partition, record: Record) -> None:
        identifier = record_id(partition.ref, record.position.offset)
        due_at_ms = self._settle(batch, identifier, record, 1, batch.now_ms, self._identity)
        if due_at_ms is not None:
            partition.parked.add(identifier, record.key, due_at_ms)

    def _judge_due(self, batch: Batch) -> None:
        for partition in self._partitions.values():
            taken = partition.parked.take_due(batch.now_ms, BATCH_RETRIES)
            left = BATCH_RETRIES
            while taken:
                successors: list[int] = []
                for parked in self._load(taken):
                    successor = self._retry(batch, partition, parked)
                    if successor is not None:
                        successors.append(successor)
                left -= len(taken)
                taken = successors
                if left <= 0:
                    for identifier in taken:
                        partition.parked.postpone(identifier, batch.now_ms)
                    break

    def _load(self, identifiers: list[int]) -> list[Parked]:
        found = self._buffer.flow.load_parked(identifiers)
        if len(found) != len(identifiers):
            raise StaleWriterError("parked records were settled by another processor: beginning anew")
        return found

    def _retry(self, batch: Batch, partition: _Partition, parked: Parked) -> int | None:
        """Tries a parked record; returns the one of the same key that waited for its end."""
        generation = partition.generations[ref_of(parked.record_id)]
        place = Position(generation.identity.topic, generation.partition, offset_of(parked.record_id))
        record = Record(place, parked.timestamp_ms, parked.key, parked.value, parked.headers)
        batch.taken.append((parked.record_id, parked.attempts))
        first_failed_at_ms = parked.first_failed_at_ms or batch.now_ms
        due_at_ms = self._settle(
            batch, parked.record_id, record, parked.attempts + 1, first_failed_at_ms, generation.identity
        )
        if due_at_ms is not None:
            partition.parked.postpone(parked.record_id, due_at_ms)
            return None
        batch.settled.append(parked.record_id)
        return partition.parked.settle(parked.record_id)

    def _settle(
        self,
        batch: Batch,
        identifier: int,
        record: Record,
        attempt: int,
        first_failed_at_ms: int,
        identity: TopicIdentity,
    ) -> int | None:
        """Judges one record and notes the effect; returns when it is due again if it is to be parked."""
        verdict = self._judge.judge(record, attempt)
        if isinstance(verdict, Order):
            batch.orders.append(OrderRow(identifier, verdict, attempt))
            _note_outcome(batch, record, recovered=True)
            return None
        delay_ms = self._backoff.delay_ms(attempt) if is_transient(verdict) else None
        if delay_ms is None:
            batch.outbox.append(
                _dead_letter(
                    self._settings, identifier, record, verdict, attempt, first_failed_at_ms, identity, batch.now_ms
                )
            )
            _note_outcome(batch, record, recovered=False)
            return None
        batch.failed_attempts += 1
        due_at_ms = batch.now_ms + delay_ms
        batch.parked.append(
            Parked(
                identifier,
                record.timestamp_ms,
                record.key,
                record.value,
                record.headers,
                attempt,
                due_at_ms,
                first_failed_at_ms,
                class_of(verdict),
                verdict.reason,
            )
        )
        return due_at_ms

    # -- partitions come and go

    def assigned(self, reader: GroupReader, number: int) -> int:
        """Takes a partition over from where the buffer stands; returns the offset to begin at."""
        self._writer.wait()
        low, high = reader.watermarks(self._identity.topic, number)
        flow = self._buffer.flow
        reached("processor: before a partition is taken over")
        assignment = flow.assign("processor", self._identity, number, low, self._clock())
        reached("processor: partition taken over")
        if assignment.next_offset > high:
            raise _lost_its_end(assignment.topic, number, high, assignment.next_offset)
        generations = flow.generations("processor", self._identity.topic, number)
        partition = _Partition(
            assignment.ref, number, assignment.next_offset, {generation.ref: generation for generation in generations}
        )
        # None waits longer than it would from now on, whatever the clock said when it was parked.
        latest_ms = self._clock() + self._backoff.longest_ms
        for place in flow.parked(list(partition.generations)):
            partition.parked.add(place.record_id, place.key, min(place.due_at_ms or 0, latest_ms))
        self._partitions[number] = partition
        self._outbox.recount()
        return assignment.next_offset

    def revoked(self, number: int) -> None:
        """Forgets a partition; what is parked of it is the next owner's."""
        self._writer.wait()
        self._partitions.pop(number, None)
        self._outbox.recount()

    def _refs(self) -> list[int]:
        return [ref for partition in self._partitions.values() for ref in partition.generations]

    def _skip(self, reader: GroupReader, gap: Gap) -> None:
        partition = self._partitions[gap.partition]
        if gap.low <= partition.next_offset:
            raise _lost_its_end(gap.topic, gap.partition, gap.high, partition.next_offset)
        message = (
            f"{gap.topic}[{gap.partition}] offsets {partition.next_offset} to {gap.low - 1} are gone: Kafka removed "
            "them before they were read"
        )
        reached("processor: before a gap is skipped")
        self._buffer.flow.skip(partition.ref, partition.next_offset, gap.low, self._clock(), message)
        reached("processor: gap skipped")
        partition.next_offset = gap.low
        reader.seek(gap.topic, gap.partition, gap.low)

    # -- pace and report

    @property
    def _parked(self) -> int:
        return sum(len(partition.parked) for partition in self._partitions.values())

    def _wait_s(self) -> float:
        if self._writer.busy:
            return 0.0
        longest_s = CONFIRMATION_WAIT_S if self._outbox.busy else IDLE_WAIT_S
        due = [when for partition in self._partitions.values() if (when := partition.parked.next_due_ms()) is not None]
        return min(longest_s, max(0, min(due) - self._clock()) / 1000) if due else longest_s

    def _hold_back(self, reader: GroupReader) -> None:
        full = self._parked + self._outbox.waiting >= self._settings.max_parked
        if full:
            reader.pause()  # again and again: partitions that come while we are full must wait too
        elif self._paused and not full:
            reader.resume()
        self._paused = full

    def _tell(self, reader: GroupReader) -> None:
        now_ms = self._clock()
        if is_due(now_ms, self._said_at_ms, TELL_EVERY_MS):
            self._said_at_ms = now_ms
            self._status.say("running", self._detail(reader), self._figures(reader))
        if is_due(now_ms, self._told_at_ms, TELL_KAFKA_EVERY_MS):
            self._told_at_ms = now_ms
            if self._paused:
                reader.look_at_ends()
            topic = self._identity.topic
            reached("processor: before Kafka is told")
            reader.tell_kafka(
                {(topic, partition.number): partition.next_offset for partition in self._partitions.values()}
            )
            reached("processor: Kafka told")

    def _detail(self, reader: GroupReader) -> str:
        if self._paused:
            return f"reading is paused: {self._parked} records are parked, {self._outbox.waiting} wait in the outbox"
        if self._outbox.error:
            return f"dead letters wait in the outbox: {self._outbox.error}"
        if not self._partitions:
            return reader.trouble or "joining the consumer group"
        return reader.trouble

    def _figures(self, reader: GroupReader) -> dict[str, Any]:
        partitions = {}
        for partition in self._partitions.values():
            high = reader.known_high(self._identity.topic, partition.number)
            lag = max(0, high - partition.next_offset) if high is not None else 0
            name = f"{self._identity.topic}[{partition.number}]"
            partitions[name] = {"lag": lag, "next_offset": partition.next_offset}
        return {
            "lag": sum(each["lag"] for each in partitions.values()),
            "rate_per_s": self._throughput.per_s(),
            "parked": self._parked,
            "outbox": self._outbox.waiting,
            "partitions": partitions,
            "rules_version": self._rules_file.version,
            "rules_error": self._rules_file.error,
        }


def _waiting(identifier: int, record: Record) -> Parked:
    return Parked(identifier, record.timestamp_ms, record.key, record.value, record.headers, 0, None)


def _note_outcome(batch: Batch, record: Record, recovered: bool) -> None:
    replay_id = replay_id_of(record.headers) if record.headers else None
    if replay_id is not None:
        batch.outcomes.append(ReplayOutcome(replay_id, "recovered" if recovered else "dead_again"))


def _dead_letter(
    settings: Settings,
    identifier: int,
    record: Record,
    error: RecordError,
    attempts: int,
    first_failed_at_ms: int,
    identity: TopicIdentity,
    now_ms: int,
) -> OutboxRow:
    dead_letter_id = dead_letter_id_of(identity, record.position.partition, record.position.offset)
    headers = failure_headers(
        record.position,
        stage="TASK_PUT" if error.rule == "handler" else "VALUE_CONVERTER",
        class_name=settings.handler,
        exception_class=class_of(error),
        message=error.reason,
        stacktrace=stacktrace_of(error),
        attempts=attempts,
        first_failed_at_ms=first_failed_at_ms,
        failed_at_ms=now_ms,
        rule=error.rule,
        dead_letter_id=dead_letter_id,
    )
    return OutboxRow(
        dead_letter_id, identifier, record.timestamp_ms, record.key, record.value, (*record.headers, *headers)
    )


def _lost_its_end(topic: str, partition: int, high: int, next_offset: int) -> KafkaUnavailableError:
    return KafkaUnavailableError(
        f"{topic}[{partition}] ends at offset {high}, but was read up to {next_offset}: Kafka has lost its newest "
        "records; delete and make the topic anew, or wait until it is restored"
    )
