"""Kafka, as the roles need it: the only module that imports confluent_kafka.

Every call that reaches a broker raises KafkaUnavailableError when there is none or it refuses us; callers close their
session, wait and begin anew.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import lt
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from pipeline.errors import KafkaUnavailableError, SettingsError, TopicChangedError
from pipeline.kafka_certificates import why_not_trusted
from pipeline.kafka_properties import ClientKind, properties_for, set_default
from pipeline.kafka_refusals import NOTHING_SPECIAL, UNTRUSTED, Asked, broker_in, in_words, is_forbidden, is_refusal
from pipeline.records import Position, Record, TopicIdentity
from pipeline.settings import Settings, variable_of, without_secrets

log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

DEMO_LIMITS = {
    "durability": "Holds records in memory only: ending it loses them, and a new one is another cluster.",
    "retention": (
        "Keeps the newest 5 MB (or 100,000 batches) of a partition; sample orders wait for the processor so that none "
        "is dropped unread."
    ),
    "topic_changes": (
        "Makes topics with 4 partitions on first use; topics cannot be made otherwise, changed, emptied or deleted."
    ),
    "cluster_tools": "Groups and brokers cannot be listed or described (ListGroups, DescribeCluster).",
    "topic_ids": "Tells no topic ids.",
    "offsets_by_time": "Finds no offsets by time.",
    "quick_joins": "Takes about 3 s for the first join of a consumer group.",
    "quick_returns": "Keeps a dead member's partitions until its session ends, though one of its name has come back.",
}
"""What the demo cluster cannot do (librdkafka's mock cluster), by name, in the words that the app shows."""

# confluent-kafka cannot make a str of a header's name that is not UTF-8.
_UNREADABLE_HEADERS = (SystemError, UnicodeDecodeError)

BROKER_FILE = "broker.json"
ANSWER_S = 4.0
"""A call cannot be interrupted; a role that is asked to end in the middle of one has still to end within 5 s."""
TRIES_S = (0.5, 1.0, 2.5)
"""How long each try for an answer waits: a refusal is known after the first one, a slow cluster has the last one."""
_NOT_TOLD_YET = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}
)
SPREADING_S = (0.05, 0.1, 0.2, 0.4, 0.8)
"""How long to wait, look by look, until a new topic is known to the brokers; after that its use tells what is wrong."""
LEAVE_S = 2.0
SESSION_MS = 10_000
IDENTITY_EVERY_S = 2.0
OWNERS_EVERY_S = 3.0
STATISTICS_MS = 2000
AT_WORK = frozenset({"UP", "UPDATE", "INIT"})
"""A broker's states in librdkafka's statistics when all is well with it, or when it was not needed yet."""
MAX_MESSAGE_BYTES = 64_000_000
"""Larger than any broker's default, so that it is the broker who says no."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where Kafka is. `demo_id` is the demo cluster's own name, empty on a real cluster."""

    bootstrap_servers: str
    demo_id: str = ""


def find_cluster(settings: Settings) -> Cluster:
    """The cluster to work with. Raises KafkaUnavailableError while the demo cluster is not running."""
    if not settings.demo:
        return Cluster(settings.bootstrap_servers)
    try:
        told = json.loads((settings.data_dir / BROKER_FILE).read_text())
        return Cluster(told["bootstrap_servers"], told["cluster_id"])
    except (OSError, ValueError, KeyError) as error:
        raise KafkaUnavailableError("the demo cluster is not running (its role is `broker`)") from error


class DemoBroker:
    """librdkafka's cluster inside this process, reachable over TCP on a free port of 127.0.0.1.

    Its address and a name of its own stand in the data folder while it runs.
    """

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / BROKER_FILE
        # bootstrap.servers is replaced by the library, but without one it warns.
        self._host = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "127.0.0.1:1", "log_level": 0})
        brokers = _answered("starting the demo cluster", self._host.list_topics, timeout=ANSWER_S).brokers.values()
        addresses = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        self.cluster = Cluster(addresses, f"demo-{uuid.uuid4().hex[:12]}")
        told = {"bootstrap_servers": addresses, "cluster_id": self.cluster.demo_id, "pid": os.getpid()}
        waiting = self._file.with_suffix(f".{os.getpid()}")
        waiting.write_text(json.dumps(told))
        waiting.replace(self._file)

    def close(self) -> None:
        """Ends the cluster and takes its address away, unless a newer one has put its own there."""
        try:
            if json.loads(self._file.read_text())["cluster_id"] == self.cluster.demo_id:
                self._file.unlink()
        except FileNotFoundError:
            log.debug("the address of the demo cluster was gone already")


