"""Attempts at records, new ones and parked ones: each is judged, and what it comes to is noted in the round's batch.

Nothing of it is true before the batch is in the buffer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np

from pipeline.buffer import (
    Attempted,
    Batch,
    Generation,
    OrderBlock,
    OrderRow,
    OutboxRow,
    Parked,
    ReplayOutcome,
    offset_of,
    record_id,
    ref_of,
)
from pipeline.buffer.batch_writer import BIG_RECORDS, BatchWriter
from pipeline.clock import is_due
from pipeline.consuming.consumer import ConsumedPartition
from pipeline.errors import RecordError, SchemaPendingError, StaleWriterError, TopicChangedError
from pipeline.headers import dead_letter_id_of, failure_headers, replay_id_of
from pipeline.headers.own import REPLAY_ID
from pipeline.kafka import Fetched, PartitionKey
from pipeline.orders.columns import Flags, Integers, OrderColumns
from pipeline.orders.handlers import name_of_handler
from pipeline.orders.judge import Judge, class_of, is_transient, stacktrace_of
from pipeline.orders.order_reader import RecordList
from pipeline.processing.adoption import Adopted
from pipeline.processing.parking import Parking
from pipeline.processing.retries import Backoff, ParkedIndex
from pipeline.records import Order, PassedOver, Position, Record, TopicIdentity
from pipeline.settings import Settings

BATCH_RETRIES = 2000
GATHER_RETRIES_MS = 250
_OF_A_REPLAY = frozenset({REPLAY_ID})
"""A record with this header has an effect beyond its order: the replay's outcome."""


@dataclass(slots=True)
class Partition(ConsumedPartition, Parking):
    """A partition that is ours: also what is parked of it, and the generations whose leftovers we look after."""

    generations: dict[int, Generation]
    parked: ParkedIndex = field(default_factory=ParkedIndex)
    at_hand: dict[int, Parked] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prevalidated:
    """Records as they look before anything is judged.

    `found[i]` says which of `orders` record i is, if it is a valid one, else it is -1. `fast_path` are the records with
    a valid order that the handler need not see. `replays` has the replay's id of those of them that have one.
    `passed_over` are the records that are passed over, but for replays, whose outcome is noted one by one. `at_once`
    are the records of both kinds, which need not be judged one by one.
    """

    records: Fetched
    orders: OrderColumns
    found: Integers
    fast_path: Flags
    passed_over: Flags
    at_once: Flags
    replays: dict[int, str]

    def valid_order(self, record_index: int) -> Order | None:
        """The valid order that this record is."""
        index = int(self.found[record_index])
        return None if index < 0 else self.orders.order(index)


@dataclass(frozen=True, slots=True)
class _TriedRecord:
    """A record at its `attempt`-th attempt; `identity` is that of the topic it came from."""

    record_id: int
    record: Record
    attempt: int
    first_failed_at_ms: int
    identity: TopicIdentity


