"""Reads the orders as a member of the processors' group."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
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

    `view` tells which partitions there are. `confirm()` is called once the ends of those that come are known, and
    raises when the topic is not the one that it was taken for. `assigned(reader, partition)` returns the offset to
    begin at; `revoked(partition)` is called for those that go. All are called inside `read` and `read_partitions`, so
    never in the middle of a batch, and what they raise is raised there.

    Kafka gives a member that comes back what it had before, whatever it subscribes to by now. So what is dealt out is
    held against the topic and the partitions that it has; a member with any other leaves and joins again, and none of
    those is ever assigned.
    """

    def __init__(
        self,
        settings: Settings,
        view: ClusterView,
        instance_id: str,
        assigned: Callable[[GroupReader, int], int],
        revoked: Callable[[int], None],
        confirm: Callable[[], None],
        wait: Wait = pause,
    ) -> None:
        member = membership(settings, view.cluster, instance_id)
        super().__init__(settings, view.cluster, settings.group_id, wait, member)
        self._view = view
        self._assigned = assigned
        self._revoked = revoked
        self._confirm_topic = confirm
        self._topic = settings.orders_topic
        self._failed: Exception | None = None
        self.foreign_offsets: dict[int, int] = {}
        """By partition that was assigned last: the group's committed offset, where something else committed it."""
        self._ours: set[PartitionKey] = set()
        self._rejoins = Rejoins()
        self._join_watch = JoinWatch(session_ms(settings, view.cluster) or BROKERS_SESSION_MS)
        self._subscribe()

    def rejoin(self) -> None:
        """Leaves the group and joins it again, which makes it deal out all partitions."""
        # Also a static member that only unsubscribes does leave, unlike one that closes.
        self._consumer.unsubscribe()
        self._subscribe()

    def _subscribe(self) -> None:
        self._consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def read_partitions(self, max_records: int, timeout_s: float) -> tuple[list[Fetched], list[Gap]]:
        """As `read`, by partition."""
        messages, gaps = self._fetch(max_records, timeout_s)
        by_partition: defaultdict[int | None, list[Message]] = defaultdict(list)
        # They come in long runs of one partition each: one step a run, not one a record.
        for partition, run in groupby(messages, Message.partition):
            by_partition[partition].extend(run)
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

    def pause(self) -> None:
        """Stops fetching, of partitions that come later or can be read again too; the group membership goes on."""
        self._paused = True
        self._pause(self._consumer.assignment())

    def query_ends(self) -> None:
        """Asks where the partitions end, which no fetch reports while they are paused; `known_high` knows it then."""
        found, _ = self.all_watermarks((each.topic, each.partition) for each in self._consumer.assignment())
        self._asked_highs |= {key: high for key, (_, high) in found.items()}

    def resume(self) -> None:
        """Fetches again, but what cannot be read."""
        self._paused = False
        out = self._unreadable.waiting() | self._not_begun.keys()
        self._resume([each for each in self._consumer.assignment() if (each.topic, each.partition) not in out])

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

    def _begin_at(self, topic: str, partition: int) -> int:
        return self._assigned(self, partition)

    def _confirm(self) -> None:
        self._confirm_topic()

    def _look_for_foreign_offsets(self, consumer: Consumer, partitions: list[TopicPartition]) -> dict[int, int]:
        try:
            committed = consumer.committed(partitions, timeout=ANSWER_S)
        except KafkaException as error:
            log.debug("committed offsets not known: %s", error)  # nothing here depends on them
            return {}
        return {each.partition: each.offset for each in committed if each.offset >= 0 and each.metadata != OURS}

    def _that_exist(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Those of the topic that it has. Where there are others, this member has to join again."""
        highest = max((each.partition for each in partitions if each.topic == self._topic), default=-1)
        count = self._partition_count(highest) if highest >= 0 else 0
        exist = [each for each in partitions if each.topic == self._topic and each.partition < count]
        others = [f"{each.topic}[{each.partition}]" for each in partitions if each not in exist]
        if others:
            log.warning("the group dealt out %s, which topic %s does not have", ", ".join(others), self._topic)
            self._rejoins.want()
        return exist

    def _partition_count(self, highest: int) -> int:
        """How many partitions the topic has. Brokers hear of those that were added one after the other."""
        # Never by this consumer: a `list_topics` inside of its callback has the next callback abort the process.
        for wait_s in (*SPREADING_S, 0.0):
            count = self._view.partitions().get(self._topic, 0)
            if count > highest or self._wait(wait_s):
                break
        return count

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        held = [each for each in partitions if (each.topic, each.partition) in self._ours]
        for each in held:
            self._revoked(each.partition)
        keys = [(each.topic, each.partition) for each in held]
        self._forget(keys)
        self._ours.difference_update(keys)
        consumer.incremental_unassign(held)
