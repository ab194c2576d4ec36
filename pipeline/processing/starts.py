"""Where a topic of the orders begins that is met for the first time, if that is not with its oldest record.

It is decided once, for all partitions that the topic has then, and is in the buffer before any of them is read. So two
processors agree, and so does one that comes after a crash. A partition that is added later, and a topic that is
recreated, begin with their oldest record: nothing of them was there when it was decided.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pipeline.buffer import time_text
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.clock import Clock
from pipeline.errors import KafkaUnavailableError
from pipeline.kafka import DEMO_IDS, Cluster, offsets_since, watermarks_of
from pipeline.records import TopicIdentity
from pipeline.settings import Settings, variable_of
from pipeline.starts import EARLIEST, LATEST, start_of

log = logging.getLogger(__name__)


class Starts:
    """Decides where the topics of a session begin."""

    def __init__(self, settings: Settings, cluster: Cluster, writer: BatchWriter, clock: Clock) -> None:
        self._settings = settings
        self._cluster = cluster
        self._writer = writer
        self._clock = clock
        self._start = start_of(settings.start)

    def decide(self, counts: Mapping[str, int], generations: Mapping[str, TopicIdentity]) -> dict[str, str]:
        """Decides it for those of these topics, with so many partitions each, that were never met.

        Returns why not, of those where it cannot.
        """
        not_known: dict[str, str] = {}
        if self._start == EARLIEST:
            return not_known
        for topic, count in counts.items():
            try:
                if not self._is_met(generations[topic]):
                    self._decide(generations[topic], count)
            except KafkaUnavailableError as error:
                not_known[topic] = str(error)
        return not_known

    def _is_met(self, identity: TopicIdentity) -> bool:
        """Whether the topic was read before, here or on another cluster; demo clusters and real ones share none."""
        known = self._writer.rereads.partitions("processor", identity.cluster_id, identity.topic)
        clusters = [each.identity.cluster_id for each in known]
        return any(cluster_id.startswith(DEMO_IDS) == bool(self._cluster.demo_id) for cluster_id in clusters)

    def _decide(self, identity: TopicIdentity, count: int) -> None:
        topic = identity.topic
        if not count:
            raise KafkaUnavailableError(f"{topic}: no broker says yet which partitions it has")
        found = watermarks_of(self._settings, self._cluster, topic, count)
        if self._start == LATEST:
            starts = {partition: high for partition, (_, high) in found.items()}
        else:
            starts = offsets_since(self._settings, self._cluster, topic, count, int(self._start))
        before = sum(max(0, starts[partition] - low) for partition, (low, _) in found.items())
        message = (
            f"topic {topic} is met for the first time and read from {self._in_words} on, as {variable_of('start')} "
            f"says: up to {before:,} records before that are not read; `python -m pipeline reread --topic {topic} "
            "--from earliest` reads them"
        )
        if self._writer.flow.begin_topic("processor", identity, starts, self._clock(), message):
            log.info("%s", message)

    @property
    def _in_words(self) -> str:
        if self._start == LATEST:
            return "its end"
        looked_through = " (looked through record by record: the demo cluster finds none by time)"
        return time_text(int(self._start)) + (looked_through if self._cluster.demo_id else "")