class ClusterView:
    """What the cluster says of its topics."""

    def __init__(self, settings: Settings, cluster: Cluster) -> None:
        self.cluster = cluster
        self._settings = settings
        self._trouble = _Trouble(cluster)
        self._admin = _client(AdminClient, settings, _client_config(settings, cluster, "admin", self._trouble))

    def partitions(self) -> dict[str, int]:
        """All topics that this account may see, with their number of partitions."""
        found = self._metadata("listing the topics")
        return {name: len(topic.partitions) for name, topic in found.topics.items() if topic.error is None}

    def ensure_topic(self, topic: str) -> None:
        """Makes a topic that is not there, with the partitions, replicas and retention of the settings.

        Raises KafkaUnavailableError with the command that makes it, where this account may not.
        """
        if topic in self.partitions():
            return
        if self.cluster.demo_id:
            self._metadata(f"making topic {topic}", topic)
            return
        wanted = _new_topic(self._settings, topic)
        future = self._admin.create_topics([wanted], request_timeout=ANSWER_S)[topic]
        try:
            future.result(ANSWER_S * 2)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise KafkaUnavailableError(_not_made(error.args[0], topic, self.cluster, wanted)) from error

    def identities(self, topics: Sequence[str]) -> dict[str, TopicIdentity]:
        """Cluster and topic ids. The demo cluster knows no topic ids. Raises KafkaUnavailableError."""
        if self.cluster.demo_id:
            return {topic: TopicIdentity(self.cluster.demo_id, topic) for topic in topics}
        if not topics:
            return {}
        cluster_id = self._metadata(f"looking up {', '.join(topics)}").cluster_id or ""
        return {topic: TopicIdentity(cluster_id, topic, self._topic_id(topic)) for topic in topics}

    def group(self, group_id: str) -> Any:
        """What the broker knows of a consumer group: its state and its members with their partitions."""
        describe = partial(self._admin.describe_consumer_groups, [group_id], request_timeout=ANSWER_S)
        return self._ask(Asked("Describe", group_id), lambda: describe()[group_id])

    def _topic_id(self, topic: str) -> str:
        describe = partial(self._admin.describe_topics, TopicCollection([topic]), request_timeout=ANSWER_S)
        return str(self._ask(Asked("Describe", topic), lambda: describe()[topic]).topic_id)

    def _metadata(self, doing: str, *topic: str) -> Any:
        self._trouble.clear()
        for timeout_s in TRIES_S:
            try:
                return self._admin.list_topics(*topic, timeout=timeout_s)
            except KafkaException as error:
                failed = error
            self._admin.poll(0)  # hands the library's complaints to _trouble
            if self._trouble.refusal:
                break
        raise KafkaUnavailableError(self._explain(doing, failed)) from failed

    def _explain(self, doing: str, error: KafkaException) -> str:
        said = self._trouble.explain(doing, error)
        if UNTRUSTED not in said:
            return said
        reason = why_not_trusted(self._trouble.refused_by, self._settings.kafka_config)
        return said.replace(UNTRUSTED, f"{UNTRUSTED}: {reason}") if reason else said

    def _ask(self, asked: Asked, ask: Callable[[], Any]) -> Any:
        self._trouble.clear()
        try:
            return _told_soon(lambda: ask().result(ANSWER_S * 2))
        except (KafkaException, TimeoutError) as error:
            self._admin.poll(0)
            raise KafkaUnavailableError(self._trouble.explain(f"looking up {asked.topic}", error, asked)) from error


