"""Whose what waits is, where no partition's owner looks after it: each row that waits has somebody.

Parked records and outbox rows belong to the partition that they came from, and whoever reads that looks after them. A
partition that is gone, since its topic was recreated with fewer, and those of a topic that nobody reads any more have
no reader: the processor of the lowest instance adopts what waits of them. One that cannot be read yet, since no broker
leads it, is looked after by the processor that it was dealt out to. Two that both believe to be it do no harm: the
guards of a batch let one of them write, and a dead letter that is sent twice is recognised.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.buffer import Generation, Parked
from pipeline.clock import Clock
from pipeline.kafka import PartitionKey
from pipeline.processing.owners import is_member, topics_of
from pipeline.processing.parking import Parking
from pipeline.processing.retries import ParkedIndex
from pipeline.running.statusboard import read_roles
from pipeline.settings import Settings


@dataclass(slots=True)
class Adopted(Parking):
    """What waits of a partition that has no reader, of all its generations."""

    generations: dict[int, Generation] = field(default_factory=dict)
    parked: ParkedIndex = field(default_factory=ParkedIndex)
    at_hand: dict[int, Parked] = field(default_factory=dict)


class Adoption:
    """Decides what this processor adopts, from what all processors on the data folder say that they read."""

    def __init__(self, settings: Settings, instance: int, clock: Clock) -> None:
        self._settings = settings
        self._instance = instance
        self._clock = clock

    def mine(
        self,
        waiting: Iterable[Generation],
        partition_counts: Mapping[str, int],
        not_begun: Collection[PartitionKey] = (),
    ) -> list[Generation]:
        """Those that this processor is to look after; the topics that it reads have so many partitions, 0: not known.

        `not_begun` were dealt out to it, and cannot be read yet.
        """
        others = self._other_processors()
        return [
            each
            for each in waiting
            if (each.identity.topic, each.partition) in not_begun or self._is_mine(each, partition_counts, others)
        ]

    def _is_mine(
        self, waiting: Generation, partition_counts: Mapping[str, int], others: Mapping[int, set[str]]
    ) -> bool:
        topic = waiting.identity.topic
        readers = [instance for instance, topics in others.items() if topic in topics]
        if topic in partition_counts:
            return self._is_lowest(readers) and 0 < partition_counts[topic] <= waiting.partition
        return self._is_lowest(others) and not readers

    def _is_lowest(self, others: Iterable[int]) -> bool:
        return self._instance < min(others, default=self._instance + 1)

    def _other_processors(self) -> dict[int, set[str]]:
        """The topics that each of the others reads, by instance."""
        now_ms = self._clock()
        return {
            role.instance: topics_of(role)
            for role in read_roles(self._settings.data_dir)
            if role.role == "processor"
            and role.instance != self._instance
            and is_member(role)
            and not role.silent(now_ms)
        }
