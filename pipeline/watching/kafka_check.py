"""Compares the buffer with what the topics still hold: every record that was read must be somewhere in the buffer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from pipeline.buffer import Reader, replays_without_outcome, stored_bytes, unaccounted, uncollected
from pipeline.buffer.contract import Role
from pipeline.dead_letters.collector import identity_of_failure, matching_topics
from pipeline.headers import dead_letter_id_of, last_text, read_failure, replay_id_of
from pipeline.headers.dialects.orderpulse import DEAD_LETTER_ID
from pipeline.kafka import Cluster, ClusterView, find_cluster, records_since
from pipeline.records import Record, TopicIdentity
from pipeline.settings import Settings

CHUNK = 5000


def compare_with_kafka(settings: Settings) -> list[str]:
    """A line for each record of the topics that was read and is nowhere in the buffer, or is not there as it was.

    What is parked, on its way or a dead letter must have the topic's bytes, and a replay that was read its outcome in
    the ledger. Offsets below those that were pruned are not looked at.
    Raises KafkaUnavailableError, BufferUnavailableError.
    """
    cluster = find_cluster(settings)
    view = ClusterView(settings, cluster)
    partitions = view.partitions()
    topics = matching_topics(settings, partitions)
    identities = view.identities([topic for topic in (settings.orders_topic, *topics) if topic in partitions])
    with Reader(settings.database_file) as reader:
        read_up_to = _read_up_to(reader, identities)
    on_the_way: set[str] = set()
    differences: list[str] = []
    # The dead-letter topics first: what is in them and not collected yet is accounted for.
    for topic in topics:
        places = read_up_to.get(("collector", topic), {})
        differences += _compare_dead_letters(settings, cluster, identities[topic], places, on_the_way)
    places = read_up_to.get(("processor", settings.orders_topic), {})
    if settings.orders_topic in identities:
        differences += _compare_orders(settings, cluster, identities[settings.orders_topic], places, on_the_way)
    return differences


@dataclass(frozen=True, slots=True)
class _Place:
    """A partition as the buffer knows it."""

    ref: int
    next_offset: int
    pruned_below: int


_Places = dict[int, _Place]
"""By partition."""


def _read_up_to(reader: Reader, identities: dict[str, TopicIdentity]) -> dict[tuple[str, str], _Places]:
    found: dict[tuple[str, str], _Places] = {}
    rows = reader.partitions()
    for role, topic, partition, next_offset, cluster_id, topic_id, _, ref, pruned_below in rows.rows:
        if identities.get(topic) == TopicIdentity(cluster_id, topic, topic_id):
            found.setdefault((role, topic), {})[partition] = _Place(ref, next_offset, pruned_below)
    return found


def _compare_dead_letters(
    settings: Settings, cluster: Cluster, identity: TopicIdentity, places: _Places, on_the_way: set[str]
) -> Iterator[str]:
    for partition, chunk in _held(settings, cluster, identity, places):
        place = places[partition]
        read = [record for record in chunk if record.position.offset < place.next_offset]
        own_ids = (last_text(each.headers, DEAD_LETTER_ID) for each in chunk[len(read) :])
        on_the_way.update(each for each in own_ids if each)
        ids = [identity_of_failure(record, read_failure(record.headers), identity) for record in read]
        for offset in uncollected(settings.database_file, place.ref, [each.position.offset for each in read], ids):
            yield f"{identity.topic}[{partition}] offset {offset}: was read, but is not in dead_letters"
        yield from _compare_bytes(settings, "collector", place, read)


def _compare_orders(
    settings: Settings, cluster: Cluster, identity: TopicIdentity, places: _Places, on_the_way: set[str]
) -> Iterator[str]:
    for partition, chunk in _held(settings, cluster, identity, places):
        place = places[partition]
        read = [record for record in chunk if record.position.offset < place.next_offset]
        offsets = [record.position.offset for record in read]
        ids = [dead_letter_id_of(identity, partition, offset) for offset in offsets]
        id_of = dict(zip(offsets, ids, strict=True))
        for offset in unaccounted(settings.database_file, place.ref, offsets, ids):
            if id_of[offset] not in on_the_way:
                yield (
                    f"{identity.topic}[{partition}] offset {offset}: was read, but is neither an order nor parked nor "
                    "a dead letter"
                )
        yield from _compare_bytes(settings, "processor", place, read)
        yield from _compare_ledger(settings, place, read)


def _compare_bytes(settings: Settings, role: Role, place: _Place, read: list[Record]) -> Iterator[str]:
    """What the buffer keeps of these records must be what the topic has, byte for byte."""
    if not read:
        return
    held = {record.position.offset: record for record in read}
    stored = stored_bytes(settings.database_file, role, place.ref, min(held), max(held))
    for table, offset, key, value in stored:
        topic, partition = read[0].position.topic, read[0].position.partition
        if offset not in held:
            yield f"{topic}[{partition}] offset {offset}: is in {table}, but the topic has no such record"
        elif (held[offset].key, held[offset].value) != (key, value):
            yield f"{topic}[{partition}] offset {offset}: {table} holds other bytes than the topic"


def _compare_ledger(settings: Settings, place: _Place, read: list[Record]) -> Iterator[str]:
    """A replay that was read must have its outcome in the ledger."""
    replays = [(record, name) for record in read if (name := replay_id_of(record.headers))]
    position_of = {record.position.offset: (record.position, name) for record, name in replays}
    asked = [(record.position.offset, name) for record, name in replays]
    for offset, state in replays_without_outcome(settings.database_file, place.ref, asked):
        position, name = position_of[offset]
        yield f"{position}: is replay {name} and was read, but the ledger says {state}"


def _held(
    settings: Settings, cluster: Cluster, identity: TopicIdentity, places: _Places
) -> Iterator[tuple[int, list[Record]]]:
    """What the topic still holds of what the buffer should know, a few records of one partition at a time."""
    starts = {partition: place.pruned_below for partition, place in places.items()}
    return _chunks(records_since(settings, cluster, identity.topic, starts))


def _chunks(records: Iterable[Record]) -> Iterator[tuple[int, list[Record]]]:
    """Groups of records of one partition each."""
    source = iter(records)
    while taken := list(islice(source, CHUNK)):
        by_partition: dict[int, list[Record]] = {}
        for record in taken:
            by_partition.setdefault(record.position.partition, []).append(record)
        yield from by_partition.items()