class Attempts:
    """Judges, for the partitions that are ours, and what waits of those that nobody reads. Its owner decides which.

    `generations` are the topics that are read.
    """

    def __init__(
        self,
        settings: Settings,
        judge: Judge,
        backoff: Backoff,
        writer: BatchWriter,
        generations: Mapping[str, TopicIdentity],
    ) -> None:
        self.partitions: dict[PartitionKey, Partition] = {}
        self.adopted: dict[PartitionKey, Adopted] = {}
        self._settings = settings
        self._judge = judge
        self._backoff = backoff
        self._writer = writer
        self._generations = generations
        self._tried_at_ms = 0

    def prevalidate(self, records: Fetched) -> Prevalidated:
        """Finds the valid orders, which changes nothing here."""
        orders, valid, no_orders = self._judge.prevalidate(records.topic, records)
        found = np.full(len(records), -1, np.int64)
        passed_over: Flags = np.zeros(len(found), np.bool_)
        if no_orders:
            passed_over[no_orders] = np.array(records.without_headers(_OF_A_REPLAY), np.bool_)[no_orders]
        found[orders.indexes[valid]] = np.flatnonzero(valid)
        is_valid = found >= 0
        names = self._judge.headers_needed
        if names is None:
            return Prevalidated(records, orders, found, np.zeros(len(records), np.bool_), passed_over, passed_over, {})
        clear = np.array(records.without_headers(names | _OF_A_REPLAY), np.bool_)
        replays = _only_replayed(records, np.flatnonzero(is_valid & ~clear).tolist(), names)
        clear[list(replays)] = True
        fast_path = is_valid & clear
        return Prevalidated(records, orders, found, fast_path, passed_over, fast_path | passed_over, replays)

    def try_new(self, batch: Batch, prevalidated: Prevalidated) -> int:
        """Judges new records of a partition that is ours; returns how many there were.

        Raises TopicChangedError for records of another topic than those that are read: nothing of them may be written.
        """
        key = prevalidated.records.partition_key
        if key[0] not in self._generations:
            raise TopicChangedError(f"records of {key[0]} came as those of {', '.join(self._generations)}")
        partition = self.partitions.get(key)
        if partition is None:
            return 0  # taken away while we were reading
        records = prevalidated.records.since(partition.next_offset)
        if not len(records):
            return 0
        if records is not prevalidated.records:
            prevalidated = self.prevalidate(records)
        offsets = records.offsets()
        batch.advances.append(partition.advance_to(offsets[-1] + 1, *records.last_read()))
        at_once = prevalidated.at_once
        if partition.parked.held_keys or not at_once.all():
            at_once = self._judge_some(batch, partition, prevalidated)
        accepted = prevalidated.fast_path & at_once
        first_id = record_id(partition.ref, offsets[-1]) - offsets[-1]
        if passed_over := (prevalidated.passed_over & at_once).nonzero()[0].tolist():
            batch.passed_over += [first_id + offsets[index] for index in passed_over]
        orders = prevalidated.orders.where(accepted[prevalidated.orders.indexes])
        if len(orders):
            if len(orders) < len(records):
                offsets = [offsets[index] for index in orders.indexes.tolist()]
            batch.blocks.append(OrderBlock([first_id + offset for offset in offsets], orders))
        for index, replay_id in prevalidated.replays.items():
            if accepted[index]:
                batch.outcomes.append(ReplayOutcome(replay_id, "recovered"))
        return len(records)

    def _judge_some(self, batch: Batch, partition: Partition, prevalidated: Prevalidated) -> Flags:
        """Judges what has to be judged one by one, by offset; returns which of the other records do not wait.

        A record whose key is held up waits, whatever it is.
        """
        keys, at_once, held = prevalidated.records.keys(), prevalidated.at_once.tolist(), partition.parked.held_keys
        # No key is held up but those that are already, and those of what is judged here.
        judged = {key for key, is_at_once in zip(keys, at_once, strict=True) if not is_at_once}
        free = prevalidated.at_once.copy()
        for index in [index for index, key in enumerate(keys) if key in judged or key in held]:
            if keys[index] in held:
                self._park_behind(batch, partition, prevalidated.records.record(index))
                free[index] = False
            elif not at_once[index]:
                self._judge_one(batch, partition, prevalidated.records.record(index), prevalidated.valid_order(index))
        return free

    def _park_behind(self, batch: Batch, partition: Partition, record: Record) -> None:
        identifier = record_id(partition.ref, record.position.offset)
        row = _parked(identifier, record, 0, None)
        batch.parked.append(row)
        partition.parked.add(identifier, record.key, 0)
        partition.keep(row)

    def _judge_one(self, batch: Batch, partition: Partition, record: Record, valid: Order | None) -> None:
        identifier = record_id(partition.ref, record.position.offset)
        tried = _TriedRecord(identifier, record, 1, batch.now_ms, partition.identity)
        parked = self._settle(batch, tried, valid)
        if parked is not None:
            partition.parked.add(identifier, record.key, parked.due_at_ms or 0)
            partition.keep(parked)

    def try_due(self, batch: Batch, records: int) -> None:
        """Judges the parked records that are due, beside so many new ones."""
        # Beside many new records, retries are gathered: each is a row far from the others', and many a page share one.
        if records >= BIG_RECORDS and not is_due(batch.now_ms, self._tried_at_ms, GATHER_RETRIES_MS):
            return
        self._tried_at_ms = batch.now_ms
        for partition in (*self.partitions.values(), *self.adopted.values()):
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

    def _retry_all(self, batch: Batch, partition: Parking, taken: list[int]) -> list[int]:
        """Tries parked records; returns those of the same keys that waited for their end."""
        loaded = self._load(partition, taken)
        records = [_parked_record(partition, parked) for parked in loaded]
        valid = self._valid_orders(records)
        successors = [self._retry(batch, partition, *each) for each in zip(loaded, records, valid, strict=True)]
        return [successor for successor in successors if successor is not None]

    def _valid_orders(self, records: Sequence[Record]) -> list[Order | None]:
        """For each record the order that it is found to be at a glance, if it is a valid one."""
        found: list[Order | None] = [None] * len(records)
        topics = [record.position.topic for record in records]
        for topic in set(topics):
            indexes = [index for index, each in enumerate(topics) if each == topic]
            orders, valid, _ = self._judge.prevalidate(topic, RecordList([records[index] for index in indexes]))
            at = orders.indexes.tolist()
            for index in np.flatnonzero(valid).tolist():
                found[indexes[at[index]]] = orders.order(index)
        return found

    def _load(self, partition: Parking, identifiers: list[int]) -> list[Parked]:
        rows, missing = partition.take(identifiers)
        if missing:
            rows += self._writer.flow.load_parked(missing)
            if len(rows) != len(identifiers):
                raise StaleWriterError("parked records were settled by another processor: starting again")
        return sorted(rows, key=attrgetter("record_id"))

    def _retry(
        self, batch: Batch, partition: Parking, parked: Parked, record: Record, valid: Order | None
    ) -> int | None:
        """Tries a parked record; returns the one of the same key that waited for its end."""
        generation = partition.generations[ref_of(parked.record_id)]
        batch.taken.append(Attempted(parked.record_id, parked.attempts))
        first_failed_at_ms = parked.first_failed_at_ms or batch.now_ms
        tried = _TriedRecord(parked.record_id, record, parked.attempts + 1, first_failed_at_ms, generation.identity)
        again = self._settle(batch, tried, valid)
        if again is not None:
            partition.parked.postpone(again.record_id, again.due_at_ms or 0)
            partition.keep(again)
            return None
        batch.settled.append(parked.record_id)
        return partition.parked.settle(parked.record_id)

    def _settle(self, batch: Batch, tried: _TriedRecord, valid: Order | None) -> Parked | None:
        """Judges one record and notes the effect; returns it as it is parked, if so."""
        verdict = self._judge.judge(tried.record, tried.attempt, valid)
        try:
            if isinstance(verdict, Order):
                batch.orders.append(OrderRow(tried.record_id, verdict, tried.attempt))
                _note_outcome(batch, tried.record, recovered=True)
                return None
            if isinstance(verdict, PassedOver):
                batch.passed_over.append(tried.record_id)
                # It does not fail any more.
                _note_outcome(batch, tried.record, recovered=True)
                return None
            return self._note_failure(batch, tried, verdict)
        finally:
            # The stack of a failure leads to this frame. As long as the frame leads to the failure, too, only the
            # garbage collector frees them, and with them the whole batch.
            del verdict

    def _note_failure(self, batch: Batch, tried: _TriedRecord, error: RecordError) -> Parked | None:
        delay_ms = self._delay_ms(error, tried.attempt)
        if delay_ms is None:
            batch.outbox.append(_dead_letter(self._settings, tried, error, batch.now_ms))
            _note_outcome(batch, tried.record, recovered=False)
            return None
        batch.failed_attempts[ref_of(tried.record_id)] += 1
        parked = _parked(tried.record_id, tried.record, tried.attempt, batch.now_ms + delay_ms)._replace(
            first_failed_at_ms=tried.first_failed_at_ms, error_class=class_of(error), reason=error.reason
        )
        batch.parked.append(parked)
        return parked

    def _delay_ms(self, error: RecordError, attempt: int) -> int | None:
        """How long to wait before the next attempt; None: there is none."""
        if isinstance(error, SchemaPendingError):
            return error.wait_ms  # the registry's client knows when it has waited for long enough
        return self._backoff.delay_ms(attempt) if is_transient(error) else None


