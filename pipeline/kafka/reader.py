"""Reads records: what all readers share."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from pipeline.clock import Clock, Wait, pause, steady_clock_ms
from pipeline.errors import KafkaUnavailableError
from pipeline.kafka.cluster import Cluster
from pipeline.kafka.connection.client import (
    ANSWER_S,
    LEAVE_S,
    Trouble,
    answered,
    client_config,
    new_client,
    retry_until_known,
)
from pipeline.kafka.connection.membership import MEMBERS_ONLY
from pipeline.kafka.connection.refusals import NO_LEADER, Asked
from pipeline.kafka.messages import PartitionKey, headers_of, partition_of, to_record
from pipeline.kafka.statistics import PartitionStatistics
from pipeline.kafka.unreadable import UnreadablePartitions
from pipeline.kafka.watermarks import LowHigh, ask_watermarks, look_up_leaders
from pipeline.records import Record
from pipeline.settings import Settings

log = logging.getLogger(__name__)

STATISTICS_MS = 2000
OURS = "orderpulse"
"""The metadata of each offset that we commit: one without it was committed by something else."""
QUEUE_FULL_MS = 20


BeginAt = Callable[[str, int], int]
"""Says where to begin with a partition. What KafkaUnavailableError it raises keeps only that partition from reading."""


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
    # What the library adds to each record is not counted in that. Its default of 100,000 a partition was seen to take
    # 30 MB more than 20,000, and to be no faster.
    config.setdefault("queued.min.messages", 50_000)
    # When so much waits, the library looks again after a second by default: the queue is empty long before.
    config.setdefault("fetch.queue.backoff.ms", QUEUE_FULL_MS)
    return config | dict(member or {})


class Reader:
    """Reads records from given offsets; offsets are ours to keep, Kafka's committed ones are for lag tools only.

    A partition that cannot be read is taken out, and tried again after a wait of its own; all others go on.
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
        steady_clock: Clock = steady_clock_ms,
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self._wait = wait
        self._trouble = Trouble(cluster)
        self._group_id = group_id
        self._undecided = (settings.kafka_config | dict(member or {})).get("isolation.level") == "read_uncommitted"
        self._admin: AdminClient | None = None
        self._unreadable = UnreadablePartitions(steady_clock)
        self._not_begun: dict[PartitionKey, BeginAt] = {}
        self._lost: set[PartitionKey] = set()
        self._client_failed: KafkaUnavailableError | None = None
        self._known_watermarks: dict[PartitionKey, LowHigh] = {}
        self._asked_highs: dict[PartitionKey, int] = {}
        self._statistics = PartitionStatistics()
        self._held_back: frozenset[str] = frozenset()
        self._paused_keys: set[PartitionKey] = set()
        self._sought: dict[PartitionKey, int] = {}
        self.at_end: set[PartitionKey] = set()
        self.heard = False
        """Whether the last read was told anything, be it that a partition which was read is still at its end."""
        config = reader_config(settings, cluster, self._trouble, group_id, member)
        config |= {"enable.partition.eof": note_ends, "stats_cb": self._on_stats}
        self._consumer = new_client(Consumer, settings, config)

    def _on_stats(self, statistics: str) -> None:
        self._trouble.on_stats(statistics)
        self._statistics.on_stats(statistics)

    def read(self, max_records: int, timeout_s: float) -> tuple[list[Record], list[Gap]]:
        """Waits up to `timeout_s` for a record, then returns what is there, in offset order per partition.

        Raises KafkaUnavailableError when the broker refuses us.
        """
        messages, gaps = self._fetch(max_records, timeout_s)
        return list(map(to_record, messages, headers_of(messages))), gaps

    def _fetch(self, max_records: int, timeout_s: float) -> tuple[list[Message], list[Gap]]:
        if self._client_failed is not None:
            failed, self._client_failed = self._client_failed, None
            raise failed
        gaps = self._try_again() if len(self._unreadable) else []
        first = answered("reading", self._consumer.poll, 0.0 if gaps else timeout_s)
        self.heard = first is not None
        if first is None:
            if self._trouble.refusal:
                raise KafkaUnavailableError(f"reading: {self._trouble.refusal}")
            return [], gaps
        messages = [first, *answered("reading", self._consumer.consume, max_records - 1, 0)]
        if any(map(Message.error, messages)):
            messages = self._without_errors(messages)
            gaps += self._gaps()
        if messages and len(self._unreadable):
            self._unreadable.forget(set(map(partition_of, messages)) - self._unreadable.waiting())
        return messages, gaps

    def _without_errors(self, messages: list[Message]) -> list[Message]:
        """The records. What else the messages say of a partition is noted for that one alone."""
        records = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                self._lost.add(partition_of(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                self.at_end.add(partition_of(message))
            else:
                self._note_error(message, error)
        if records:
            self._trouble.clear()
        return records

    def _note_error(self, message: Message, error: KafkaError) -> None:
        topic, partition = message.topic(), message.partition()
        asked = Asked("Read", topic or "", self._group_id)
        why = self._trouble.explain("reading", KafkaException(error), asked)
        if not topic or partition is None or partition < 0:
            # It is about the client as a whole. What came with it is read before that is raised.
            self._client_failed = self._client_failed or KafkaUnavailableError(why)
        else:
            self._take_out((topic, partition), why)

    def _gaps(self) -> list[Gap]:
        """Where partitions whose records are gone begin and end now; those that wait are asked about later."""
        found, missing = self.all_watermarks(self._lost - self._unreadable.waiting())
        for key, why in missing.items():
            self._take_out(key, why)
        self._lost -= found.keys()
        return [Gap(*key, *low_high) for key, low_high in found.items()]

    def wait_with(self, gap: Gap, why: str) -> None:
        """Reads this partition no more for a while, for this reason; then its gap is reported again, if it is one."""
        self._lost.add((gap.topic, gap.partition))
        self._take_out((gap.topic, gap.partition), why)

    def _take_out(self, key: PartitionKey, why: str) -> None:
        self._note_unreadable(key, why)
        if key not in self._not_begun:
            self._pause([TopicPartition(*key)])

    def _note_unreadable(self, key: PartitionKey, why: str) -> None:
        if why not in self._unreadable.reasons().values():
            log.warning("%s[%d] is not read for now: %s", *key, why)
        self._unreadable.failed(key, why)

    def _try_again(self) -> list[Gap]:
        """Goes back to partitions whose wait is over; returns those that turn out to have lost records."""
        due = self._unreadable.pop_due(self._is_answered)
        not_begun = {key: self._not_begun[key] for key in due if key in self._not_begun}
        if not_begun:
            self._begin_late(not_begun)
        self._fetch_again([TopicPartition(*key) for key in due if key not in not_begun])
        return self._gaps() if self._lost.intersection(due) else []

    def _is_answered(self, key: PartitionKey) -> bool:
        """Whether the last fetch of the partition was allowed. One that is not is told of once, and is quiet then."""
        low_high = self._consumer.get_watermark_offsets(TopicPartition(*key), cached=True)
        return low_high is not None and low_high[1] >= 0

    def _begin_late(self, partitions: Mapping[PartitionKey, BeginAt]) -> None:
        """Reads partitions whose offsets were not known before; of a group they are assigned already, and paused."""
        assigned = self._assigned_keys()
        begun = self._begin(partitions)
        again = [each for each in begun if (each.topic, each.partition) in assigned]
        self._consumer.incremental_unassign(again)
        self._consumer.incremental_assign(begun)
        self._fetch_again(begun)

    def _fetch_again(self, partitions: list[TopicPartition]) -> None:
        """Fetches these, but those of topics that are held back."""
        if self._held_back:
            self._pause([each for each in partitions if each.topic in self._held_back])
        self._resume([each for each in partitions if each.topic not in self._held_back])

    def _pause(self, partitions: list[TopicPartition]) -> None:
        self._paused_keys.update((each.topic, each.partition) for each in partitions)
        self._consumer.pause(partitions)

    def _resume(self, partitions: list[TopicPartition]) -> None:
        # Only those that are paused: of others the library forgets what it fetched, and may never tell of their end.
        paused = [each for each in partitions if (each.topic, each.partition) in self._paused_keys]
        self._paused_keys.difference_update((each.topic, each.partition) for each in paused)
        self._consumer.resume(paused)
        self._go_on(paused)

    def _go_on(self, resumed: list[TopicPartition]) -> None:
        """Fetches at once what the library has resumed: by itself it looks when it wakes up next, within a second."""
        for each in self._consumer.position(resumed):
            key = each.topic, each.partition
            if each.offset < 0:
                each.offset = self._sought.get(key, each.offset)
            if each.offset >= 0:
                try:
                    self._consumer.seek(each)  # wakes it up
                except KafkaException as error:
                    log.debug("%s[%d] goes on when the library wakes up: %s", *key, error)
                else:
                    self._sought[key] = each.offset

    def _begin(self, partitions: Mapping[PartitionKey, BeginAt]) -> list[TopicPartition]:
        """Where to begin with each partition, of those that can be asked about; the others are asked about again."""
        found, missing = self.all_watermarks(partitions)
        try:
            self._confirm({topic for topic, _ in found})
        except KafkaUnavailableError as error:
            missing |= dict.fromkeys(found, str(error))
            found = {}
        begun = []
        for key, low_high in found.items():
            self._known_watermarks[key] = low_high
            try:
                next_offset = partitions[key](*key)
            except KafkaUnavailableError as error:
                missing[key] = str(error)
            else:
                begun.append(TopicPartition(*key, next_offset))
        self._known_watermarks.clear()
        for key, why in missing.items():
            self._not_begun[key] = partitions[key]
            self._note_unreadable(key, why)
        # From here on they are assigned, and not on trial: whether they can be read is seen when they are.
        self._forget((each.topic, each.partition) for each in begun)
        return begun

    def _confirm(self, topics: Collection[str]) -> None:
        """Called once the ends of partitions are known: raises when one is another topic's than it was taken for."""

    def _forget(self, keys: Iterable[PartitionKey]) -> None:
        for key in keys:
            self._not_begun.pop(key, None)
            self._sought.pop(key, None)
            self._lost.discard(key)
            self._unreadable.forget([key])

    def all_watermarks(
        self, keys: Iterable[PartitionKey]
    ) -> tuple[dict[PartitionKey, LowHigh], dict[PartitionKey, str]]:
        """As `watermarks`, of many at once: those that were answered, and why the others were not."""
        asked = list(keys)
        if not asked:
            return {}, {}
        if self._admin is None:
            config = client_config(self._settings, self._cluster, "admin", self._trouble)
            self._admin = new_client(AdminClient, self._settings, config)
            # A question that meets the end of the first connection would be asked again a second later.
            look_up_leaders(self._admin)
        elif any(key in self._unreadable for key in asked):
            look_up_leaders(self._admin)
        return ask_watermarks(self._admin, self._trouble, asked, self._undecided)

    def known_watermarks(self, topic: str, partitions: Iterable[int]) -> dict[int, LowHigh]:
        """As `watermarks`, of many partitions at once. Raises KafkaUnavailableError when those of one are not known."""
        keys = [(topic, partition) for partition in partitions]
        found, _ = self.all_watermarks(keys)
        # A topic that was just made is known a moment later, and what else keeps an answer away is said there.
        return {key[1]: found[key] if key in found else self.watermarks(*key) for key in keys}

    @property
    def readable(self) -> bool:
        """Whether any partition can be read, or there is none."""
        keys = self._assigned_keys() | self._not_begun.keys() if len(self._unreadable) else set()
        return not keys or any(key not in self._unreadable for key in keys)

    @property
    def not_begun(self) -> set[PartitionKey]:
        """Partitions that are to be read, but cannot be yet: it is not known where to begin with them."""
        return set(self._not_begun)

    @property
    def unreadable(self) -> dict[str, str]:
        """Partitions that are not read just now, as `topic[partition]`, and why each is not."""
        leaderless = (f"{topic}[{partition}]" for topic, partition in self._statistics.leaderless)
        return dict.fromkeys(leaderless, NO_LEADER) | self._unreadable.reasons()

    def seek(self, topic: str, partition: int, next_offset: int) -> None:
        """Goes on at another offset."""
        self._sought.pop((topic, partition), None)
        # A partition without a valid offset cannot be sought in, only assigned again.
        self._consumer.incremental_unassign([TopicPartition(topic, partition)])
        self._consumer.incremental_assign([TopicPartition(topic, partition, next_offset)])
        sought = [TopicPartition(topic, partition)]
        if (topic, partition) in self._unreadable.waiting():
            self._pause(sought)
        else:
            self._fetch_again(sought)

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        """The oldest offset there is and the one after the newest, as the broker says now.

        While it is decided where to begin, they are known: all partitions are asked about together.
        """
        if (topic, partition) in self._known_watermarks:
            return self._known_watermarks[topic, partition]
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
        fetched_high = self._statistics.readable_up_to(key, low_high[1] if low_high else -1)
        high = max(fetched_high, self._asked_highs.get(key, -1))
        return high if high >= 0 else None

    def position(self, topic: str, partition: int) -> int | None:
        """The offset after all that `read` has returned and the offsets behind it that are no records for us.

        Those are markers of transactions, records of aborted ones, and what compaction took. None before anything of
        the partition was read since it was assigned, or sought in for another offset.
        """
        [found] = self._consumer.position([TopicPartition(topic, partition)])
        # After a seek the library knows none until a record comes.
        return found.offset if found.offset >= 0 else self._sought.get((topic, partition))

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

    def _assigned_keys(self) -> set[PartitionKey]:
        return {(each.topic, each.partition) for each in self._consumer.assignment()}

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
