"""Whose what waits is, where no partition's owner looks after it: each row that waits has somebody.

Parked records and outbox rows belong to the partition that they came from, and whoever reads that looks after them. A
partition that is gone, since its topic was recreated with fewer, and those of a topic that nobody reads any more have
no reader: the processor of the lowest instance adopts what waits of them. One that cannot be read yet, since no broker
leads it, is looked after by the processor that it was dealt out to. Two that both believe to be it do no harm: the
guards of a batch let one of them write, and a dead letter that is sent twice is recognised.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from pipeline.buffer import Generation, Parked
from pipeline.clock import Clock, Interval
from pipeline.processing.owners import is_member
from pipeline.processing.parking import Parking
from pipeline.processing.retries import ParkedIndex
from pipeline.running.statusboard import read_roles
from pipeline.settings import Settings

LOOK_EVERY_MS = 2000

Key = tuple[str, int]
"""Topic and partition."""


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
        self._topic = settings.orders_topic
        self._instance = instance
        self._clock = clock
        self._interval = Interval(LOOK_EVERY_MS, clock)

    def is_due(self) -> bool:
        """Whether to look again; every two seconds."""
        return self._interval.is_over()

    def mine(
        self, waiting: Iterable[Generation], partition_count: int, not_begun: Collection[Key] = ()
    ) -> list[Generation]:
        """Those that this processor is to look after; the topic that it reads has so many partitions, 0: not known.

        `not_begun` were dealt out to it, and cannot be read yet.
        """
        others = self._other_processors()
        lowest = self._instance < min(others, default=self._instance + 1)
        of_this_topic = [instance for instance, topic in others.items() if topic == self._topic]
        lowest_of_this_topic = self._instance < min(of_this_topic, default=self._instance + 1)
        read_by_others = set(others.values())
        return [
            each
            for each in waiting
            if (each.identity.topic, each.partition) in not_begun
            or (
                lowest_of_this_topic and 0 < partition_count <= each.partition
                if each.identity.topic == self._topic
                else lowest and each.identity.topic not in read_by_others
            )
        ]

    def _other_processors(self) -> dict[int, str]:
        """The topic that each of the others reads, by instance."""
        now_ms = self._clock()
        return {
            role.instance: str(role.figures.get("topic", ""))
            for role in read_roles(self._settings.data_dir)
            if role.role == "processor"
            and role.instance != self._instance
            and is_member(role)
            and not role.silent(now_ms)
        }
