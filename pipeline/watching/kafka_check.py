"""Compares the buffer with what the topics still hold: every record that was read must be somewhere in the buffer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from pipeline.buffer import Reader, replays_without_outcome, stored_bytes, unaccounted, uncollected
from pipeline.buffer.contract import Role
from pipeline.buffer.views import Rows
from pipeline.consuming.generations import known_generation
from pipeline.consuming.topic_choice import choose_dead_letter_topics, topics_read
from pipeline.errors import KafkaUnavailableError
from pipeline.headers import dead_letter_id_of, last_text, replay_id_of
from pipeline.headers.dialects.orderpulse import DEAD_LETTER_ID
from pipeline.kafka import Cluster, ClusterView, find_cluster, records_since
from pipeline.records import Record, TopicIdentity
from pipeline.settings import Settings

CHUNK = 5000


@dataclass(frozen=True, slots=True)
class Comparison:
    """A line for each difference, and one for each topic that could not be compared, with the reason."""

    differences: list[str]
    not_compared: list[str]


def compare_with_kafka(settings: Settings) -> Comparison:
    """Finds each record of the topics that was read and is nowhere in the buffer, or is not there as it was.

    What is parked, on its way or a dead letter must have the topic's bytes, and a replay that was read its outcome in
    the ledger. Offsets below those that were pruned are not looked at, and what compaction took is not missed.
    Raises KafkaUnavailableError when there is no answer at all, BufferUnavailableError.
    """
    cluster = find_cluster(settings)
    view = ClusterView(settings, cluster)
    partitions = view.partitions()
    with Reader(settings.database_file) as reader:
        stored = reader.partitions()
        orders = [topic for topic in topics_read(settings, reader) if topic in partitions]
    dead_letters = choose_dead_letter_topics(settings, partitions)
    told, missing = view.look_up([*orders, *dead_letters])
    compacted = view.may_be_compacted(list(told))
    identities = _generations(stored, told)
    read_up_to = _read_up_to(stored, identities)
    on_the_way: set[str] = set()
    found, unread = Comparison([], list(missing.values())), set(missing)
    # The dead-letter topics first: what is in them and not collected yet is accounted for.
    for topic in (*dead_letters, *orders):
        if topic not in identities:
            continue
        role: Role = "processor" if topic in orders else "collector"
        known = read_up_to.get((role, topic), {})
        compared = _Compared(settings, cluster, identities[topic], known, topic in compacted)
        compare = _compare_orders if role == "processor" else _compare_dead_letters
        if role == "processor" and settings.own_dlq_topic in unread:
            # What is on its way there would be missed here.
            found.not_compared.append(f"{topic}: {settings.own_dlq_topic} could not be read")
            continue
        try:
            found.differences.extend(compare(compared, on_the_way))
        except KafkaUnavailableError as error:
            unread.add(topic)
            found.not_compared.append(str(error))
    return found


@dataclass(frozen=True, slots=True)
class _StoredPartition:
    """A partition as the buffer knows it."""

    ref: int
    next_offset: int
    pruned_below: int


_StoredPartitions = dict[int, _StoredPartition]
"""By partition."""


@dataclass(frozen=True, slots=True)
class _Compared:
    """A topic, and what the buffer knows of it. `compacted`: it need not hold every record that was read."""

    settings: Settings
    cluster: Cluster
    identity: TopicIdentity
    partitions: _StoredPartitions
    compacted: bool


def _generations(rows: Rows, told: dict[str, TopicIdentity]) -> dict[str, TopicIdentity]:
    """What the buffer knows these topics as."""
    columns = (rows.column(name) for name in ("partition_ref", "cluster_id", "topic", "topic_id", "reading"))
    known = [TopicIdentity(*identity) for _, *identity in sorted(zip(*columns, strict=True))]
    return {topic: known_generation(identity, known) or identity for topic, identity in told.items()}


def _read_up_to(rows: Rows, identities: dict[str, TopicIdentity]) -> dict[tuple[str, str], _StoredPartitions]:
    found: dict[tuple[str, str], _StoredPartitions] = {}
    for cells in rows.rows:
        row = dict(zip(rows.columns, cells, strict=True))
        topic = row["topic"]
        if identities.get(topic) == TopicIdentity(row["cluster_id"], topic, row["topic_id"], row["reading"]):
            stored = _StoredPartition(row["partition_ref"], row["next_offset"], row["pruned_below"])
            found.setdefault((row["role"], topic), {})[row["partition"]] = stored
    return found


def _compare_dead_letters(compared: _Compared, on_the_way: set[str]) -> Iterator[str]:
    settings, identity = compared.settings, compared.identity
    for partition, chunk in _held(compared):
        stored = compared.partitions[partition]
        read = [record for record in chunk if record.position.offset < stored.next_offset]
        own_ids = (last_text(each.headers, DEAD_LETTER_ID) for each in chunk[len(read) :])
        on_the_way.update(each for each in own_ids if each)
        for offset in uncollected(settings.database_file, stored.ref, [each.position.offset for each in read]):
            yield f"{identity.topic}[{partition}] offset {offset}: was read, but is not in dead_letters"
        yield from _compare_bytes(compared, "collector", stored, read)


def _compare_orders(compared: _Compared, on_the_way: set[str]) -> Iterator[str]:
    settings, identity = compared.settings, compared.identity
    for partition, chunk in _held(compared):
        stored = compared.partitions[partition]
        read = [record for record in chunk if record.position.offset < stored.next_offset]
        offsets = [record.position.offset for record in read]
        ids = [dead_letter_id_of(identity, partition, offset) for offset in offsets]
        id_of = dict(zip(offsets, ids, strict=True))
        for offset in unaccounted(settings.database_file, stored.ref, offsets, ids):
            if id_of[offset] not in on_the_way:
                yield (
                    f"{identity.topic}[{partition}] offset {offset}: was read, but is neither an order nor parked nor "
                    "a dead letter nor passed over"
                )
        yield from _compare_bytes(compared, "processor", stored, read)
        yield from _compare_ledger(settings, stored, read)


def _compare_bytes(compared: _Compared, role: Role, stored: _StoredPartition, read: list[Record]) -> Iterator[str]:
    """What the buffer keeps of these records must be what the topic has, byte for byte."""
    if not read:
        return
    held = {record.position.offset: record for record in read}
    for kept in stored_bytes(compared.settings.database_file, role, stored.ref, min(held), max(held)):
        record, topic, partition = held.get(kept.offset), read[0].position.topic, read[0].position.partition
        if record is None:
            if not compared.compacted:
                yield f"{topic}[{partition}] offset {kept.offset}: is in {kept.table}, but the topic has no such record"
        elif (record.key, record.value) != (kept.key, kept.value):
            yield f"{topic}[{partition}] offset {kept.offset}: {kept.table} holds other bytes than the topic"


def _compare_ledger(settings: Settings, stored: _StoredPartition, read: list[Record]) -> Iterator[str]:
    """A replay that was read must have its outcome in the ledger."""
    replays = [(record, name) for record in read if (name := replay_id_of(record.headers))]
    position_of = {record.position.offset: (record.position, name) for record, name in replays}
    asked = [(record.position.offset, name) for record, name in replays]
    for each in replays_without_outcome(settings.database_file, stored.ref, asked):
        position, name = position_of[each.offset]
        yield f"{position}: is replay {name} and was read, but the ledger says {each.state}"


def _held(compared: _Compared) -> Iterator[tuple[int, list[Record]]]:
    """What the topic still holds of what the buffer should know, a few records of one partition at a time."""
    starts = {partition: stored.pruned_below for partition, stored in compared.partitions.items()}
    return _chunks(records_since(compared.settings, compared.cluster, compared.identity.topic, starts))


def _chunks(records: Iterable[Record]) -> Iterator[tuple[int, list[Record]]]:
    """Groups of records of one partition each."""
    source = iter(records)
    while taken := list(islice(source, CHUNK)):
        by_partition: dict[int, list[Record]] = {}
        for record in taken:
            by_partition.setdefault(record.position.partition, []).append(record)
        yield from by_partition.items()