class IdentityWatch:
    """Looks every 2 s, in a thread of its own, whether the topics are still the same ones."""

    def __init__(self, settings: Settings, view: ClusterView, expected: Mapping[str, TopicIdentity]) -> None:
        self._settings = settings
        self._view = view
        self._expected = dict(expected)
        self._changed = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="identity-watch", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises TopicChangedError once the cluster or a topic is another one."""
        if self._changed:
            raise TopicChangedError(self._changed)

    def close(self) -> None:
        """Ends the thread, without waiting for an answer that may never come."""
        self._stop.set()

    def _watch(self) -> None:
        while not self._changed and not self._stop.wait(IDENTITY_EVERY_S):
            try:
                if find_cluster(self._settings) != self._view.cluster:
                    self._changed = "the demo cluster is another one"
                elif not self._view.cluster.demo_id:
                    self._compare(self._view.identities(list(self._expected)))
            except KafkaUnavailableError as error:
                log.debug("identity not known: %s", error)  # the readers and senders report what is away

    def _compare(self, found: Mapping[str, TopicIdentity]) -> None:
        changed = [topic for topic, identity in self._expected.items() if found.get(topic, identity) != identity]
        if changed:
            self._changed = f"topic {', '.join(changed)} was made anew"


class OwnersWatch:
    """Looks every 3 s, in a thread of its own, whether every partition of a topic has an owner in the group.

    Partitions move in two steps: the old owner gives them up and joins again, then the new one gets them. Where the
    old owner is restarted between the two, as a static member, nobody asks for the second step, and the partitions
    stay without an owner until something else makes the group rebalance. New partitions are without one at first too.
    """

    def __init__(self, settings: Settings, view: ClusterView, instance_id: str) -> None:
        self._settings = settings
        self._view = view
        self._instance_id = instance_id
        self._nobodys: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="owners-watch", daemon=True)
        if not view.cluster.demo_id:  # it rebalances whenever somebody joins
            self._thread.start()

    def take_nobodys(self) -> list[int]:
        """Partitions that have had no owner for two looks, if it is for this member to do something about it."""
        nobodys, self._nobodys = self._nobodys, []
        return nobodys

    def close(self) -> None:
        """Ends the thread, without waiting for an answer that may never come."""
        self._stop.set()

    def _watch(self) -> None:
        seen: list[int] = []
        while not self._stop.wait(OWNERS_EVERY_S):
            try:
                found = self._look()
            except KafkaUnavailableError as error:
                log.debug("owners not known: %s", error)  # the readers and senders report what is away
                found = []
            if found and found == seen:
                self._nobodys, seen = found, []
            else:
                seen = found

    def _look(self) -> list[int]:
        topic = self._settings.orders_topic
        group = self._view.group(self._settings.group_id)
        if group.state != ConsumerGroupState.STABLE:
            return []
        owned: dict[str, set[int]] = {
            member.group_instance_id or member.member_id: {
                place.partition for place in member.assignment.topic_partitions if place.topic == topic
            }
            for member in group.members
        }
        # One for all: that of our members that has the least.
        ours = [
            (len(owned[member.group_instance_id]), member.group_instance_id)
            for member in group.members
            if member.group_instance_id
        ]
        if not ours or min(ours)[1] != self._instance_id:
            return []
        return sorted(set(range(self._view.partitions().get(topic, 0))).difference(*owned.values()))


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets that Kafka no longer has (or does not have yet): what it holds now is `low` up to before `high`."""

    topic: str
    partition: int
    low: int
    high: int


class Fetched:
    """Records of one partition in offset order, as the client library holds them.

    A list of one field of all records costs 0.04 µs a record, a Record with everything in it 2 µs.
    """

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages
        self._headers = _headers_of(messages)

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def partition(self) -> int:
        """Where all of them come from."""
        return _place(self._messages[0])[1]

    def offsets(self) -> list[int]:
        """The offset of each, ascending."""
        return list(map(Message.offset, self._messages))  # type: ignore[arg-type] # without an error there is one

    def keys(self) -> list[bytes | None]:
        """The key of each."""
        return list(map(Message.key, self._messages))

    def values(self) -> list[bytes | None]:
        """The value of each."""
        return list(map(Message.value, self._messages))

    def without_headers(self, names: frozenset[str]) -> list[bool]:
        """Whether each has none of these headers, for certain."""
        if not any(self._headers):
            return [headers is not None for headers in self._headers]
        return [
            headers is not None and (not headers or names.isdisjoint([name for name, _ in headers]))
            for headers in self._headers
        ]

    def record(self, index: int) -> Record:
        """One of them whole."""
        return _to_record(self._messages[index], self._headers[index])

    def since(self, next_offset: int) -> Fetched:
        """Those from this offset on, without what was fetched before a seek."""
        offsets = self.offsets()
        if offsets[0] >= next_offset and all(map(lt, offsets, offsets[1:])):
            return self
        kept = []
        for index, offset in enumerate(offsets):
            if offset >= next_offset:
                kept.append(index)
                next_offset = offset + 1
        fresh = Fetched([])
        fresh._messages = [self._messages[index] for index in kept]
        fresh._headers = [self._headers[index] for index in kept]
        return fresh


