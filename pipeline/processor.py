"""The processor: reads orders, judges each, and writes rows, figures, retries, dead letters and offsets at once.

The order of the steps in `_Flow.round` is what makes "exactly once into the buffer" true; the reasons stand in
docs/architecture.md.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np

from pipeline.batch_writer import BIG_RECORDS, BatchWriter
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
from pipeline.columns import Flags, Integers, OrderColumns
from pipeline.crash_points import reached
from pipeline.errors import KafkaUnavailableError, RecordError, StaleWriterError
from pipeline.headers import dead_letter_id_of, failure_headers, replay_id_of
from pipeline.headers.orderpulse import REPLAY_ID
from pipeline.instances import member_name
from pipeline.judge import Judge, class_of, is_transient, stacktrace_of
from pipeline.kafka import ClusterView, Fetched, Gap, GroupReader, IdentityWatch, Sender, find_cluster
from pipeline.outbox import OutboxDrain
from pipeline.owners import OwnersWatch
from pipeline.records import Order, Position, Record, TopicIdentity
from pipeline.retries import Backoff, ParkedIndex, backoff_of
from pipeline.rules import RulesFile
from pipeline.sessions import keep_going
from pipeline.settings import Settings
from pipeline.statusboard import StatusWriter
from pipeline.throughput import Throughput

log = logging.getLogger(__name__)

BATCH_RECORDS = 10_000
BATCH_RETRIES = 2000
GATHER_RETRIES_MS = 250
ROWS_AT_HAND = 5000
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
    instance: int,
    clock: Clock,
    steady_clock: Clock,
    stop: StopSignal,
    status: StatusWriter,
) -> None:
    """Processes orders until asked to stop. `steady_clock` is one that nobody sets."""
    member = member_name(settings.data_dir, instance)
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
            flow = _Flow(
                settings, buffer, judge, rules_file, backoff, sender, identities[settings.orders_topic], clock, status
            )
            reader = GroupReader(settings, cluster, member, flow.assigned, flow.revoked)
            owners = OwnersWatch(settings, view, instance, reader.session_ms, clock, steady_clock)
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
    """One partition that is ours: where we are, what is parked, and the generations whose leftovers we look after.

    `next_offset` is after the last record that was judged, `stored_offset` after the last one that is in the buffer.
    """

    ref: int
    number: int
    next_offset: int
    stored_offset: int
    generations: dict[int, Generation]
    parked: ParkedIndex = field(default_factory=ParkedIndex)
    at_hand: dict[int, Parked] = field(default_factory=dict)
    """Rows of parked records as the buffer has them, so that most need not be read back: that takes half a retry."""

    def keep(self, row: Parked) -> None:
        """Has a parked record's row at hand, if there is room."""
        if len(self.at_hand) < ROWS_AT_HAND:
            self.at_hand[row.record_id] = row

    def take(self, identifiers: Iterable[int]) -> tuple[list[Parked], list[int]]:
        """The rows that are at hand, and which are not. They are at hand no more."""
        rows = {identifier: self.at_hand.pop(identifier, None) for identifier in identifiers}
        return [row for row in rows.values() if row], [identifier for identifier, row in rows.items() if row is None]


