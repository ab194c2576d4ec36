"""Reads records: as a member of the processors' group, or partitions that one names."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline.clock import Wait, pause
from pipeline.errors import KafkaUnavailableError
from pipeline.kafka.cluster import Cluster
from pipeline.kafka.connection.client import (
    ANSWER_S,
    LEAVE_S,
    SPREADING_S,
    Trouble,
    answered,
    client_config,
    new_client,
    retry_until_known,
)
from pipeline.kafka.connection.membership import MEMBERS_ONLY, membership
from pipeline.kafka.connection.refusals import Asked
from pipeline.kafka.messages import Fetched, headers_of, partition_of, to_record
from pipeline.kafka.readable import ReadableEnds
from pipeline.kafka.rejoins import Rejoins
from pipeline.kafka.topics import ClusterView
from pipeline.records import Record
from pipeline.settings import Settings

log = logging.getLogger(__name__)

STATISTICS_MS = 2000
OURS = "orderpulse"
"""The metadata of each offset that we commit: one without it was committed by something else."""
QUEUE_FULL_MS = 20


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets that Kafka no longer has (or does not have yet): what it holds now is `low` up to before `high`."""

    topic: str
    partition: int
    low: int
    high: int


def reader_config(
    settings: Settings, cluster: Cluster, trouble: Trouble, group_id: str, member: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The properties of a reader; with `member`, those of a member of the group."""
    config = client_config(settings, cluster, "consumer", trouble)
    if member is None:
        config = {name: value for name, value in config.items() if name not in MEMBERS_ONLY}
    config |= {
        "group.id": group_id,
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        # Only the statistics show that brokers are back where there is nothing to read.
        "stats_cb": trouble.on_stats,
    }
    config.setdefault("statistics.interval.ms", STATISTICS_MS)
    # Half a second of records at full speed; the default of 64 MB would be a third of a processor's memory.
    config.setdefault("queued.max.messages.kbytes", 16_384)
    # When so much waits, the library looks again after a second by default: the queue is empty long before.
    config.setdefault("fetch.queue.backoff.ms", QUEUE_FULL_MS)
    return config | dict(member or {})


class Reader:
    """Reads records from given offsets; offsets are ours to keep, Kafka's committed ones are for lag tools only.

    `wait` pauses until a topic that was just made is known. `member` are the properties of a member of the group;
    None: a reader outside of it. With `note_ends` the partitions that were read to their end are in `at_end`.
    """

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        group_id: str,
        wait: Wait = pause,
        member: Mapping[str, Any] | None = None,
        note_ends: bool = False,
    ) -> None:
        self._wait = wait
        self._trouble = Trouble(cluster)
        self._group_id = group_id
        self._asked_highs: dict[tuple[str, int], int] = {}
        self._readable_ends = ReadableEnds()
        self.at_end: set[tuple[str, int]] = set()
        config = reader_config(settings, cluster, self._trouble, group_id, member)
        config |= {"enable.partition.eof": note_ends, "stats_cb": self._on_stats}
        self._consumer = new_client(Consumer, settings, config)

    def _on_stats(self, statistics: str) -> None:
        self._trouble.on_stats(statistics)
        self._readable_ends.on_stats(statistics)

    def read(self, max_records: int, timeout_s: float) -> tuple[list[Record], list[Gap]]:
        """Waits up to `timeout_s` for a record, then returns what is there, in offset order per partition.

        Raises KafkaUnavailableError when the broker refuses us.
        """
        messages, gaps = self._fetch(max_records, timeout_s)
        return list(map(to_record, messages, headers_of(messages))), gaps

    def _fetch(self, max_records: int, timeout_s: float) -> tuple[list[Message], list[Gap]]:
        first = answered("reading", self._consumer.poll, timeout_s)
        if first is None:
            if self._trouble.refusal:
                raise KafkaUnavailableError(f"reading: {self._trouble.refusal}")
            return [], []
        messages = [first, *answered("reading", self._consumer.consume, max_records - 1, 0)]
        if not any(map(Message.error, messages)):
            return messages, []
        return self._without_errors(messages)

    def _without_errors(self, messages: list[Message]) -> tuple[list[Message], list[Gap]]:
        records, gaps = [], []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                gaps.append(Gap(*partition_of(message), *self.watermarks(*partition_of(message))))
            elif error.code() == KafkaError._PARTITION_EOF:
                self.at_end.add(partition_of(message))
            else:
                asked = Asked("Read", message.topic() or "", self._group_id)
                raise KafkaUnavailableError(self._trouble.explain("reading", KafkaException(error), asked))
        if records:
            self._trouble.clear()
        return records, gaps

    def seek(self, topic: str, partition: int, next_offset: int) -> None:
        """Goes on at another offset."""
        # A partition without a valid offset cannot be sought in, only assigned again.
        self._consumer.incremental_unassign([TopicPartition(topic, partition)])
        self._consumer.incremental_assign([TopicPartition(topic, partition, next_offset)])

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        """The oldest offset there is and the one after the newest, as the broker says now."""
        doing = f"asking for the offsets of {topic}[{partition}]"
        which = TopicPartition(topic, partition)
        asked = Asked("Describe", topic)
        ask = partial(self._consumer.get_watermark_offsets, which, timeout=ANSWER_S)
        found = answered(doing, partial(retry_until_known, ask, self._wait), asked=asked)
        if found is None:
            raise KafkaUnavailableError(self._trouble.explain(doing, None))
        low, high = found
        return low, high

    def known_high(self, topic: str, partition: int) -> int | None:
        """The offset after the newest record that can be read, as of the last fetch or question; None before one."""
        key = topic, partition
        low_high = self._consumer.get_watermark_offsets(TopicPartition(*key), cached=True)
        fetched_high = self._readable_ends.up_to(key, low_high[1] if low_high else -1)
        high = max(fetched_high, self._asked_highs.get(key, -1))
        return high if high >= 0 else None

    def position(self, topic: str, partition: int) -> int | None:
        """The offset after all that `read` has returned and the offsets behind it that are no records for us.

        Those are markers of transactions, records of aborted ones, and what compaction took. None before anything of
        the partition was read since it was assigned or sought in.
        """
        [found] = self._consumer.position([TopicPartition(topic, partition)])
        return found.offset if found.offset >= 0 else None

    def commit_offsets(self, next_offsets: Mapping[tuple[str, int], int]) -> None:
        """Commits offsets for lag tools; nothing here depends on them."""
        if next_offsets:
            offsets = [
                TopicPartition(topic, partition, offset, OURS) for (topic, partition), offset in next_offsets.items()
            ]
            try:
                self._consumer.commit(offsets=offsets, asynchronous=True)
            except KafkaException as error:
                log.debug("offsets not committed for lag tools: %s", error)

    @property
    def trouble(self) -> str:
        """What the client library complained of since the last record, in our words; empty when all is well."""
        return self._trouble.last

    def close(self) -> None:
        """Leaves Kafka; without an answer within 2 s, by simply going."""
        # With its broker gone librdkafka may take the whole session timeout over it.
        leaving = threading.Thread(target=self._consumer.close, name="leaving", daemon=True)
        leaving.start()
        leaving.join(LEAVE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class GroupReader(Reader):
    """A member of the processors' consumer group: Kafka deals out the partitions, the buffer says where to go on.

    `view` tells which partitions there are. `assigned(reader, partition)` returns the offset to begin at;
    `revoked(partition)` is called for those that go. Both are called inside `read` and `read_partitions`, so never in
    the middle of a batch, and what `assigned` raises is raised there.

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
        wait: Wait = pause,
    ) -> None:
        member = membership(settings, view.cluster, instance_id)
        super().__init__(settings, view.cluster, settings.group_id, wait, member)
        self._view = view
        self._assigned = assigned
        self._revoked = revoked
        self._topic = settings.orders_topic
        self._failed: Exception | None = None
        self._paused = False
        self.foreign_offsets: dict[int, int] = {}
        """By partition that was assigned last: the group's committed offset, where something else committed it."""
        self._read: set[int] = set()
        self._rejoins = Rejoins()
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
        return found

    def pause(self) -> None:
        """Stops fetching, of partitions that come later too; the group membership goes on."""
        self._paused = True
        self._consumer.pause(self._consumer.assignment())

    def query_ends(self) -> None:
        """Asks where the partitions end, which no fetch reports while they are paused; `known_high` knows it then."""
        for each in self._consumer.assignment():
            self._asked_highs[each.topic, each.partition] = self.watermarks(each.topic, each.partition)[1]

    def resume(self) -> None:
        """Fetches again."""
        self._paused = False
        self._consumer.resume(self._consumer.assignment())

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            exist = self._that_exist(partitions)
            self.foreign_offsets = self._look_for_foreign_offsets(consumer, exist)
            offsets = [
                TopicPartition(each.topic, each.partition, self._assigned(self, each.partition)) for each in exist
            ]
        except Exception as error:  # noqa: BLE001 - the C library would drop it: read() raises it again
            self._failed = error
            return
        self._read.update(each.partition for each in offsets)
        # Also when there is none: else the library would assign by itself what it was dealt out.
        consumer.incremental_assign(offsets)
        if self._paused:
            consumer.pause(partitions)

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
            log.warning("the group dealt out %s, but %s has %d partitions", ", ".join(others), self._topic, count)
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
        held = [each for each in partitions if each.topic == self._topic and each.partition in self._read]
        for each in held:
            self._read.discard(each.partition)
            self._revoked(each.partition)
        consumer.incremental_unassign(held)