class Reader:
    """Reads records from given offsets; offsets are ours to keep, Kafka's committed ones are for lag tools only."""

    def __init__(self, settings: Settings, cluster: Cluster, group_id: str, **more: Any) -> None:
        self._trouble = _Trouble(cluster)
        self._group_id = group_id
        self._asked_highs: dict[tuple[str, int], int] = {}
        self.at_end: set[tuple[str, int]] = set()
        config = _client_config(settings, cluster, "consumer", self._trouble)
        config |= {
            "group.id": group_id,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
        }
        # Only the statistics tell that brokers are back: nobody says so where there is nothing to read.
        config |= {"stats_cb": self._trouble.hear_statistics}
        config.setdefault("statistics.interval.ms", STATISTICS_MS)
        # Half a second of records at full speed; the default of 64 MB would be a third of a processor's memory.
        config.setdefault("queued.max.messages.kbytes", 16_384)
        self._consumer = _client(Consumer, settings, config | more)

    def read(self, max_records: int, timeout_s: float) -> tuple[list[Record], list[Gap]]:
        """Waits up to `timeout_s` for a record, then returns what is there, in offset order per partition.

        Raises KafkaUnavailableError when the broker refuses us.
        """
        messages, gaps = self._fetch(max_records, timeout_s)
        return list(map(_to_record, messages, _headers_of(messages))), gaps

    def _fetch(self, max_records: int, timeout_s: float) -> tuple[list[Message], list[Gap]]:
        first = _answered("reading", self._consumer.poll, timeout_s)
        if first is None:
            if self._trouble.refusal:
                raise KafkaUnavailableError(f"reading: {self._trouble.refusal}")
            return [], []
        messages = [first, *_answered("reading", self._consumer.consume, max_records - 1, 0)]
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
                gaps.append(Gap(*_place(message), *self.watermarks(*_place(message))))
            elif error.code() == KafkaError._PARTITION_EOF:
                self.at_end.add(_place(message))
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
        place = TopicPartition(topic, partition)
        asked = Asked("Describe", topic)
        ask = partial(self._consumer.get_watermark_offsets, place, timeout=ANSWER_S)
        found = _answered(doing, partial(_told_soon, ask), asked=asked)
        if found is None:
            raise KafkaUnavailableError(self._trouble.explain(doing, None))
        low, high = found
        return low, high

    def known_high(self, topic: str, partition: int) -> int | None:
        """The offset after the newest record as of the last fetch or question; None before the first one."""
        low_high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
        high = max(low_high[1] if low_high else -1, self._asked_highs.get((topic, partition), -1))
        return high if high >= 0 else None

    def tell_kafka(self, next_offsets: Mapping[tuple[str, int], int]) -> None:
        """Commits offsets for lag tools; nothing here depends on them."""
        if next_offsets:
            offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in next_offsets.items()]
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

    `assigned(reader, partition)` returns the offset to begin at; `revoked(partition)` is told of those that go. Both
    are called inside `read` and `read_partitions`, so never in the middle of a batch, and what `assigned` raises is
    raised there.
    """

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        instance_id: str,
        assigned: Callable[[GroupReader, int], int],
        revoked: Callable[[int], None],
    ) -> None:
        membership: dict[str, Any] = {
            "partition.assignment.strategy": "cooperative-sticky",
            "group.instance.id": instance_id,
            # A member that is gone for good keeps its partitions so long; one that comes back meanwhile moves none.
            "session.timeout.ms": settings.kafka_config.get("session.timeout.ms", SESSION_MS),
        }
        if cluster.demo_id:
            # Because of its limit `quick_returns`, its sessions have to be short.
            membership |= {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500}
        super().__init__(settings, cluster, settings.group_id, **membership)
        self._assigned = assigned
        self._revoked = revoked
        self._topic = settings.orders_topic
        self._failed: Exception | None = None
        self._subscribe()

    def join_anew(self) -> None:
        """Leaves the group and joins it again, which makes it deal out all partitions."""
        # A static member that only unsubscribes does leave, unlike one that closes.
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
        for message, partition in zip(messages, map(Message.partition, messages), strict=True):
            by_partition[partition].append(message)
        return [Fetched(found) for found in by_partition.values()], gaps

    def _fetch(self, max_records: int, timeout_s: float) -> tuple[list[Message], list[Gap]]:
        found = super()._fetch(max_records, timeout_s)
        # The library has assigned the partitions by itself then, to begin anywhere: none of it may be seen.
        if self._failed is not None:
            raise self._failed
        return found

    def pause(self) -> None:
        """Stops fetching; the group membership goes on."""
        self._consumer.pause(self._consumer.assignment())

    def look_at_ends(self) -> None:
        """Asks where the partitions end, which nobody tells while they are paused; `known_high` knows it then."""
        for place in self._consumer.assignment():
            self._asked_highs[place.topic, place.partition] = self.watermarks(place.topic, place.partition)[1]

    def resume(self) -> None:
        """Fetches again."""
        self._consumer.resume(self._consumer.assignment())

    def _on_assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        try:
            offsets = [
                TopicPartition(place.topic, place.partition, self._assigned(self, place.partition)) for place in places
            ]
        except Exception as error:  # noqa: BLE001 - the C library would drop it: read() raises it again
            self._failed = error
            return
        consumer.incremental_assign(offsets)

    def _on_revoke(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            self._revoked(place.partition)
        consumer.incremental_unassign(places)


class PartitionReader(Reader):
    """Reads partitions that its owner names, outside of any group's assignment."""

    def assign(self, topic: str, partition: int, next_offset: int) -> None:
        """Reads one partition more."""
        self._consumer.incremental_assign([TopicPartition(topic, partition, next_offset)])


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one record that was sent. `error` empty: confirmed by all in-sync replicas at `offset`."""

    topic: str
    partition: int
    offset: int
    error: str


class Sender:
    """Sends records, idempotently, and reports each one's confirmation from inside `poll` and `flush`.

    Connects with the first record. `message_timeout_ms` 0 keeps trying for ever. Raises KafkaUnavailableError when
    the brokers turn us away as a whole; what is not confirmed then may be in Kafka or not.
    """

    def __init__(self, settings: Settings, cluster: Cluster, message_timeout_ms: int = 0) -> None:
        self._settings = settings
        self._trouble = _Trouble(cluster)
        config = _client_config(settings, cluster, "producer", self._trouble)
        config |= {"enable.idempotence": True, "acks": "all"}
        set_default(config, "message.timeout.ms", message_timeout_ms)
        set_default(config, "linger.ms", 5)
        # Java's default partitioner, so that a key goes where the writers of other languages put it.
        set_default(config, "partitioner", "murmur2_random")
        self._config = config
        self._producer: Producer | None = None
        self._may_not_write = False

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes | None]],
        done: Callable[[Delivery], None],
        partition: int | None = None,
        timestamp_ms: int = 0,
    ) -> None:
        """Queues one record; waits while the queue is full. `timestamp_ms` 0 is now."""
        options: dict[str, Any] = {} if partition is None else {"partition": partition}
        while True:
            if self._producer is None:
                self._producer = _client(Producer, self._settings, self._config)
                self._may_not_write = False
            try:
                self._producer.produce(
                    topic,
                    key=key,
                    value=value,
                    headers=list(headers),
                    on_delivery=partial(self._report, topic, done),
                    timestamp=max(timestamp_ms, 0),
                    **options,
                )
            except BufferError:
                self.poll(0.1)
            except KafkaException as error:
                done(Delivery(topic, -1, -1, self._error_of(topic, error.args[0])))
                return
            else:
                return

    def poll(self, timeout_s: float = 0.0) -> None:
        """Hands out the confirmations that have come."""
        if self._producer is None:
            return
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:
            self._give_up(self._producer, error)
        if self._trouble.refusal:
            raise KafkaUnavailableError(f"sending: {self._trouble.refusal}")

    def flush(self, timeout_s: float) -> int:
        """Waits for confirmations; returns how many records still have none."""
        return 0 if self._producer is None else int(self._producer.flush(timeout_s))

    @property
    def trouble(self) -> str:
        """What the client library complained of last."""
        return self._trouble.last

    def close(self) -> None:
        """Gives up what is not confirmed."""
        if self._producer is not None:
            _end(self._producer)

    def _give_up(self, producer: Producer, error: KafkaException) -> None:
        """Ends a producer that has failed for good; the next record makes another one."""
        self._producer = None
        self._may_not_write = error.args[0].code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED
        if not self._may_not_write:
            _end(producer)
            raise KafkaUnavailableError(f"sending: {_said(error.args[0])}") from error
        # It got no producer id, so nothing was sent: each record is reported as refused.
        self._trouble.clear()
        _end(producer)

    def _report(self, topic: str, done: Callable[[Delivery], None], error: KafkaError | None, message: Message) -> None:
        if error is not None:
            done(Delivery(topic, message.partition() or 0, -1, self._error_of(topic, error)))
            return
        self._trouble.clear()
        done(Delivery(message.topic() or "", message.partition() or 0, message.offset() or 0, ""))

    def _error_of(self, topic: str, error: KafkaError) -> str:
        asked = Asked("Write", topic)
        if self._may_not_write:
            return in_words("CLUSTER_AUTHORIZATION_FAILED", "Cluster authorization failed", asked)
        return _said(error, asked)


def _end(producer: Producer) -> None:
    producer.purge()
    try:
        producer.flush(LEAVE_S)
    except KafkaException as error:
        log.debug("ending a producer: %s", error)


def ends(settings: Settings, cluster: Cluster, topic: str, partitions: int) -> dict[int, int]:
    """The offset after the newest record of each partition."""
    with PartitionReader(settings, cluster, f"{settings.group_id}-look") as reader:
        return {partition: reader.watermarks(topic, partition)[1] for partition in range(partitions)}


def records_since(settings: Settings, cluster: Cluster, topic: str, offsets: Mapping[int, int]) -> Iterator[Record]:
    """All records from the given offsets, or the oldest there are, up to where the partitions end.

    Raises KafkaUnavailableError when the broker is silent for 5 s before that.
    """
    with PartitionReader(settings, cluster, f"{settings.group_id}-look", **{"enable.partition.eof": True}) as reader:
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


def _new_topic(settings: Settings, topic: str) -> NewTopic:
    retention_h = settings.orders_retention_h if topic == settings.orders_topic else settings.dlq_retention_h
    retention_ms = -1 if retention_h < 0 else retention_h * 3_600_000
    return NewTopic(
        topic,
        num_partitions=settings.topic_partitions or -1,
        replication_factor=settings.topic_replication or -1,
        config={"retention.ms": str(retention_ms)} if retention_h else {},
    )


def _create_command(cluster: Cluster, wanted: NewTopic) -> str:
    """What somebody who may make the topic would type."""
    options = [f"--partitions {wanted.num_partitions}"] if wanted.num_partitions > 0 else []
    options += [f"--replication-factor {wanted.replication_factor}"] if wanted.replication_factor > 0 else []
    options += [f"--config {name}={value}" for name, value in (wanted.config or {}).items()]
    command = f"kafka-topics.sh --bootstrap-server {cluster.bootstrap_servers} --create --topic {wanted.topic}"
    return " ".join([command, *options])


def _not_made(error: KafkaError, topic: str, cluster: Cluster, wanted: NewTopic) -> str:
    command = f"`{_create_command(cluster, wanted)}`"
    if is_forbidden(error.name()):
        return (
            f"topic {topic}: this account may neither see nor make it ({error.str()}). If it is there, allow the "
            f"account Read and Write on topic {topic}; if not, make it with {command}, or allow Create on it"
        )
    return f"topic {topic} is not there and could not be made ({error.str()}); make it with {command}"


class _Trouble:
    """Collects what librdkafka reports from its threads and says it in one line."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.last = ""
        """What it complained of last; empty when all is well."""
        self.refusal = ""
        """The first time that a broker turned us away, if any did; brokers that do not answer are no refusal."""
        self.refused_by = ""
        """The address of that broker."""

    def __call__(self, error: KafkaError) -> None:
        log.debug("librdkafka: %s", error.str())
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            # It says less than what came before it, if anything did.
            no_broker = f"no connection to {self._cluster.bootstrap_servers}"
            self.last = self.last or in_words(error.name(), no_broker)
            return
        self.last = _said(error)
        if is_refusal(error.name(), error.str()) and not self.refusal:
            self.refusal, self.refused_by = self.last, broker_in(error.str())

    def hear_statistics(self, statistics: str) -> None:
        """Takes the library's word for it that every broker is connected again."""
        if self.last and not self.refusal:
            brokers = [broker for broker in json.loads(statistics)["brokers"].values() if broker["nodeid"] >= 0]
            if brokers and all(broker["state"] in AT_WORK for broker in brokers):
                self.clear()

    def clear(self) -> None:
        """All is well again."""
        self.last = self.refusal = ""

    def explain(self, doing: str, error: Exception | None, asked: Asked = NOTHING_SPECIAL) -> str:
        """Why `doing` something failed: the refusal if there was one, else what is known of the error."""
        said = _said(error.args[0], asked) if isinstance(error, KafkaException) else "no answer"
        known = self.refusal or (self.last if not isinstance(error, KafkaException) or _vague(error.args[0]) else "")
        return f"{doing}: {known or said}"