def _parked_record(partition: Parking, parked: Parked) -> Record:
    generation = partition.generations[ref_of(parked.record_id)]
    position = Position(generation.identity.topic, generation.partition, offset_of(parked.record_id))
    flags = bool(parked.headers_readable), bool(parked.append_time)
    return Record(position, parked.timestamp_ms, parked.key, parked.value, parked.headers, *flags)


def _only_replayed(records: Fetched, indexes: Iterable[int], names: frozenset[str]) -> dict[int, str]:
    """Those of these records that a replay sent and that have none of the headers `names`, with the replay's id."""
    replays = {}
    for index in indexes:
        headers = records.headers(index)
        if headers is not None and names.isdisjoint([name for name, _ in headers]):
            replay_id = replay_id_of(tuple(headers))
            if replay_id is not None:
                replays[index] = replay_id
    return replays


def _note_outcome(batch: Batch, record: Record, recovered: bool) -> None:
    replay_id = replay_id_of(record.headers) if record.headers else None
    if replay_id is not None:
        batch.outcomes.append(ReplayOutcome(replay_id, "recovered" if recovered else "dead_again"))


def _parked(identifier: int, record: Record, attempts: int, due_at_ms: int | None) -> Parked:
    """A record as it is kept, with all that decides how it is judged."""
    return Parked(
        identifier,
        record.timestamp_ms,
        record.key,
        record.value,
        record.headers,
        attempts,
        due_at_ms,
        headers_readable=record.headers_readable,
        append_time=record.append_time,
    )


def _dead_letter(settings: Settings, tried: _TriedRecord, error: RecordError, now_ms: int) -> OutboxRow:
    record, position = tried.record, tried.record.position
    dead_letter_id = dead_letter_id_of(tried.identity, position.partition, position.offset)
    headers = failure_headers(
        position,
        stage="TASK_PUT" if error.rule == "handler" else "VALUE_CONVERTER",
        class_name=name_of_handler(settings.handler),
        exception_class=class_of(error),
        message=error.reason,
        stacktrace=stacktrace_of(error),
        timestamp_ms=record.timestamp_ms if record.timestamp_ms >= 0 else None,
        attempts=tried.attempt,
        first_failed_at_ms=tried.first_failed_at_ms,
        failed_at_ms=now_ms,
        rule=error.rule,
        dead_letter_id=dead_letter_id,
    )
    # With the time of the failure: the record's own may be so old that retention takes the dead letter away at once.
    return OutboxRow(dead_letter_id, tried.record_id, now_ms, record.key, record.value, (*record.headers, *headers))
