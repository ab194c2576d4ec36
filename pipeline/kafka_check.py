"""Compares the buffer with what the topics still hold: every record that was read must be somewhere in the buffer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from pipeline.buffer import unaccounted, uncollected
from pipeline.buffer.reads import Reader
from pipeline.collector import identity_of_failure, matching_topics
from pipeline.headers import dead_letter_id_of, read_failure
from pipeline.headers.orderpulse import DEAD_LETTER_ID, last_text
from pipeline.kafka import Cluster, ClusterView, find_cluster, records_since
from pipeline.records import Record, TopicIdentity
from pipeline.settings import Settings

CHUNK = 5000


def compare_with_kafka(settings: Settings) -> list[str]:
    """A line for each record of the topics that was read and is nowhere in the buffer.

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


Places = dict[int, tuple[int, int]]
"""By partition: its ref in the buffer and its next offset."""


def _read_up_to(reader: Reader, identities: dict[str, TopicIdentity]) -> dict[tuple[str, str], Places]:
    found: dict[tuple[str, str], Places] = {}
    rows = reader.partitions()
    for role, topic, partition, next_offset, cluster_id, topic_id, _, ref in rows.rows:
        if identities.get(topic) == TopicIdentity(cluster_id, topic, topic_id):
            found.setdefault((role, topic), {})[partition] = (ref, next_offset)
    return found


def _compare_dead_letters(
    settings: Settings, cluster: Cluster, identity: TopicIdentity, places: Places, on_the_way: set[str]
) -> Iterator[str]:
    records = records_since(settings, cluster, identity.topic, dict.fromkeys(places, 0))
    for partition, chunk in _chunks(records):
        ref, next_offset = places[partition]
        read = [record for record in chunk if record.position.offset < next_offset]
        own_ids = (
            last_text(record.headers, DEAD_LETTER_ID) for record in chunk if record.position.offset >= next_offset
        )
        on_the_way.update(each for each in own_ids if each)
        ids = [identity_of_failure(record, read_failure(record.headers), identity) for record in read]
        for offset in uncollected(settings.database_file, ref, [record.position.offset for record in read], ids):
            yield f"{identity.topic}[{partition}] offset {offset}: was read, but is not in dead_letters"


def _compare_orders(
    settings: Settings, cluster: Cluster, identity: TopicIdentity, places: Places, on_the_way: set[str]
) -> Iterator[str]:
    records = records_since(settings, cluster, identity.topic, dict.fromkeys(places, 0))
    for partition, chunk in _chunks(records):
        ref, next_offset = places[partition]
        offsets = [record.position.offset for record in chunk if record.position.offset < next_offset]
        ids = [dead_letter_id_of(identity, partition, offset) for offset in offsets]
        id_of = dict(zip(offsets, ids, strict=True))
        for offset in unaccounted(settings.database_file, ref, offsets, ids):
            if id_of[offset] not in on_the_way:
                yield (
                    f"{identity.topic}[{partition}] offset {offset}: was read, but is neither an order nor parked nor "
                    "a dead letter"
                )


def _chunks(records: Iterable[Record]) -> Iterator[tuple[int, list[Record]]]:
    """Groups of records of one partition each."""
    source = iter(records)
    while taken := list(islice(source, CHUNK)):
        by_partition: dict[int, list[Record]] = {}
        for record in taken:
            by_partition.setdefault(record.position.partition, []).append(record)
        yield from by_partition.items()
