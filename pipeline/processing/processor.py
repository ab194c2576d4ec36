"""The processor: reads orders, judges each, and writes rows, figures, retries, dead letters and offsets at once.

The order of the steps in `_Flow.round` is what makes "exactly once into the buffer" true; the reasons stand in
docs/architecture.md.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, TypeVar

from pipeline.buffer import Advance, Batch, Buffer, Generation, OutboxRow
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.clock import Clock, StopSignal
from pipeline.consuming.consumer import IDLE_WAIT_S, Consumer, lost_its_end
from pipeline.consuming.holds import TopicHolds
from pipeline.consuming.session import consumer_session
from pipeline.crash_points import reached
from pipeline.dead_letters.letters import undeliverable_row
from pipeline.errors import KafkaUnavailableError
from pipeline.headers import read_failure
from pipeline.kafka import (
    DEAD_LETTER_TIMEOUT_MS,
    Fetched,
    Gap,
    GroupReader,
    PartitionKey,
    Sender,
)
from pipeline.orders.judge import Judge
from pipeline.orders.rules_file import RulesFile
from pipeline.processing.adoption import Adopted, Adoption
from pipeline.processing.attempts import Attempts, Partition
from pipeline.processing.brake import Brake
from pipeline.processing.mapping_in_force import MappingInForce
from pipeline.processing.outbox import OutboxDrain
from pipeline.processing.owners import BETWEEN_TOPICS, OwnersWatch
from pipeline.processing.parking import Parking
from pipeline.processing.retries import Backoff, backoff_of
from pipeline.processing.starts import Starts
from pipeline.processing.topics import TopicsRead
from pipeline.records import Position, Record
from pipeline.running.instances import member_name
from pipeline.running.sessions import keep_going
from pipeline.running.statusboard import StatusWriter
from pipeline.settings import Settings

log = logging.getLogger(__name__)

BATCH_RECORDS = 10_000
CONFIRMATION_WAIT_S = 0.02


def run_processor(
    settings: Settings,
    judge: Judge,
    rules_file: RulesFile,
    mapping: MappingInForce,
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
        with consumer_session(settings, "processor", BATCH_RECORDS, clock, steady_clock, stop) as opened:
            mapping.begin(opened.writer)
            starts = Starts(settings, opened.view.cluster, opened.writer, clock)
            topics = TopicsRead(settings, mapping.has_section, opened.view, opened.guard, opened.holds, starts)
            topics.begin()
            opened.view.ensure_topic(settings.own_dlq_topic)
            cluster = opened.view.cluster
            sender = opened.keep(Sender(settings, cluster, DEAD_LETTER_TIMEOUT_MS))
            flow = _Flow(
                settings,
                opened.writer,
                judge,
                rules_file,
                mapping,
                backoff,
                sender,
                topics,
                opened.holds,
                clock,
                status,
            )
            reader = opened.keep(
                GroupReader(settings, opened.view, member, flow.assigned, flow.revoked, flow.confirm_topics, stop.wait)
            )
            flow.hold_back(reader)  # before it has its first partition
            reader.subscribe(topics.counts.keys())
            owners = OwnersWatch(settings, opened.view, instance, opened.view.session_ms(), clock, steady_clock)
            adoption = Adoption(settings, instance, clock)
            with closing(owners):
                while not stop.is_set():
                    opened.check()
                    owners.topics = topics.counts.keys()
                    if (partitions := owners.pop_partitions()) is not None:
                        if topics.look(partitions, flow.topics_held):
                            log.info("the topics of the orders are %s now", ", ".join(topics.counts) or "none")
                            flow.hold_back(reader)
                            reader.subscribe(topics.counts.keys())
                        counts, not_begun = topics.counts, reader.not_begun
                        flow.adopt(partial(adoption.mine, partition_counts=counts, not_begun=not_begun))
                    if unowned := owners.pop_unowned():
                        log.warning("%s have no owner: joining the group again", ", ".join(unowned))
                        reader.rejoin()
                    flow.round(reader)

    keep_going(session, status, clock, stop)


class _Flow(Consumer[GroupReader]):
    """The orders topics' partitions that are ours."""

    def __init__(
        self,
        settings: Settings,
        writer: BatchWriter,
        judge: Judge,
        rules_file: RulesFile,
        mapping: MappingInForce,
        backoff: Backoff,
        sender: Sender,
        topics: TopicsRead,
        holds: TopicHolds,
        clock: Clock,
        status: StatusWriter,
    ) -> None:
        super().__init__(settings, writer, clock, status)
        self._rules_file = rules_file
        self._mapping = mapping
        self._backoff = backoff
        self._topics = topics
        self._topic_of: dict[int, str] = {}
        self._holds = holds
        self._judge = judge
        self._outbox = OutboxDrain(writer, sender, settings.own_dlq_topic, self._refs, self._keep_undeliverable, clock)
        self._attempts = Attempts(settings, judge, backoff, writer, topics.generations)
        self._partitions = self._attempts.partitions
        self._brake = Brake(settings, writer, self._topic_of, clock)
        self._written = Batch(0)
        self._adopted: set[PartitionKey] = set()
        self._held_back: set[str] = set()
        self._full = False

    # -- one round

    def round(self, reader: GroupReader) -> None:
        """One round: everything the records caused is written at once, or not at all."""
        # 1. Read what has come, up to before a record that may be a copy; partitions are dealt out and taken away in
        # here, between two transactions.
        fetched, gaps = reader.read_partitions(self._writer.records_at_once, self._wait_s())
        fetched = self._holds.before_copies(fetched)
        # 2. Find the valid orders, by the mapping as it is now. That changes nothing here: the round before may still
        # be on its way into the buffer.
        self._mapping.look(self._writer)
        prevalidated = [self._attempts.prevalidate(records) for records in fetched]
        # 3. Judge the retries that are due, then the new records: an older one of the same key comes first.
        batch, many = Batch(self._clock(), currency=self._mapping.currency), sum(len(records) for records in fetched)
        self._attempts.try_due(batch, many)
        for each in prevalidated:
            self._throughput.add(self._attempts.try_new(batch, each))
        # 4. By now the round before is in the buffer, or its failure ends this session.
        if self._writer.busy:
            self._conclude(reader)
        # 5. What was read is of the topics that we take it for, not of one that was recreated meanwhile.
        if fetched:
            self._topics.confirm(_by_topic(fetched))
        # 6. Orders, figures, parked and failed records and the offsets after them: one transaction, guarded.
        if not batch.empty:
            self._writer.write(partial(_commit, batch), many)
        self._written = batch
        # 7. A small batch is in the buffer at once; a big one is concluded in the next round.
        if gaps or not self._writer.busy:
            self._conclude(reader)
        self._holds.check_met()
        # 8. Skip what Kafka no longer has, from where the buffer stands. It comes after what there was to read.
        gaps = [gap for gap in gaps if (gap.topic, gap.partition) in self._partitions]
        if gaps:
            self._topics.confirm(_by_topic(gaps))
        for gap in gaps:
            self._skip(reader, gap)
        # 9. Pass markers of transactions and what else is no record.
        self._follow(reader)

    def _conclude(self, reader: GroupReader) -> None:
        """What follows from a batch that is in the buffer. Raises what writing it raised."""
        self._finish_writing(reader, self._written.advances)
        written, self._written = self._written, Batch(0)
        # Failed records go to the dead-letter topic and leave the outbox when they are confirmed there.
        if written.outbox:
            self._outbox.added(written.outbox)
        self._outbox.pump()
        # Read no more than can be parked, nothing of a topic that its brake has stopped or that is held, and report.
        self._brake.count(written)
        self._hold_back(reader)
        self._report(reader)

    def _write_moves(self, moves: list[Advance]) -> None:
        self.confirm_topics({self._topic_of[move.ref] for move in moves})
        self._writer.flow.commit(Batch(self._clock(), moves))

    # -- partitions come and go

    @property
    def topics_held(self) -> set[str]:
        """The topics of which partitions are ours."""
        return {topic for topic, _ in self._partitions}

    def confirm_topics(self, topics: Iterable[str]) -> None:
        """Raises when one was recreated since it was taken on: ends of its partitions are not this topic's."""
        self._topics.confirm(dict.fromkeys(topics, ()))

    def assigned(self, reader: GroupReader, topic: str, partition_id: int) -> int:
        """Takes a partition over from where the buffer stands; returns the offset to begin at."""
        low, high = reader.watermarks(topic, partition_id)
        identity, flow = self._topics.generations[topic], self._writer.flow
        reached("processor: before a partition is taken over")
        assignment = flow.assign("processor", identity, partition_id, low, self._clock())
        reached("processor: partition taken over")
        if assignment.next_offset > high:
            # Where the cluster tells no topic ids, that says that it is another one.
            self._topics.confirm({topic: [Gap(topic, partition_id, low, high)]})
            # It alone is not read then; it is looked at again after a while.
            where = f"{topic}[{partition_id}]"
            raise KafkaUnavailableError(lost_its_end(where, high, assignment.next_offset))
        generations = flow.generations("processor", topic, partition_id)
        partition = Partition(
            assignment.ref,
            identity,
            partition_id,
            assignment.next_offset,
            assignment.next_offset,
            {generation.ref: generation for generation in generations},
        )
        self._attempts.adopted.pop(partition.key, None)
        self._load_parked(partition, partition.generations)
        self._partitions[partition.key] = partition
        self._topic_of |= dict.fromkeys(partition.generations, topic)
        self._outbox.recount()
        self._note_foreign_offset(reader, partition)
        return assignment.next_offset

    def _note_foreign_offset(self, reader: GroupReader, partition: Partition) -> None:
        offset = reader.foreign_offsets.get(partition.key, partition.next_offset)
        if offset != partition.next_offset:
            message = (
                f"offset {offset} of {partition} was committed in Kafka's group "
                f"{self._settings.group_id} by something else, and has no effect: OrderPulse reads on from its buffer, "
                f"at {partition.next_offset}. `python -m pipeline reread --topic {partition.identity.topic} --from "
                "earliest` (or latest, or a time) reads the topic again; see docs/connecting.md"
            )
            log.warning("%s", message)
            self._writer.watch.event("processor", "warning", message, self._clock())

    def revoked(self, topic: str, partition_id: int) -> None:
        """Forgets a partition; what is parked of it is the next owner's."""
        # The next owner goes on from where the buffer stands then.
        self._writer.wait()
        self._partitions.pop((topic, partition_id), None)
        self._attempts.adopted.pop((topic, partition_id), None)
        self._outbox.recount()

    def adopt(self, choose: Callable[[list[Generation]], list[Generation]]) -> None:
        """Looks after what waits of these partitions, which nobody reads, and of no others."""
        flow, adopted = self._writer.flow, self._attempts.adopted
        waiting = [each for each in flow.waiting() if (each.identity.topic, each.partition) not in self._partitions]
        mine = {each.ref: each for each in choose(waiting)}
        keys = {(each.identity.topic, each.partition) for each in mine.values()}
        for key in adopted.keys() - keys:
            del adopted[key]
        new = mine.keys() - {ref for each in adopted.values() for ref in each.generations}
        for ref in sorted(new):
            key = (mine[ref].identity.topic, mine[ref].partition)
            adopted.setdefault(key, Adopted()).generations[ref] = mine[ref]
            self._topic_of[ref] = key[0]
            self._load_parked(adopted[key], [ref])
            log.warning("adopting what waits of %s[%d]: nobody reads it", *key)
        if new or self._adopted != keys:
            self._adopted = keys
            self._outbox.recount()

    def _load_parked(self, parking: Parking, refs: Collection[int]) -> None:
        # None waits longer than it would from now on, whatever the clock said when it was parked.
        latest_ms = self._clock() + self._backoff.longest_ms
        for parked in self._writer.flow.parked(list(refs)):
            parking.parked.add(parked.record_id, parked.key, min(parked.due_at_ms or 0, latest_ms))

    @property
    def _looked_after(self) -> list[Parking]:
        """All whose parked records and outbox rows are ours to bring to their end."""
        return [*self._partitions.values(), *self._attempts.adopted.values()]

    def _refs(self) -> list[int]:
        return [ref for each in self._looked_after for ref in each.generations]

    def _keep_undeliverable(self, refused: Sequence[tuple[OutboxRow, str]]) -> None:
        rows = [undeliverable_row(row, why, self._judge.order_in(_failed_record(row))) for row, why in refused]
        self._writer.flow.undeliverable(rows, self._clock())

    def _skip(self, reader: GroupReader, gap: Gap) -> None:
        partition = self._partitions[gap.topic, gap.partition]
        if self._held_up(reader, partition, gap):
            return
        reached("processor: before a gap is skipped")
        self._pass_over(reader, partition, gap, ": Kafka removed them before they were read")
        reached("processor: gap skipped")

    # -- pace and report

    @property
    def _parked(self) -> int:
        return sum(len(each.parked) for each in self._looked_after)

    def _wait_s(self) -> float:
        if self._writer.busy:
            return 0.0
        longest_s = CONFIRMATION_WAIT_S if self._outbox.busy else IDLE_WAIT_S
        due = [when for each in self._looked_after if (when := each.parked.next_due_ms()) is not None]
        return min(longest_s, max(0, min(due) - self._clock()) / 1000) if due else longest_s

    def hold_back(self, reader: GroupReader) -> None:
        """Reads nothing, from the beginning on, of topics that their brake has stopped or that are held."""
        self._brake.look()
        self._hold_back(reader)

    def _hold_back(self, reader: GroupReader) -> None:
        self._full = self._parked + self._outbox.waiting >= self._settings.max_parked
        topics = self._topics.generations.keys()
        held_back = set(topics) if self._full else (self._brake.stopped.keys() | self._holds.held.keys()) & topics
        if held_back or self._held_back:
            reader.hold_back(held_back)  # again and again: what was sought in meanwhile is fetched again
        self._held_back = held_back

    def _commit_offsets(self, reader: GroupReader) -> None:
        if self._held_back:
            reader.query_ends()
        reached("processor: before offsets are committed to Kafka")
        reader.commit_offsets(self._stored_offsets())
        reached("processor: offsets committed to Kafka")

    @property
    def _consumed(self) -> Collection[Partition]:
        return self._partitions.values()

    def _detail(self, reader: GroupReader) -> str:
        if self._full:
            return f"reading is paused: {self._parked} records are parked, {self._outbox.waiting} wait in the outbox"
        if self._outbox.error:
            return f"dead letters wait in the outbox: {self._outbox.error}"
        joining = "joining the consumer group" if not self._partitions and self._topics.counts else ""
        trouble = reader.trouble or (joining if reader.readable else "") or self._writer.trouble
        return "; ".join(filter(None, (trouble, self._topics.detail)))

    def _figures(self, reader: GroupReader) -> dict[str, Any]:
        partitions: dict[str, dict[str, int]] = {}
        held, braked = self._holds.held, self._brake.stopped
        topics: dict[str, Any] = {
            topic: {"lag": 0, "stopped": str(held.get(topic) or braked.get(topic) or "")}
            for topic in sorted(self._topics.counts)
        }
        for partition in self._consumed:
            lag = self._lag(reader, partition)
            partitions[str(partition)] = {"lag": lag, "next_offset": partition.stored_offset}
            if partition.identity.topic in topics:
                topics[partition.identity.topic]["lag"] += lag
        return {
            "lag": sum(each["lag"] for each in partitions.values()),
            "rate_per_s": self._throughput.per_s(),
            "parked": self._parked,
            "outbox": self._outbox.waiting,
            "topic": BETWEEN_TOPICS.join(topics),
            "topics": topics,
            "stopped": "; ".join(filter(None, (each["stopped"] for each in topics.values()))),
            "partitions": partitions,
            "adopted": sorted(f"{topic}[{partition_id}]" for topic, partition_id in self._attempts.adopted),
            "mapping_version": self._mapping.version,
            "mapping_error": self._mapping.error,
            "mapping_floats": ", ".join(self._mapping.float_topics),
            "rules_version": self._rules_file.version,
            "rules_error": self._rules_file.error,
        }


def _failed_record(row: OutboxRow) -> Record:
    """The record that failed, with the headers of its failure behind its own."""
    failure = read_failure(row.headers)
    position = Position(failure.newest_topic or "", failure.newest_partition or 0, failure.newest_offset or 0)
    timestamp_ms = -1 if failure.record_timestamp_ms is None else failure.record_timestamp_ms
    return Record(position, timestamp_ms, row.key, row.value, row.headers)


_OfTopic = TypeVar("_OfTopic", Fetched, Gap)


def _by_topic(parts: Iterable[_OfTopic]) -> dict[str, list[_OfTopic]]:
    """What was read, or is missing, of each topic."""
    found: dict[str, list[_OfTopic]] = {}
    for part in parts:
        found.setdefault(part.topic, []).append(part)
    return found


def _commit(batch: Batch, buffer: Buffer) -> None:
    buffer.flow.commit(batch)
