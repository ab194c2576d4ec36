"""Reads the orders as a member of the processors' group."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection
from itertools import groupby

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from pipeline.clock import Wait, pause
from pipeline.errors import KafkaUnavailableError
from pipeline.kafka.connection.client import ANSWER_S, SPREADING_S
from pipeline.kafka.connection.membership import BROKERS_SESSION_MS, membership, session_ms
from pipeline.kafka.messages import Fetched, PartitionKey
from pipeline.kafka.reader import OURS, Gap, Reader
from pipeline.kafka.rejoins import JoinWatch, Rejoins
from pipeline.kafka.topics import ClusterView
from pipeline.settings import Settings

log = logging.getLogger(__name__)


class GroupReader(Reader):
    """A member of the processors' consumer group: Kafka deals out the partitions, the buffer says where to go on.

    It reads no topic before `subscribe`. `view` tells which partitions there are. `confirm(topics)` is called once the
    ends of those that come are known, and raises when one of their topics is not the one that it was taken for.
    `assigned(reader, topic, partition)` returns the offset to begin at; `revoked(topic, partition)` is called for those
    that go. All are called inside `read` and `read_partitions`, so never in the middle of a batch, and what they raise
    is raised there.

    Kafka gives a member that comes back what it had before, whatever it subscribes to by now. So what is dealt out is
    held against the topics and the partitions that they have; a member with any other leaves and joins again, and none
    of those is ever assigned.
    """

    def __init__(
        self,
        settings: Settings,
        view: ClusterView,
        instance_id: str,
        assigned: Callable[[GroupReader, str, int], int],
        revoked: Callable[[str, int], None],
        confirm: Callable[[Collection[str]], None],
        wait: Wait = pause,
    ) -> None:
        member = membership(settings, view.cluster, instance_id)
        super().__init__(settings, view.cluster, settings.group_id, wait, member)
        self._view = view
        self._assigned = assigned
        self._revoked = revoked
        self._confirm_topics = confirm
        self._topics: frozenset[str] = frozenset()
        self._failed: Exception | None = None
        self.foreign_offsets: dict[PartitionKey, int] = {}
        """By partition that was assigned last: the group's committed offset, where something else committed it."""
        self._ours: set[PartitionKey] = set()
        self._rejoins = Rejoins()
        self._join_watch = JoinWatch(session_ms(settings, view.cluster) or BROKERS_SESSION_MS)

    def subscribe(self, topics: Collection[str]) -> None:
        """Reads these topics from now on, and no others. Of those that it reads already, partitions stay with it."""
        self._topics = frozenset(topics)
        self._subscribe()

    def rejoin(self) -> None:
        """Leaves the group and joins it again, which makes it deal out all partitions."""
        # Also a static member that only unsubscribes does leave, unlike one that closes.
        self._consumer.unsubscribe()
        self._subscribe()

    def _subscribe(self) -> None:
        if self._topics:
            self._consumer.subscribe(
                sorted(self._topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
            )
        else:
            self._consumer.unsubscribe()

    def read_partitions(self, max_records: int, timeout_s: float) -> tuple[list[Fetched], list[Gap]]:
        """As `read`, by partition."""
        messages, gaps = self._fetch(max_records, timeout_s)
        by_partition: defaultdict[tuple[str | None, int | None], list[Message]] = defaultdict(list)
        # They come in long runs of one partition each: one step a run, not one a record.
        for topic, of_topic in groupby(messages, Message.topic):
            for partition, run in groupby(of_topic, Message.partition):
                by_partition[topic, partition].extend(run)
        return [Fetched(found) for found in by_partition.values()], gaps

    def _fetch(self, max_records: int, timeout_s: float) -> tuple[list[Message], list[Gap]]:
        found = super()._fetch(max_records, timeout_s)
        # The library has assigned the partitions by itself then, to begin anywhere: none of it may be seen.
        if self._failed is not None:
            raise self._failed
        if self._rejoins.pop_due():
            self.rejoin()
        # A member that has partitions reads them meanwhile.
        if self._join_watch.is_in_vain(self._statistics.join_state) and not self._ours:
            raise KafkaUnavailableError("joining the consumer group: nobody answers")
        return found

    def hold_back(self, topics: Collection[str]) -> None:
        """Fetches nothing of these topics, of partitions that come later or can be read again too, and all others.

        What cannot be read stays out; the group membership goes on.
        """
        self._held_back = frozenset(topics)
        out = self._unreadable.waiting() | self._not_begun.keys()
        self._fetch_again([each for each in self._consumer.assignment() if (each.topic, each.partition) not in out])

    def query_ends(self) -> None:
        """Asks where partitions that are held back end, which no fetch reports; `known_high` knows it then."""
        found, _ = self.all_watermarks(key for key in self._assigned_keys() if key[0] in self._held_back)
        self._asked_highs |= {key: high for key, (_, high) in found.items()}

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            exist = self._that_exist(partitions)
            self.foreign_offsets = self._look_for_foreign_offsets(consumer, exist)
            keys = [(each.topic, each.partition) for each in exist]
            begun = self._begin(dict.fromkeys(keys, self._begin_at))
        except Exception as error:  # noqa: BLE001 - the C library would drop it: read() raises it again
            self._failed = error
            return
        self._ours.update(keys)
        # What is dealt out must be assigned. A partition that nobody can say the offsets of is not fetched, though.
        waiting = [TopicPartition(*key, 0) for key in keys if key in self._not_begun]
        # Also when there is none: else the library would assign by itself what it was dealt out.
        consumer.incremental_assign(begun + waiting)
        # A partition that was paused when it was taken away comes back paused.
        self._fetch_again(begun)
        self._pause(waiting)
        self._go_on_with_the_others()

    def _begin_at(self, topic: str, partition: int) -> int:
        return self._assigned(self, topic, partition)

    def _confirm(self, topics: Collection[str]) -> None:
        self._confirm_topics(topics)

    def _look_for_foreign_offsets(
        self, consumer: Consumer, partitions: list[TopicPartition]
    ) -> dict[PartitionKey, int]:
        try:
            committed = consumer.committed(partitions, timeout=ANSWER_S)
        except KafkaException as error:
            log.debug("committed offsets not known: %s", error)  # nothing here depends on them
            return {}
        return {
            (each.topic, each.partition): each.offset
            for each in committed
            if each.offset >= 0 and each.metadata != OURS
        }

    def _that_exist(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Those that the topics have. Where there are others, this member has to join again."""
        wanted = [each for each in partitions if each.topic in self._topics]
        counts = self._partition_counts(wanted)
        exist = [each for each in wanted if each.partition < counts.get(each.topic, 0)]
        others = [f"{each.topic}[{each.partition}]" for each in partitions if each not in exist]
        if others:
            topics = ", ".join(sorted(self._topics))
            log.warning("the group dealt out %s, which %s does not have", ", ".join(others), topics or "no topic")
            self._rejoins.want()
        return exist

    def _partition_counts(self, wanted: list[TopicPartition]) -> dict[str, int]:
        """How many partitions each topic has. Brokers hear of those that were added one after the other."""
        counts: dict[str, int] = {}
        # Never by this consumer: a `list_topics` inside of its callback has the next callback abort the process.
        for wait_s in (*SPREADING_S, 0.0) if wanted else ():
            counts = self._view.partitions()
            if all(each.partition < counts.get(each.topic, 0) for each in wanted) or self._wait(wait_s):
                break
        return counts

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        held = [each for each in partitions if (each.topic, each.partition) in self._ours]
        for each in held:
            self._revoked(each.topic, each.partition)
        keys = [(each.topic, each.partition) for each in held]
        self._forget(keys)
        self._ours.difference_update(keys)
        consumer.incremental_unassign(held)
        self._go_on_with_the_others()

    def _go_on_with_the_others(self) -> None:
        """The library pauses all partitions while some are dealt out, and forgets what it fetched of them."""
        self._go_on([TopicPartition(*key) for key in self._ours - self._paused_keys])
