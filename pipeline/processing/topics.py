"""The orders topics that a session of the processor reads: they join and leave it while it lasts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pipeline.buffer import Reader
from pipeline.consuming.holds import TopicHolds
from pipeline.consuming.topic_choice import HasSection, OrdersTopics, choose_orders_topics, topics_read
from pipeline.consuming.topic_guard import InPartition, TopicGuard
from pipeline.errors import KafkaUnavailableError
from pipeline.kafka import ClusterView
from pipeline.processing.starts import Starts
from pipeline.records import TopicIdentity
from pipeline.settings import Settings


class TopicsRead:
    """Chooses the topics, and has each looked up before it is read.

    `counts` has those that are read, with how many partitions each has, 0: not known. One that is named stays until the
    session's end, whatever a broker lists.
    """

    def __init__(
        self,
        settings: Settings,
        has_section: HasSection,
        view: ClusterView,
        guard: TopicGuard,
        holds: TopicHolds,
        starts: Starts,
    ) -> None:
        self._settings = settings
        self._has_section = has_section
        self._view = view
        self._guard = guard
        self._holds = holds
        self._starts = starts
        self._chosen = OrdersTopics()
        self._not_made = ""
        self._not_looked_up: dict[str, str] = {}
        self.counts: dict[str, int] = {}

    @property
    def generations(self) -> Mapping[str, TopicIdentity]:
        """What the buffer knows the topics as: those that are read, and those that leave just now."""
        return self._guard.generations

    def confirm(self, read: Mapping[str, Collection[InPartition]]) -> None:
        """See TopicGuard."""
        self._guard.confirm(read)

    def begin(self) -> None:
        """Makes our own topic if it is not there, and looks for all of them; those that are new join a moment later.

        Raises KafkaUnavailableError when there is none to be read, and it is said why.
        """
        made = [self._settings.own_orders_topic] if self._settings.own_orders_topic else []
        if self._view.cluster.demo_id:
            made = list(self._settings.orders_topics.names)  # it has no topics but those that we make
        # Asked for first: where Kafka is away, this says so, and nothing else is waited for.
        partitions = self._view.partitions()
        missing = [topic for topic in made if topic not in partitions]
        try:
            for topic in missing:
                self._view.ensure_topic(topic)
        except KafkaUnavailableError as error:
            self._not_made, missing = str(error), []  # that keeps nobody from reading the others
        # One that was just made may not be listed yet.
        self._chosen = self._choose(partitions | dict.fromkeys(missing, 0))
        with Reader(self._settings.database_file) as reader:
            met = set(topics_read(self._settings, reader))
        # Kafka gives a static member that comes back what it had before, and nothing of a topic that it did not
        # subscribe to then; to one that subscribes to more while it is a member, it does.
        found = self._chosen.read
        self._take_on({topic: count for topic, count in found.items() if topic in met})
        if not self.counts:
            self._take_on(found)
        if not self.counts and (why := self._not_made or next(iter(self._not_looked_up.values()), "")):
            raise KafkaUnavailableError(why)

    def look(self, partitions: Mapping[str, int], held: Collection[str] = ()) -> bool:
        """Takes on topics that match by now and lets go of those that do no more; whether there were any.

        `partitions` are all topics that there are, with the count of their partitions, `held` the topics of which
        partitions are ours: those are still looked after when they leave, until none is.
        """
        self._chosen = self._choose(partitions)
        if self._settings.own_orders_topic in self._chosen.read:
            self._not_made = ""  # somebody else has made it
        before = self.counts.keys()
        self._take_on(self._chosen.read)
        self._guard.forget(self._guard.generations.keys() - self.counts.keys() - set(held))
        return self.counts.keys() != before

    def _choose(self, partitions: Mapping[str, int]) -> OrdersTopics:
        return choose_orders_topics(self._settings, partitions, self._has_section)

    def _take_on(self, found: Mapping[str, int]) -> None:
        told, self._not_looked_up = self._view.look_up([topic for topic in found if topic not in self.counts])
        if told:
            self._holds.expect(told)
            self._not_looked_up |= self._guard.expect(told)
            self._not_looked_up |= self._starts.decide(
                {topic: found[topic] for topic in told if topic not in self._not_looked_up}, self.generations
            )
        named = self._settings.orders_topics.names
        stay = {topic for topic in self.counts if topic in named or topic in found}
        joined = told.keys() - self._not_looked_up.keys()
        self.counts = {topic: found.get(topic, 0) for topic in (*stay, *joined)}

    @property
    def detail(self) -> str:
        """What keeps topics from being read; empty when nothing does."""
        wanted, said = self._settings.orders_topics, {self._settings.own_orders_topic} if self._not_made else set()
        missing = [topic for topic in wanted.names if topic not in self._chosen.read and topic not in said]
        hidden = f"not there yet, or hidden from this account (no ACL allows Describe on it): {', '.join(missing)}"
        waiting = ", ".join(self._chosen.without_section)
        nothing = "" if self.counts or wanted.names or waiting else f"no topic yet that {wanted} takes in"
        return "; ".join(
            filter(
                None,
                (
                    self._not_made,
                    *self._not_looked_up.values(),
                    hidden if missing else "",
                    f"not read, without a section in the mapping file: {waiting}" if waiting else "",
                    nothing,
                ),
            )
        )
