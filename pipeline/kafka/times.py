"""Which offsets come first at or after a time."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from confluent_kafka import TopicPartition

from pipeline.errors import KafkaUnavailableError
from pipeline.kafka.cluster import Cluster
from pipeline.kafka.connection.client import ANSWER_S, answered, retry_until_known
from pipeline.kafka.connection.refusals import Asked
from pipeline.kafka.partition_reader import PartitionReader, records_since
from pipeline.settings import Settings


class _TimesReader(PartitionReader):
    def offsets_at(self, topic: str, partitions: Iterable[int], at_ms: int) -> dict[int, int]:
        """The first offset of each partition whose record is of `at_ms` or later; -1 where there is none."""
        wanted = [TopicPartition(topic, partition, at_ms) for partition in partitions]
        doing = f"looking for the records of {topic} by their time"
        ask = partial(self._consumer.offsets_for_times, wanted, timeout=ANSWER_S)
        found = answered(doing, partial(retry_until_known, ask, self._wait), asked=Asked("Describe", topic))
        for each in found:
            if each.error is not None:
                # Its offset would look like that of a partition without such a record.
                raise KafkaUnavailableError(f"{doing}: {topic}[{each.partition}]: {each.error}")
        return {each.partition: each.offset for each in found}


def watermarks_of(settings: Settings, cluster: Cluster, topic: str, partitions: int) -> dict[int, tuple[int, int]]:
    """The oldest offset that there is of each partition, and the one after the newest. Raises KafkaUnavailableError."""
    with PartitionReader(settings, cluster, f"{settings.group_id}-look") as reader:
        return dict(reader.known_watermarks(topic, range(partitions)))


def offsets_since(settings: Settings, cluster: Cluster, topic: str, partitions: int, at_ms: int) -> dict[int, int]:
    """The first offset of each partition whose record is of `at_ms` or later, its end where there is none.

    The demo cluster finds no offsets by time: there all records are read. Raises KafkaUnavailableError.
    """
    watermarks = watermarks_of(settings, cluster, topic, partitions)
    if cluster.demo_id:
        return _search(settings, cluster, topic, watermarks, at_ms)
    with _TimesReader(settings, cluster, f"{settings.group_id}-look") as reader:
        found = reader.offsets_at(topic, watermarks, at_ms)
    ends = {partition: high for partition, (_, high) in watermarks.items()}
    return ends | {partition: offset for partition, offset in found.items() if offset >= 0}


def _search(
    settings: Settings, cluster: Cluster, topic: str, watermarks: dict[int, tuple[int, int]], at_ms: int
) -> dict[int, int]:
    offsets = {partition: high for partition, (_, high) in watermarks.items()}
    lows = {partition: low for partition, (low, _) in watermarks.items()}
    for record in records_since(settings, cluster, topic, lows):
        partition, offset = record.position.partition, record.position.offset
        if record.timestamp_ms >= at_ms:
            offsets[partition] = min(offsets[partition], offset)
    return offsets