@dataclass(frozen=True, slots=True)
class _Glance:
    """Records as they look before anything is judged.

    `found[i]` says which of `orders` record i is, if it is a valid one, else it is -1. `plain` are the records with a
    valid order that the handler need not see.
    """

    records: Fetched
    orders: OrderColumns
    found: Integers
    plain: Flags

    def valid_order(self, place: int) -> Order | None:
        """The valid order that this record is."""
        index = int(self.found[place])
        return None if index < 0 else self.orders.order(index)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """The `number`-th attempt at a record; `identity` is that of the topic it came from."""

    record_id: int
    record: Record
    number: int
    first_failed_at_ms: int
    identity: TopicIdentity


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
        self._writer = BatchWriter()
        self._written = Batch(0)
        self._tried_at_ms = 0
        self._paused = False
        self._said_at_ms = 0
        self._told_at_ms = 0

    # -- one round

    def round(self, reader: GroupReader) -> None:
        """One round: everything the records caused is written at once, or not at all."""
        # 1. Read what has come; partitions are dealt out and taken away in here, between two transactions.
        fetched, gaps = reader.read_partitions(BATCH_RECORDS, self._wait_s())
        # 2. Find the valid orders. That changes nothing here: the round before may still be on its way into the buffer.
        glances = [self._look_at(records) for records in fetched]
        # 3. Pass over what Kafka no longer has, from where the buffer stands.
        if gaps:
            self._conclude(reader)
        for gap in gaps:
            if gap.partition in self._partitions:
                self._skip(reader, gap)
        # 4. Judge the retries that are due, then the new records: an older one of the same key comes first.
        batch, many = Batch(self._clock()), sum(len(records) for records in fetched)
        self._judge_due(batch, many)
        for glance in glances:
            self._judge_new(batch, glance)
        # 5. By now the round before is in the buffer, or its failure ends this session.
        if self._writer.busy:
            self._conclude(reader)
        # 6. Orders, figures, parked and failed records and the offsets after them: one transaction, guarded.
        if not batch.empty:
            self._writer.write(partial(self._buffer.flow.commit, batch), many)
        self._written = batch
        # 7. A small batch is in the buffer at once; a big one is concluded in the next round.
        if not self._writer.busy:
            self._conclude(reader)

    def _conclude(self, reader: GroupReader) -> None:
        """What follows from a batch that is in the buffer. Raises what writing it raised."""
        self._writer.finish()
        written, self._written = self._written, Batch(0)
        stored = {advance.ref: advance.next_offset for advance in written.advances}
        for partition in self._partitions.values():
            partition.stored_offset = stored.get(partition.ref, partition.stored_offset)
        # Failed records go to the dead-letter topic and leave the outbox when they are confirmed there.
        self._outbox.added(written.outbox)
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

    def _look_at(self, records: Fetched) -> _Glance:
        orders, valid = self._judge.look_at(records.values())
        found = np.full(len(records), -1, np.int64)
        found[orders.places[valid]] = np.flatnonzero(valid)
        plain = found >= 0
        names = self._judge.headers_looked_at
        plain &= False if names is None else np.array(records.without_headers(names | _HEADERS_OF_OURS), np.bool_)
        return _Glance(records, orders, found, plain)

    def _judge_new(self, batch: Batch, glance: _Glance) -> None:
        partition = self._partitions.get(glance.records.partition)
        if partition is None:
            return  # taken away while we were reading
        records = glance.records.since(partition.next_offset)
        if not len(records):
            return
        if records is not glance.records:
            glance = self._look_at(records)
        offsets = records.offsets()
        self._throughput.add(len(records))
        batch.advances.append(Advance(partition.ref, partition.next_offset, offsets[-1] + 1))
        partition.next_offset = offsets[-1] + 1
        accepted = glance.plain
        if partition.parked.held_keys or not accepted.all():
            accepted = self._judge_some(batch, partition, glance)
        orders = glance.orders.where(accepted[glance.orders.places])
        if len(orders):
            first_id = record_id(partition.ref, offsets[-1]) - offsets[-1]
            if len(orders) < len(records):
                offsets = [offsets[place] for place in orders.places.tolist()]
            batch.blocks.append(OrderBlock([first_id + offset for offset in offsets], orders))

    def _judge_some(self, batch: Batch, partition: _Partition, glance: _Glance) -> Flags:
        """Judges what is not plain, in the order of offsets; returns which of the plain records are accepted.

        A record whose key is held up waits, whatever it is.
        """
        keys, plain, held = glance.records.keys(), glance.plain.tolist(), partition.parked.held_keys
        # No key is held up but those that are already, and those of what is judged here.
        judged = {key for key, is_plain in zip(keys, plain, strict=True) if not is_plain}
        accepted = glance.plain.copy()
        for place in [place for place, key in enumerate(keys) if key in judged or key in held]:
            if keys[place] in held:
                self._park_behind(batch, partition, glance.records.record(place))
                accepted[place] = False
            elif not plain[place]:
                self._judge_one(batch, partition, glance.records.record(place), glance.valid_order(place))
        return accepted

    def _park_behind(self, batch: Batch, partition: _Partition, record: Record) -> None:
        identifier = record_id(partition.ref, record.position.offset)
        row = Parked(identifier, record.timestamp_ms, record.key, record.value, record.headers, 0, None)
        batch.parked.append(row)
        partition.parked.add(identifier, record.key, 0)
        partition.keep(row)

    def _judge_one(self, batch: Batch, partition: _Partition, record: Record, valid: Order | None) -> None:
        identifier = record_id(partition.ref, record.position.offset)
        attempt = _Attempt(identifier, record, 1, batch.now_ms, self._identity)
        parked = self._settle(batch, attempt, valid)
        if parked is not None:
            partition.parked.add(identifier, record.key, parked.due_at_ms or 0)
            partition.keep(parked)

    def _judge_due(self, batch: Batch, records: int) -> None:
        # Beside many new records, retries are gathered: each is a row far from the others', and many a page share one.
        if records >= BIG_RECORDS and not is_due(batch.now_ms, self._tried_at_ms, GATHER_RETRIES_MS):
            return
        self._tried_at_ms = batch.now_ms
        for partition in self._partitions.values():
            taken = partition.parked.take_due(batch.now_ms, BATCH_RETRIES)
            left = BATCH_RETRIES
            while taken:
                successors = self._retry_all(batch, partition, taken)
                left -= len(taken)
                taken = successors
                if left <= 0:
                    for identifier in taken:
                        partition.parked.postpone(identifier, batch.now_ms)
                    break

    def _retry_all(self, batch: Batch, partition: _Partition, taken: list[int]) -> list[int]:
        """Tries parked records; returns those of the same keys that waited for their end."""
        loaded = self._load(partition, taken)
        orders, valid = self._judge.look_at([parked.value for parked in loaded])
        places = orders.places.tolist()
        order_at = {places[index]: orders.order(index) for index in np.flatnonzero(valid).tolist()}
        successors = [self._retry(batch, partition, parked, order_at.get(place)) for place, parked in enumerate(loaded)]
        return [successor for successor in successors if successor is not None]

    def _load(self, partition: _Partition, identifiers: list[int]) -> list[Parked]:
        rows, missing = partition.take(identifiers)
        if missing:
            self._writer.wait()
            rows += self._buffer.flow.load_parked(missing)
            if len(rows) != len(identifiers):
                raise StaleWriterError("parked records were settled by another processor: beginning anew")
        return sorted(rows, key=attrgetter("record_id"))

    def _retry(self, batch: Batch, partition: _Partition, parked: Parked, valid: Order | None) -> int | None:
        """Tries a parked record; returns the one of the same key that waited for its end."""
        generation = partition.generations[ref_of(parked.record_id)]
        place = Position(generation.identity.topic, generation.partition, offset_of(parked.record_id))
        record = Record(place, parked.timestamp_ms, parked.key, parked.value, parked.headers)
        batch.taken.append((parked.record_id, parked.attempts))
        first_failed_at_ms = parked.first_failed_at_ms or batch.now_ms
        attempt = _Attempt(parked.record_id, record, parked.attempts + 1, first_failed_at_ms, generation.identity)
        again = self._settle(batch, attempt, valid)
        if again is not None:
            partition.parked.postpone(again.record_id, again.due_at_ms or 0)
            partition.keep(again)
            return None
        batch.settled.append(parked.record_id)
        return partition.parked.settle(parked.record_id)

    def _settle(self, batch: Batch, attempt: _Attempt, valid: Order | None) -> Parked | None:
        """Judges one record and notes the effect; returns it as it is parked, if so."""
        verdict = self._judge.judge(attempt.record, attempt.number, valid)
        try:
            if isinstance(verdict, Order):
                batch.orders.append(OrderRow(attempt.record_id, verdict, attempt.number))
                _note_outcome(batch, attempt.record, recovered=True)
                return None
            return self._note_failure(batch, attempt, verdict)
        finally:
            # The stack of a failure leads to this frame. As long as the frame leads to the failure, too, only the
            # garbage collector frees them, and with them the whole batch.
            del verdict

    def _note_failure(self, batch: Batch, attempt: _Attempt, error: RecordError) -> Parked | None:
        delay_ms = self._backoff.delay_ms(attempt.number) if is_transient(error) else None
        if delay_ms is None:
            batch.outbox.append(_dead_letter(self._settings, attempt, error, batch.now_ms))
            _note_outcome(batch, attempt.record, recovered=False)
            return None
        batch.failed_attempts += 1
        parked = _parked(attempt, error, batch.now_ms + delay_ms)
        batch.parked.append(parked)
        return parked

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
            assignment.ref,
            number,
            assignment.next_offset,
            assignment.next_offset,
            {generation.ref: generation for generation in generations},
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
        partition.next_offset = partition.stored_offset = gap.low
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
                {(topic, partition.number): partition.stored_offset for partition in self._partitions.values()}
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
            lag = max(0, high - partition.stored_offset) if high is not None else 0
            name = f"{self._identity.topic}[{partition.number}]"
            partitions[name] = {"lag": lag, "next_offset": partition.stored_offset}
        return {
            "lag": sum(each["lag"] for each in partitions.values()),
            "rate_per_s": self._throughput.per_s(),
            "parked": self._parked,
            "outbox": self._outbox.waiting,
            "partitions": partitions,
            "rules_version": self._rules_file.version,
            "rules_error": self._rules_file.error,
        }