def _vague(error: KafkaError) -> bool:
    return error.code() in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN)


def _said(error: KafkaError, asked: Asked = NOTHING_SPECIAL) -> str:
    return in_words(error.name(), error.str(), asked)


def check_kafka_config(settings: Settings) -> None:
    """Raises SettingsError for a property that librdkafka does not know or a value it cannot use; connects nowhere."""
    clients: tuple[tuple[ClientKind, Callable[[dict[str, Any]], Any], dict[str, Any]], ...] = (
        ("consumer", Consumer, {"group.id": settings.group_id}),
        ("producer", Producer, {"enable.idempotence": True}),
        ("admin", AdminClient, {}),
    )
    nowhere = Cluster("")
    for kind, make, more in clients:
        config = _client_config(settings, nowhere, kind, _Trouble(nowhere)) | more | {"logger": _SILENT}
        del config["bootstrap.servers"]
        _client(make, settings, config)


def _client(make: Callable[[dict[str, Any]], Any], settings: Settings, config: dict[str, Any]) -> Any:
    """A client of the library. Raises SettingsError when it does not take the properties."""
    try:
        return make(config)
    except (KafkaException, TypeError, ValueError) as error:
        said = error.args[0].str() if isinstance(error, KafkaException) else str(error)
        line = " ".join(without_secrets(settings, said).split())
        raise SettingsError(f"{variable_of('kafka_config')}: {line}") from error


