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
from typing import Any, Self

from confluent_kafka import (
    Consumer,
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
from pipeline.records import Position, Record, TopicIdentity
from pipeline.settings import Settings, variable_of

log = logging.getLogger(__name__)

DEMO_LIMITS = (
    "Holds records in memory only: ending it loses them, and a new one is another cluster.",
    "Keeps at most 100,000 records or 5 MB a partition; sample orders wait for the processor so that none is dropped.",
    "Has 4 partitions a topic, made on first use; CreateTopics, ListGroups and DescribeCluster are not there.",
    "Tells no topic ids and no offsets by time.",
    "Takes about 3 s for the first join of a consumer group.",
)
"""What the demo cluster cannot do, as the app shows it (librdkafka's mock cluster)."""

# confluent-kafka cannot make a str of a header's name that is not UTF-8.
_UNREADABLE_HEADERS = (SystemError, UnicodeDecodeError)

BROKER_FILE = "broker.json"
ANSWER_S = 5.0
LEAVE_S = 2.0
SESSION_MS = 10_000
IDENTITY_EVERY_S = 2.0
MAX_MESSAGE_BYTES = 64_000_000
"""Larger than any broker's default, so that it is the broker who says no."""

_OURS = frozenset(
    """
    bootstrap.servers group.id group.instance.id enable.auto.commit auto.commit.enable enable.auto.offset.store
    auto.offset.reset acks request.required.acks enable.idempotence transactional.id partition.assignment.strategy
    enable.partition.eof test.mock.num.brokers
    """.split()
)
_PRODUCER_ONLY = frozenset(
    """
    batch.num.messages batch.size compression.codec compression.level compression.type delivery.report.only.error
    delivery.timeout.ms enable.gapless.guarantee linger.ms message.send.max.retries message.timeout.ms partitioner
    queue.buffering.backpressure.threshold queue.buffering.max.kbytes queue.buffering.max.messages
    queue.buffering.max.ms queuing.strategy request.timeout.ms retries sticky.partitioning.linger.ms
    transaction.timeout.ms
    """.split()
)
_CONSUMER_ONLY = frozenset(
    """
    check.crcs consume.callback.max.messages coordinator.query.interval.ms fetch.error.backoff.ms fetch.max.bytes
    fetch.message.max.bytes fetch.min.bytes fetch.queue.backoff.ms fetch.wait.max.ms group.protocol
    group.protocol.type group.remote.assignor heartbeat.interval.ms isolation.level max.partition.fetch.bytes
    max.poll.interval.ms queued.max.messages.kbytes queued.min.messages session.timeout.ms auto.commit.interval.ms
    offset.store.method offset.store.path offset.store.sync.interval.ms
    """.split()
)
_AUTH_ERRORS = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError._SSL,
    }
)


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
        self._trouble = _Trouble()
        self._admin = AdminClient(_client_config(settings, cluster, "admin", self._trouble))

    def partitions(self) -> dict[str, int]:
        """All topics with their number of partitions."""
        found = self._ask("listing the topics", self._admin.list_topics, timeout=ANSWER_S)
        return {name: len(topic.partitions) for name, topic in found.topics.items() if topic.error is None}

    def ensure_topic(self, topic: str) -> None:
        """Makes a topic that is not there, with the partitions, replicas and retention of the settings.

        Raises KafkaUnavailableError with the command that makes it, where this account may not.
        """
        if topic in self.partitions():
            return
        if self.cluster.demo_id:
            self._ask(f"making topic {topic}", self._admin.list_topics, topic, timeout=ANSWER_S)
            return
        wanted = _new_topic(self._settings, topic)
        future = self._admin.create_topics([wanted], request_timeout=ANSWER_S)[topic]
        try:
            future.result(ANSWER_S * 2)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise KafkaUnavailableError(
                    f"topic {topic} is not there and could not be made ({error.args[0].str()}); make it with "
                    f"`{_create_command(self.cluster, wanted)}`, or let this account create topics"
                ) from error

    def identities(self, topics: Sequence[str]) -> dict[str, TopicIdentity]:
        """Cluster and topic ids. The demo cluster knows no topic ids. Raises KafkaUnavailableError."""
        if self.cluster.demo_id:
            return {topic: TopicIdentity(self.cluster.demo_id, topic) for topic in topics}
        if not topics:
            return {}
        doing = f"looking up {', '.join(topics)}"
        cluster_id = self._ask(doing, self._admin.list_topics, timeout=ANSWER_S).cluster_id or ""
        told = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=ANSWER_S)
        return {
            topic: TopicIdentity(cluster_id, topic, str(self._ask(doing, future.result, ANSWER_S * 2).topic_id))
            for topic, future in told.items()
        }

    def _ask(self, doing: str, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        self._trouble.last = ""
        try:
            return call(*args, **options)
        except (KafkaException, TimeoutError) as error:
            raise KafkaUnavailableError(self._trouble.explain(doing, error)) from error


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
        return [_has_none_of(names, message) for message in self._messages]

    def record(self, index: int) -> Record:
        """One of them whole."""
        return _to_record(self._messages[index])

    def since(self, next_offset: int) -> Fetched:
        """Those from this offset on, without what was fetched before a seek."""
        offsets = self.offsets()
        if offsets[0] >= next_offset and all(map(lt, offsets, offsets[1:])):
            return self
        fresh = []
        for message, offset in zip(self._messages, offsets, strict=True):
            if offset >= next_offset:
                fresh.append(message)
                next_offset = offset + 1
        return Fetched(fresh)


class Reader:
    """Reads records from given offsets; offsets are ours to keep, Kafka's committed ones are for lag tools only."""

    def __init__(self, settings: Settings, cluster: Cluster, group_id: str, **more: Any) -> None:
        self._trouble = _Trouble()
        self.at_end: set[tuple[str, int]] = set()
        config = _client_config(settings, cluster, "consumer", self._trouble)
        config |= {
            "group.id": group_id,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
        }
        self._consumer = Consumer(config | more)

    def read(self, max_records: int, timeout_s: float) -> tuple[list[Record], list[Gap]]:
        """Waits up to `timeout_s` for a record, then returns what is there, in offset order per partition.

        Raises KafkaUnavailableError when the broker refuses us.
        """
        messages, gaps = self._fetch(max_records, timeout_s)
        return [_to_record(message) for message in messages], gaps

    def _fetch(self, max_records: int, timeout_s: float) -> tuple[list[Message], list[Gap]]:
        first = _answered("reading", self._consumer.poll, timeout_s)
        if first is None:
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
                raise KafkaUnavailableError(self._trouble.explain("reading", KafkaException(error)))
        return records, gaps

    def seek(self, topic: str, partition: int, next_offset: int) -> None:
        """Goes on at another offset."""
        # A partition without a valid offset cannot be sought in, only assigned again.
        self._consumer.incremental_unassign([TopicPartition(topic, partition)])
        self._consumer.incremental_assign([TopicPartition(topic, partition, next_offset)])

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        """The oldest offset there is and the one after the newest, as the broker says now."""
        found = _answered(
            f"asking for the offsets of {topic}[{partition}]",
            self._consumer.get_watermark_offsets,
            TopicPartition(topic, partition),
            timeout=ANSWER_S,
        )
        if found is None:
            raise KafkaUnavailableError(self._trouble.explain(f"asking for the offsets of {topic}[{partition}]", None))
        low, high = found
        return low, high

    def known_high(self, topic: str, partition: int) -> int | None:
        """The offset after the newest record as of the last fetch; None before the first one."""
        low_high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
        return low_high[1] if low_high and low_high[1] >= 0 else None

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
    are called inside `read`, so never in the middle of a batch.
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
            # It keeps a dead member's place until its session ends, where Kafka gives it to the next of that name.
            membership |= {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500}
        super().__init__(settings, cluster, settings.group_id, **membership)
        self._assigned = assigned
        self._revoked = revoked
        self._topic = settings.orders_topic
        self._failed: Exception | None = None
        self._consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def read_partitions(self, max_records: int, timeout_s: float) -> tuple[list[Fetched], list[Gap]]:
        """As `read`, by partition; raises what `assigned` raised."""
        messages, gaps = self._fetch(max_records, timeout_s)
        if self._failed is not None:
            raise self._failed
        by_partition: defaultdict[int | None, list[Message]] = defaultdict(list)
        for message, partition in zip(messages, map(Message.partition, messages), strict=True):
            by_partition[partition].append(message)
        return [Fetched(found) for found in by_partition.values()], gaps

    def pause(self) -> None:
        """Stops fetching; the group membership goes on."""
        self._consumer.pause(self._consumer.assignment())

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

    `message_timeout_ms` 0 keeps trying for ever.
    """

    def __init__(self, settings: Settings, cluster: Cluster, message_timeout_ms: int = 0) -> None:
        self._trouble = _Trouble()
        config = _client_config(settings, cluster, "producer", self._trouble)
        config |= {"enable.idempotence": True, "acks": "all"}
        config.setdefault("message.timeout.ms", message_timeout_ms)
        config.setdefault("linger.ms", 5)
        # Java's default partitioner, so that a key goes where the writers of other languages put it.
        config.setdefault("partitioner", "murmur2_random")
        self._producer = Producer(config)

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
            try:
                self._producer.produce(
                    topic,
                    key=key,
                    value=value,
                    headers=list(headers),
                    on_delivery=partial(_report, done),
                    timestamp=max(timestamp_ms, 0),
                    **options,
                )
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                done(Delivery(topic, -1, -1, error.args[0].str()))
                return
            else:
                return

    def poll(self, timeout_s: float = 0.0) -> None:
        """Hands out the confirmations that have come."""
        self._producer.poll(timeout_s)

    def flush(self, timeout_s: float) -> int:
        """Waits for confirmations; returns how many records still have none."""
        return int(self._producer.flush(timeout_s))

    @property
    def trouble(self) -> str:
        """What the client library complained of last."""
        return self._trouble.last

    def close(self) -> None:
        """Gives up what is not confirmed."""
        self._producer.purge()
        self._producer.flush(LEAVE_S)


def ends(settings: Settings, cluster: Cluster, topic: str, partitions: int) -> dict[int, int]:
    """The offset after the newest record of each partition."""
    with PartitionReader(settings, cluster, f"{settings.group_id}-look") as reader:
        return {partition: reader.watermarks(topic, partition)[1] for partition in range(partitions)}


def records_since(settings: Settings, cluster: Cluster, topic: str, offsets: Mapping[int, int]) -> Iterator[Record]:
    """All records from the given offsets, or the oldest there are, up to where the partitions end."""
    with PartitionReader(settings, cluster, f"{settings.group_id}-look", **{"enable.partition.eof": True}) as reader:
        for partition, offset in offsets.items():
            low, _ = reader.watermarks(topic, partition)
            reader.assign(topic, partition, max(low, offset))
        while len(reader.at_end) < len(offsets):
            records, gaps = reader.read(1000, ANSWER_S)
            yield from records
            for gap in gaps:
                reader.seek(topic, gap.partition, gap.low)


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


class _Trouble:
    """Collects what librdkafka reports from its threads and says it in one line."""

    def __init__(self) -> None:
        self.last = ""

    def __call__(self, error: KafkaError) -> None:
        self.last = _in_words(error)
        log.debug("librdkafka: %s", error.str())

    def explain(self, doing: str, error: Exception | None) -> str:
        said = _in_words(error.args[0]) if isinstance(error, KafkaException) else "no answer"
        return f"{doing}: {self.last or said}" if self.last in ("", said) else f"{doing}: {said}; {self.last}"


def _in_words(error: KafkaError) -> str:
    if error.code() in _AUTH_ERRORS:
        return f"Kafka refuses us: {error.str()}; check {variable_of('kafka_config')} and the account's rights"
    if error.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE):
        return f"Kafka does not answer: {error.str()}"
    return str(error.str())


def _client_config(settings: Settings, cluster: Cluster, kind: str, trouble: _Trouble) -> dict[str, Any]:
    wrong = sorted(_OURS & settings.kafka_config.keys())
    if wrong:
        raise SettingsError(
            f"{variable_of('kafka_config')} must not set {', '.join(wrong)}: OrderPulse's guarantees depend on its own"
        )
    unfit = {"producer": _CONSUMER_ONLY, "consumer": _PRODUCER_ONLY}.get(kind, _CONSUMER_ONLY | _PRODUCER_ONLY)
    given = {name: value for name, value in settings.kafka_config.items() if name not in unfit}
    ours: dict[str, Any] = {
        "bootstrap.servers": cluster.bootstrap_servers,
        "client.id": f"{settings.group_id}-{kind}",
        "error_cb": trouble,
        # Broker restarts are ordinary; the default of 10 s is a long time on a page.
        "reconnect.backoff.max.ms": 1000,
        "log_level": 2,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "receive.message.max.bytes": 4 * MAX_MESSAGE_BYTES,
    }
    return ours | given


def _answered(doing: str, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    try:
        return call(*args, **options)
    except KafkaException as error:
        raise KafkaUnavailableError(f"{doing}: {_in_words(error.args[0])}") from error


def _report(done: Callable[[Delivery], None], error: KafkaError | None, message: Message) -> None:
    offset = message.offset() if error is None else -1
    done(Delivery(message.topic() or "", message.partition() or 0, offset or 0, "" if error is None else error.str()))


def _place(message: Message) -> tuple[str, int]:
    return message.topic() or "", message.partition() or 0


def _has_none_of(names: frozenset[str], message: Message) -> bool:
    try:
        headers: Any = message.headers()
    except _UNREADABLE_HEADERS:
        return False
    return not headers or names.isdisjoint([name for name, _ in headers])


def _to_record(message: Message) -> Record:
    topic, partition = _place(message)
    readable = True
    headers: Any = ()
    try:
        headers = message.headers() or ()
    except _UNREADABLE_HEADERS:
        readable = False
    return Record(
        Position(topic, partition, message.offset() or 0),
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple(headers),
        readable,
    )