def _note_outcome(batch: Batch, record: Record, recovered: bool) -> None:
    replay_id = replay_id_of(record.headers) if record.headers else None
    if replay_id is not None:
        batch.outcomes.append(ReplayOutcome(replay_id, "recovered" if recovered else "dead_again"))


def _parked(attempt: _Attempt, error: RecordError, due_at_ms: int) -> Parked:
    record = attempt.record
    return Parked(
        attempt.record_id,
        record.timestamp_ms,
        record.key,
        record.value,
        record.headers,
        attempt.number,
        due_at_ms,
        attempt.first_failed_at_ms,
        class_of(error),
        error.reason,
    )


def _dead_letter(settings: Settings, attempt: _Attempt, error: RecordError, now_ms: int) -> OutboxRow:
    record, position = attempt.record, attempt.record.position
    dead_letter_id = dead_letter_id_of(attempt.identity, position.partition, position.offset)
    headers = failure_headers(
        position,
        stage="TASK_PUT" if error.rule == "handler" else "VALUE_CONVERTER",
        class_name=settings.handler,
        exception_class=class_of(error),
        message=error.reason,
        stacktrace=stacktrace_of(error),
        attempts=attempt.number,
        first_failed_at_ms=attempt.first_failed_at_ms,
        failed_at_ms=now_ms,
        rule=error.rule,
        dead_letter_id=dead_letter_id,
    )
    return OutboxRow(
        dead_letter_id, attempt.record_id, record.timestamp_ms, record.key, record.value, (*record.headers, *headers)
    )


def _lost_its_end(topic: str, partition: int, high: int, next_offset: int) -> KafkaUnavailableError:
    return KafkaUnavailableError(
        f"{topic}[{partition}] ends at offset {high}, but was read up to {next_offset}: Kafka has lost its newest "
        "records; delete and make the topic anew, or wait until it is restored"
    )