_SILENT = logging.getLogger("librdkafka")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
"""What librdkafka would print by itself, we say in our words; see `error_cb`."""


def _client_config(settings: Settings, cluster: Cluster, kind: ClientKind, trouble: _Trouble) -> dict[str, Any]:
    given = properties_for(settings, kind)
    ours: dict[str, Any] = {
        "bootstrap.servers": cluster.bootstrap_servers,
        "client.id": f"{settings.group_id}-{kind}",
        # Broker restarts are ordinary; the default of 10 s is a long time on a page.
        "reconnect.backoff.max.ms": 1000,
        "log_level": 2,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "receive.message.max.bytes": 4 * MAX_MESSAGE_BYTES,
    }
    if not {"debug", "log_level"} & given.keys():
        ours["logger"] = _SILENT
    return {"error_cb": trouble} | ours | given


def _answered(doing: str, call: Callable[..., Any], *args: Any, asked: Asked = NOTHING_SPECIAL, **options: Any) -> Any:
    try:
        return call(*args, **options)
    except KafkaException as error:
        raise KafkaUnavailableError(f"{doing}: {_said(error.args[0], asked)}") from error


def _told_soon(ask: Callable[[], _Answer]) -> _Answer:
    """An answer about a topic, which a broker can give a moment after the controller has made the topic."""
    pause = threading.Event()
    for wait_s in SPREADING_S:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in _NOT_TOLD_YET:
                raise
        pause.wait(wait_s)
    return ask()


def _place(message: Message) -> tuple[str, int]:
    return message.topic() or "", message.partition() or 0


_Headers = Sequence[tuple[str, bytes | None]]


def _headers_of(messages: Sequence[Message]) -> list[_Headers | None]:
    """The headers of each; None where they cannot be read, which the library says only the first time it is asked."""
    found: list[Any] = []
    asking = map(Message.headers, messages)
    while len(found) < len(messages):
        # What was found before one that cannot be read stays, and the next round goes on behind it.
        try:
            found.extend(headers or () for headers in asking)
        except _UNREADABLE_HEADERS:
            found.append(None)
            asking = map(Message.headers, messages[len(found) :])
    return found


def _to_record(message: Message, headers: _Headers | None) -> Record:
    topic, partition = _place(message)
    return Record(
        Position(topic, partition, message.offset() or 0),
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple(headers or ()),
        headers is not None,
    )