class PartitionReader(Reader):
    """Reads partitions that its owner names, outside of any group's assignment."""

    def assign(self, topic: str, partition: int, next_offset: int) -> None:
        """Reads one partition more."""
        self._consumer.incremental_assign([TopicPartition(topic, partition, next_offset)])

    def unassign(self, topic: str, partition: int) -> None:
        """Reads it no more."""
        self._consumer.incremental_unassign([TopicPartition(topic, partition)])


def ends(settings: Settings, cluster: Cluster, topic: str, partitions: int) -> dict[int, int]:
    """The offset after the newest record of each partition."""
    with PartitionReader(settings, cluster, f"{settings.group_id}-look") as reader:
        return {partition: reader.watermarks(topic, partition)[1] for partition in range(partitions)}


def records_since(settings: Settings, cluster: Cluster, topic: str, offsets: Mapping[int, int]) -> Iterator[Record]:
    """All records from the given offsets, or the oldest there are, up to where the partitions end.

    Raises KafkaUnavailableError when the broker is silent for 5 s before that.
    """
    with PartitionReader(settings, cluster, f"{settings.group_id}-look", note_ends=True) as reader:
        for partition, offset in offsets.items():
            low, _ = reader.watermarks(topic, partition)
            reader.assign(topic, partition, max(low, offset))
        while len(reader.at_end) < len(offsets):
            known_ends = len(reader.at_end)
            records, gaps = reader.read(1000, ANSWER_S)
            yield from records
            for gap in gaps:
                reader.seek(topic, gap.partition, gap.low)
            if not records and not gaps and len(reader.at_end) == known_ends:
                raise KafkaUnavailableError(f"reading {topic}: {reader.trouble or 'no answer'}")
