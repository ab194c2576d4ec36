"""Which topics are not read now, and the stop before a record that may be a copy of one that was read.

Under another cluster's id a topic may be a mirror of the one that was read before. A mirror keeps the records' times:
one that is not newer than the newest that was read may be a copy, and would count twice. Reading of the topic stops
before the first such record, in all processes, until somebody says from where it is to go on. A wiped cluster that
holds only newer records is read on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from pipeline.buffer import HeldRecord, HeldTopic, PriorReading, Reader, time_text
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.buffer.contract import Role
from pipeline.clock import Clock, Interval
from pipeline.errors import TopicHeldError
from pipeline.kafka import DEMO_IDS, Fetched
from pipeline.records import Position, Record, TopicIdentity

log = logging.getLogger(__name__)

LOOK_EVERY_MS = 500


class TopicHolds:
    """What is held of the topics of one session. Each is expected before it is looked up which generation is read.

    `reader` is one of its own: to look now and then must not wait for a batch that is being written.
    """

    def __init__(self, role: Role, writer: BatchWriter, reader: Reader, clock: Clock) -> None:
        self._role: Role = role
        self._writer = writer
        self._reader = reader
        self._cluster_of: dict[str, str] = {}
        self._clock = clock
        self._interval = Interval(LOOK_EVERY_MS, clock)
        self._prior: dict[str, list[PriorReading]] = {}
        self._limits: dict[str, int] = {}
        self._met: set[str] = set()
        self._reread: dict[str, int] | None = None
        self.held: dict[str, HeldTopic] = {}
        """By topic: those that this session does not read."""

    def expect(self, told: Mapping[str, TopicIdentity]) -> None:
        """Looks after these topics too, of which the cluster tells this: fills `held`, and finds what may hold copies.

        A generation that is made from here on is noticed by `check`.
        """
        if self._reread is None:
            self._reread = self._reader.reread(self._role)
        new = {topic: identity for topic, identity in told.items() if topic not in self._cluster_of}
        for topic, identity in new.items():
            self._cluster_of[topic] = identity.cluster_id
            if not identity.cluster_id.startswith(DEMO_IDS):
                self._compare_with_others(topic, identity.cluster_id)
        self.held = self._look()

    def _compare_with_others(self, topic: str, cluster_id: str) -> None:
        prior = self._writer.rereads.prior(self._role, cluster_id, topic)
        prior = [each for each in prior if not each.cluster_id.startswith(DEMO_IDS)]
        if prior:
            self._prior[topic] = prior
            self._limits[topic] = max(each.newest_ms for each in prior)
            self._note_another_cluster(topic, cluster_id)

    def check(self) -> None:
        """Raises TopicHeldError once a topic is stopped, or goes on from elsewhere; looks every half second."""
        if not self._interval.is_over():
            return
        again = {topic for topic, _ in self._reader.reread(self._role).items() ^ (self._reread or {}).items()}
        changed = (self._look().keys() ^ self.held.keys()) | (again & self._cluster_of.keys())
        if changed:
            raise TopicHeldError(f"{', '.join(sorted(changed))}: reading was stopped, or goes on from elsewhere")

    def check_met(self) -> None:
        """Raises TopicHeldError when a record was met that may be a copy: what was read may go no further."""
        if self._met:
            raise TopicHeldError(f"{', '.join(sorted(self._met))}: a record was met that may be a copy")

    def before_copies(self, fetched: list[Fetched]) -> list[Fetched]:
        """What was fetched, up to before the first record of each partition that may be a copy.

        Reading of the topic is stopped when there is one; this session is over with the next `check_met`.
        """
        if not self._limits:
            return fetched
        kept = []
        for each in fetched:
            topic = each.partition_key[0]
            limit_ms = self._limits.get(topic)
            if limit_ms is not None and len(each):
                each, position, timestamp_ms = each.newer_than(limit_ms)
                if position is not None:
                    self._stop(position, timestamp_ms)
            if len(each):
                kept.append(each)
        return kept

    def records_before_copies(self, records: Sequence[Record]) -> Sequence[Record]:
        """As `before_copies`."""
        if not self._limits:
            return records
        kept, stopped = [], set()
        for record in records:
            position, key = record.position, (record.position.topic, record.position.partition)
            if key not in stopped and record.timestamp_ms <= self._limits.get(position.topic, record.timestamp_ms - 1):
                stopped.add(key)
                self._stop(position, record.timestamp_ms)
            if key not in stopped:
                kept.append(record)
        return kept

    def _stop(self, position: Position, timestamp_ms: int) -> None:
        topic = position.topic
        if topic in self._met:
            return
        self._met.add(topic)
        record = HeldRecord(position.partition, position.offset, timestamp_ms)
        log.warning("%s may be a copy: reading of %s stops", position, topic)
        self._writer.rereads.hold(self._role, topic, self._cluster_of[topic], self._prior[topic], record, self._clock())

    def _look(self) -> dict[str, HeldTopic]:
        found = {}
        for each in self._reader.held():
            # A question about another cluster than this one is none here; what is being taken out is everywhere.
            here = each.cluster_id == self._cluster_of.get(each.topic)
            if each.role == self._role and (here or each.topic in self._cluster_of and each.state == "taking"):
                found[each.topic] = each
        return found

    def _note_another_cluster(self, topic: str, cluster_id: str) -> None:
        if self._writer.flow.topic_generations(self._role, cluster_id, topic):
            return
        before = ", ".join(each.cluster_id for each in self._prior[topic])
        message = (
            f"topic {topic} is read from cluster {cluster_id}, and was from {before}: it is read until a record comes "
            f"that is not newer than those read before, up to {time_text(self._limits[topic])}"
        )
        log.warning("%s", message)
        self._writer.watch.event(self._role, "warning", message, self._clock())
