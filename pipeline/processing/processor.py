"""The processor: reads orders, judges each, and writes rows, figures, retries, dead letters and offsets at once.

The order of the steps in `_Flow.round` is what makes "exactly once into the buffer" true; the reasons stand in
docs/architecture.md.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

from pipeline.buffer import Batch, Buffer, open_buffer
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.clock import Clock, StopSignal, is_due
from pipeline.crash_points import reached
from pipeline.errors import KafkaUnavailableError
from pipeline.kafka import ClusterView, Gap, GroupReader, IdentityWatch, Sender, find_cluster
from pipeline.orders.judge import Judge
from pipeline.orders.rules_file import RulesFile
from pipeline.processing.attempts import Attempts, Partition
from pipeline.processing.outbox import OutboxDrain
from pipeline.processing.owners import OwnersWatch
from pipeline.processing.retries import Backoff, backoff_of
from pipeline.records import TopicIdentity
from pipeline.running.instances import member_name
from pipeline.running.sessions import keep_going
from pipeline.running.statusboard import StatusWriter
from pipeline.running.throughput import Throughput
from pipeline.settings import Settings

log = logging.getLogger(__name__)

BATCH_RECORDS = 10_000
IDLE_WAIT_S = 0.5
CONFIRMATION_WAIT_S = 0.02
STATUS_EVERY_MS = 250
COMMIT_EVERY_MS = 1000
DEAD_LETTER_TIMEOUT_MS = 30_000


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
        with closing(BatchWriter(open_buffer(settings.database_file), BATCH_RECORDS, steady_clock)) as writer:
            cluster = find_cluster(settings)
            view = ClusterView(settings, cluster, stop.wait)
            for topic in (settings.orders_topic, settings.own_dlq_topic):
                view.ensure_topic(topic)
            identities = view.identities([settings.orders_topic])
            sender = Sender(settings, cluster, DEAD_LETTER_TIMEOUT_MS)
            watch = IdentityWatch(settings, view, identities)
            flow = _Flow(
                settings,
                writer,
                judge,
                rules_file,
                backoff,
                sender,
                identities[settings.orders_topic],
                partial(watch.confirm, [settings.orders_topic]),
                clock,
                status,
            )
            reader = GroupReader(settings, cluster, member, flow.assigned, flow.revoked, stop.wait)
            owners = OwnersWatch(settings, view, instance, reader.session_ms, clock, steady_clock)
            try:
                while not stop.is_set():
                    watch.check()
                    writer.check_file()
                    if unowned := owners.pop_unowned():
                        log.warning("partitions %s have no owner: joining the group anew", unowned)
                        reader.rejoin()
                    flow.round(reader)
                flow.finish()
            finally:
                watch.close()
                owners.close()
                writer.close()
                reader.close()
                sender.close()

    keep_going(session, status, clock, stop)


class _Flow:
    """The state of one session. Nothing in it is true unless the buffer holds it too."""

    def __init__(
        self,
        settings: Settings,
        writer: BatchWriter,
        judge: Judge,
        rules_file: RulesFile,
        backoff: Backoff,
        sender: Sender,
        identity: TopicIdentity,
        confirm_identity: Callable[[], None],
        clock: Clock,
        status: StatusWriter,
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._rules_file = rules_file
        self._backoff = backoff
        self._identity = identity
        self._confirm_identity = confirm_identity
        self._clock = clock
        self._status = status
        self._outbox = OutboxDrain(writer, sender, settings.own_dlq_topic, self._refs, clock)
        self._throughput = Throughput(clock)
        self._attempts = Attempts(settings, judge, backoff, writer, identity)
        self._partitions = self._attempts.partitions
        self._written = Batch(0)
        self._paused = False
        self._last_status_ms = 0
        self._last_commit_ms = 0

    # -- one round

    def round(self, reader: GroupReader) -> None:
        """One round: everything the records caused is written at once, or not at all."""
        # 1. Read what has come; partitions are dealt out and taken away in here, between two transactions.
        fetched, gaps = reader.read_partitions(self._writer.records_at_once, self._wait_s())
        # 2. Find the valid orders. That changes nothing here: the round before may still be on its way into the buffer.
        prevalidated = [self._attempts.prevalidate(records) for records in fetched]
        # 3. Pass over what Kafka no longer has, from where the buffer stands.
        if gaps:
            self._conclude(reader)
            self._confirm_identity()
        for gap in gaps:
            if gap.partition in self._partitions:
                self._skip(reader, gap)
        # 4. Judge the retries that are due, then the new records: an older one of the same key comes first.
        batch, many = Batch(self._clock()), sum(len(records) for records in fetched)
        self._attempts.try_due(batch, many)
        for each in prevalidated:
            self._throughput.add(self._attempts.try_new(batch, each))
        # 5. By now the round before is in the buffer, or its failure ends this session.
        if self._writer.busy:
            self._conclude(reader)
        # 6. What was read is of the topic that we take it for, not of one that was made anew meanwhile.
        if fetched:
            self._confirm_identity()
        # 7. Orders, figures, parked and failed records and the offsets after them: one transaction, guarded.
        if not batch.empty:
            self._writer.write(partial(_commit, batch), many)
        self._written = batch
        # 8. A small batch is in the buffer at once; a big one is concluded in the next round.
        if not self._writer.busy:
            self._conclude(reader)

    def _conclude(self, reader: GroupReader) -> None:
        """What follows from a batch that is in the buffer. Raises what writing it raised."""
        self._writer.finish(lambda: self._tell(reader))
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

    # -- partitions come and go

    def assigned(self, reader: GroupReader, partition_id: int) -> int:
        """Takes a partition over from where the buffer stands; returns the offset to begin at."""
        low, high = reader.watermarks(self._identity.topic, partition_id)
        flow = self._writer.flow
        reached("processor: before a partition is taken over")
        assignment = flow.assign("processor", self._identity, partition_id, low, self._clock())
        reached("processor: partition taken over")
        if assignment.next_offset > high:
            raise _lost_its_end(assignment.topic, partition_id, high, assignment.next_offset)
        generations = flow.generations("processor", self._identity.topic, partition_id)
        partition = Partition(
            assignment.ref,
            partition_id,
            assignment.next_offset,
            assignment.next_offset,
            {generation.ref: generation for generation in generations},
        )
        # None waits longer than it would from now on, whatever the clock said when it was parked.
        latest_ms = self._clock() + self._backoff.longest_ms
        for parked in flow.parked(list(partition.generations)):
            partition.parked.add(parked.record_id, parked.key, min(parked.due_at_ms or 0, latest_ms))
        self._partitions[partition_id] = partition
        self._outbox.recount()
        return assignment.next_offset

    def revoked(self, partition_id: int) -> None:
        """Forgets a partition; what is parked of it is the next owner's."""
        # The next owner goes on from where the buffer stands then.
        self._writer.wait()
        self._partitions.pop(partition_id, None)
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
        self._writer.flow.skip(partition.ref, partition.next_offset, gap.low, self._clock(), message)
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
        if is_due(now_ms, self._last_status_ms, STATUS_EVERY_MS):
            self._last_status_ms = now_ms
            self._status.say("running", self._detail(reader), self._figures(reader))
        if is_due(now_ms, self._last_commit_ms, COMMIT_EVERY_MS):
            self._last_commit_ms = now_ms
            if self._paused:
                reader.query_ends()
            topic = self._identity.topic
            reached("processor: before offsets are committed to Kafka")
            reader.commit_offsets(
                {(topic, partition.partition_id): partition.stored_offset for partition in self._partitions.values()}
            )
            reached("processor: offsets committed to Kafka")

    def _detail(self, reader: GroupReader) -> str:
        if self._paused:
            return f"reading is paused: {self._parked} records are parked, {self._outbox.waiting} wait in the outbox"
        if self._outbox.error:
            return f"dead letters wait in the outbox: {self._outbox.error}"
        if not self._partitions:
            return reader.trouble or "joining the consumer group"
        return reader.trouble or self._writer.trouble

    def _figures(self, reader: GroupReader) -> dict[str, Any]:
        partitions = {}
        for partition in self._partitions.values():
            high = reader.known_high(self._identity.topic, partition.partition_id)
            lag = max(0, high - partition.stored_offset) if high is not None else 0
            name = f"{self._identity.topic}[{partition.partition_id}]"
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


def _commit(batch: Batch, buffer: Buffer) -> None:
    buffer.flow.commit(batch)


def _lost_its_end(topic: str, partition: int, high: int, next_offset: int) -> KafkaUnavailableError:
    return KafkaUnavailableError(
        f"{topic}[{partition}] ends at offset {high}, but was read up to {next_offset}: Kafka has lost its newest "
        "records; delete and make the topic anew, or wait until it is restored"
    )
