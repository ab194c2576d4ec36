"""The newest records of a topic, over all its partitions: a sample for people, bounded in count, bytes and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.clock import Clock, steady_clock_ms
from pipeline.errors import KafkaUnavailableError
from pipeline.kafka.cluster import Cluster
from pipeline.kafka.connection.client import ANSWER_S
from pipeline.kafka.partition_reader import PartitionReader
from pipeline.kafka.unreadable import in_one_line
from pipeline.records import Record
from pipeline.settings import Settings

SAMPLE_RECORDS = 500
SAMPLE_BYTES = 4_000_000
SAMPLE_MS = 8_000
OVERLAP = 4
"""Of each partition so many times its share is read: the newest of all may not be spread evenly."""
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest records of a topic, newest first. `held` is how many offsets there are; `cut` why there are fewer
    records than one could have, in words."""

    records: list[Record]
    held: int
    cut: str = ""


def newest_records(
    settings: Settings,
    cluster: Cluster,
    topic: str,
    partitions: int,
    count: int = SAMPLE_RECORDS,
    maximum_bytes: int = SAMPLE_BYTES,
    maximum_ms: int = SAMPLE_MS,
    steady_clock: Clock = steady_clock_ms,
) -> Newest:
    """Reads up to `count` of the newest records. Commits nothing, and is a member of no group.

    Raises KafkaUnavailableError when there is no answer.
    """
    with PartitionReader(settings, cluster, f"{settings.group_id}-look", note_ends=True) as reader:
        watermarks = reader.known_watermarks(topic, range(partitions))
        sizes = {partition: high - low for partition, (low, high) in watermarks.items() if high > low}
        wanted = _shares(sizes, count)
        begins = {partition: watermarks[partition][1] - share for partition, share in wanted.items()}
        reader.assign_all(topic, begins)
        ends = {partition: watermarks[partition][1] for partition in begins}
        records, cut = _read(reader, topic, ends, maximum_bytes, steady_clock, steady_clock() + maximum_ms)
    records.sort(key=lambda each: (each.timestamp_ms, each.position.offset), reverse=True)
    return Newest(records[:count], sum(sizes.values()), cut)


def _shares(sizes: Mapping[int, int], count: int) -> dict[int, int]:
    """How many of the newest records are read of each partition: small ones whole, of the others alike many."""
    left, share = count, 1
    for place, size in enumerate(sorted(sizes.values())):
        share = max(1, -(-left // (len(sizes) - place)))
        left -= min(size, share)
    return {partition: min(size, count, share * OVERLAP) for partition, size in sizes.items()}


@dataclass(frozen=True, slots=True)
class TopicLook:
    """A topic: how many offsets it has (None: nobody says), and one of its newest records, if one was read."""

    topic: str
    held: int | None
    newest: Record | None = None


def look_at_topics(
    settings: Settings,
    cluster: Cluster,
    partitions: Mapping[str, int],
    read_at_most: int,
    maximum_ms: int = SAMPLE_MS,
    steady_clock: Clock = steady_clock_ms,
) -> list[TopicLook]:
    """How much each topic holds, and of so many of them a record. Raises KafkaUnavailableError."""
    keys = [(topic, partition) for topic, count in partitions.items() for partition in range(count)]
    with PartitionReader(settings, cluster, f"{settings.group_id}-look", note_ends=True) as reader:
        found, _ = reader.all_watermarks(keys)
        fullest: dict[str, tuple[int, int, int]] = {}
        held: dict[str, int] = {}
        for (topic, partition), (low, high) in found.items():
            held[topic] = held.get(topic, 0) + high - low
            fullest[topic] = max(fullest.get(topic, (0, 0, 0)), (high - low, partition, high))
        chosen = [(topic, *fullest[topic][1:]) for topic in sorted(held) if held[topic]][:read_at_most]
        newest = _one_of_each(reader, chosen, steady_clock, steady_clock() + maximum_ms)
    return [TopicLook(topic, held.get(topic), newest.get(topic)) for topic in sorted(partitions)]


def _one_of_each(
    reader: PartitionReader, chosen: list[tuple[str, int, int]], steady_clock: Clock, until_ms: int
) -> dict[str, Record]:
    for topic, partition, high in chosen:
        reader.assign(topic, partition, high - 1)
    found: dict[str, Record] = {}
    left = {topic for topic, _, _ in chosen}
    while left and steady_clock() < until_ms:
        records, gaps = reader.read(1000, POLL_S)
        found |= {each.position.topic: each for each in records}
        # A partition may end with a transaction's marker: then its last offset is no record.
        left -= found.keys() | {gap.topic for gap in gaps} | {topic for topic, _ in reader.at_end}
        left -= {name.rpartition("[")[0] for name in reader.unreadable}
    return found


def _read(
    reader: PartitionReader,
    topic: str,
    ends: Mapping[int, int],
    maximum_bytes: int,
    steady_clock: Clock,
    until_ms: int,
) -> tuple[list[Record], str]:
    found: list[Record] = []
    left, size, silent_since_ms = set(ends), 0, steady_clock()
    while left:
        records, gaps = reader.read(1000, POLL_S)
        found += [each for each in records if each.position.offset < ends[each.position.partition]]
        size += sum(len(each.value or b"") + len(each.key or b"") for each in records)
        if reader.unreadable:
            raise KafkaUnavailableError(in_one_line(reader.unreadable))
        left -= {gap.partition for gap in gaps} | _at_end(reader, topic, left, ends)
        now_ms = steady_clock()
        if size > maximum_bytes:
            return found, f"they are large: it ends after {size / 1e6:,.0f} MB"
        if now_ms > until_ms:
            return found, "reading took too long"
        silent_since_ms = now_ms if records else silent_since_ms
        if now_ms - silent_since_ms > ANSWER_S * 1000 and not found:
            raise KafkaUnavailableError(f"reading {topic}: {reader.trouble or 'no answer'}")
    return found, ""


def _at_end(reader: PartitionReader, topic: str, left: set[int], ends: Mapping[int, int]) -> set[int]:
    # Where records never stop coming, the library never says that a partition is at its end.
    return {
        partition
        for partition in left
        if (topic, partition) in reader.at_end or (reader.position(topic, partition) or 0) >= ends[partition]
    }
