"""Holds what is read against the topic that it is taken for: by Kafka's topic ids, else by what was read before."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from pipeline.buffer import ReadUpTo, TopicGeneration
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.buffer.contract import Role
from pipeline.clock import Clock, Wait
from pipeline.consuming.generations import Comparison, compare, is_certain, known_generation, recreated
from pipeline.errors import KafkaUnavailableError, TopicChangedError
from pipeline.kafka import ClusterView, ContentView, IdentityWatch
from pipeline.records import TopicIdentity
from pipeline.settings import Settings

log = logging.getLogger(__name__)


class InPartition(Protocol):
    """What was read of a partition, or is missing from it."""

    @property
    def partition(self) -> int: ...


class TopicGuard:
    """Knows for each topic of a session which generation is read, and whether it still is that one.

    `generations` are what the buffer knows the topics as. Each topic is expected before anything of it is read.
    """

    def __init__(
        self,
        settings: Settings,
        role: Role,
        writer: BatchWriter,
        view: ClusterView,
        watch: IdentityWatch,
        wait: Wait,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._role: Role = role
        self._writer = writer
        self._view = view
        self._watch = watch
        self._told: dict[str, TopicIdentity] = {}
        self._met: dict[str, TopicIdentity] = {}
        self._wait = wait
        self._clock = clock
        self._content: ContentView | None = None
        self.generations: dict[str, TopicIdentity] = {}

    def expect(self, told: Mapping[str, TopicIdentity]) -> dict[str, str]:
        """Looks after these topics too, of which the cluster tells this; returns why not, of those where it cannot.

        Raises TopicChangedError when one was met before as another one, or on another cluster.
        """
        self._compare_with_met(told)
        unknown = {}
        for topic, identity in told.items():
            try:
                self.generations[topic] = self._generation_of(identity)
            except KafkaUnavailableError as error:
                unknown[topic] = str(error)  # that keeps nobody from reading the others
            else:
                self._told[topic] = identity
                self._watch.expect({topic: identity})
        return unknown

    def _compare_with_met(self, told: Mapping[str, TopicIdentity]) -> None:
        # What the session knows of a topic, its clients too, is of the one that it met first.
        for topic, identity in told.items():
            met = self._met.setdefault(topic, identity)
            if identity.cluster_id != next(iter(self._met.values())).cluster_id:
                raise TopicChangedError(f"topic {topic} is on another cluster now")
            if met.topic_id and identity.topic_id != met.topic_id:
                raise TopicChangedError(f"topic {topic} was recreated")

    def forget(self, topics: Iterable[str]) -> None:
        """Looks after these no more: nothing of them is read now."""
        for topic in topics:
            self._watch.forget([topic])
            self._told.pop(topic, None)
            self.generations.pop(topic, None)

    def confirm(self, read: Mapping[str, Collection[InPartition]]) -> None:
        """Confirms that what was read, by topic, is of the generation that it is taken for.

        What was read before that must be in the buffer. Raises TopicChangedError, or KafkaUnavailableError when
        there is no answer.
        """
        self._watch.confirm(topic for topic in read if self._told[topic].topic_id)
        for topic, parts in read.items():
            if parts and not self._told[topic].topic_id and not self._view.cluster.demo_id:
                self._confirm_content(topic, {part.partition for part in parts})

    def close(self) -> None:
        """Leaves Kafka."""
        if self._content is not None:
            self._content.close()

    def _generation_of(self, told: TopicIdentity) -> TopicIdentity:
        """The generation that is read; another one than before leaves an event."""
        known = self._known(told)
        generation = known_generation(told, [each.identity for each in known])
        # The demo cluster recreates no topic.
        if generation is None or self._view.cluster.demo_id or is_certain(told, generation):
            return generation or told
        before = next(each for each in known if each.identity == generation)
        counts = self._view.partitions()
        if not counts.get(told.topic):
            raise KafkaUnavailableError(f"{told.topic}: no broker says yet which partitions it has")
        found = self._compare(before, [each for each in before.read if each < counts.get(told.topic, 0)], before.read)
        if found.verdict == "another":
            self._note(f"topic {told.topic} was recreated: {found.reason}; all of it is read")
            return recreated(told, before)
        if found.verdict == "not known":
            self._note(
                f"whether topic {told.topic} was recreated cannot be told: {found.reason}, and the cluster tells no "
                "topic id; it is read on"
            )
        return generation

    def _confirm_content(self, topic: str, partitions: set[int]) -> None:
        newest = self._known(self._told[topic])[-1]
        if newest.identity != self.generations[topic]:
            raise TopicChangedError(f"topic {topic} was recreated: another process reads it already")
        # One of which nothing is known proves nothing: then the others have to.
        known = {each: read for each, read in newest.read.items() if read.last}
        asked = {each: known[each] for each in partitions} if partitions <= known.keys() else newest.read
        found = self._compare(newest, asked, asked)
        if found.verdict == "another":
            raise TopicChangedError(f"topic {topic} was recreated: {found.reason}")

    def _compare(self, generation: TopicGeneration, there: Iterable[int], read: Mapping[int, ReadUpTo]) -> Comparison:
        """Holds what was `read` against the partitions that are `there`.

        Raises KafkaUnavailableError when that says nothing and would with an answer of them all.
        """
        if self._content is None:
            self._content = ContentView(self._settings, self._view.cluster, self._wait)
        topic = generation.identity.topic
        lasts = {partition: generation.read[partition].last for partition in there}
        found, unanswered = self._content.look(
            topic, {partition: last and last.offset for partition, last in lasts.items()}
        )
        comparison = compare(topic, read, found, unanswered)
        if comparison.verdict == "not known" and unanswered:
            partition, why = next(iter(unanswered.items()))
            raise KafkaUnavailableError(f"looking at {topic}[{partition}]: {why}")
        return comparison

    def _known(self, told: TopicIdentity) -> Sequence[TopicGeneration]:
        return self._writer.flow.topic_generations(self._role, told.cluster_id, told.topic)

    def _note(self, message: str) -> None:
        log.warning(message)
        self._writer.watch.event(self._role, "warning", message, self._clock())
