"""Looks again at records that were read before: where a cluster tells no topic ids, they say which topic this is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pipeline.clock import Clock, Wait, pause, steady_clock_ms
from pipeline.errors import KafkaUnavailableError
from pipeline.kafka.cluster import Cluster
from pipeline.kafka.connection.client import ANSWER_S
from pipeline.kafka.reader import PartitionReader
from pipeline.records import LastRead
from pipeline.settings import Settings

POLL_S = 0.1
FEW_BYTES = 1
"""A broker sends one batch of records all the same, and nothing beyond it is wanted."""


class Found(NamedTuple):
    """What a partition holds: `low` up to before `high`, and the record at the offset that was asked for, if any."""

    low: int
    high: int
    record: LastRead | None


class ContentView:
    """Reads single records, by a consumer of its own that is no member of the group."""

    def __init__(
        self, settings: Settings, cluster: Cluster, wait: Wait = pause, steady_clock: Clock = steady_clock_ms
    ) -> None:
        config = {**settings.kafka_config, "max.partition.fetch.bytes": FEW_BYTES}
        small = settings.model_copy(update={"kafka_config": config})
        self._reader = PartitionReader(small, cluster, f"{settings.group_id}-look", wait, note_ends=True)
        self._clock = steady_clock

    def look(self, topic: str, offsets: Mapping[int, int | None]) -> dict[int, Found]:
        """Each of these partitions, with the record at its offset; None asks for none.

        Raises KafkaUnavailableError, also where a partition gives no answer within 4 s.
        """
        found = {partition: Found(*self._reader.watermarks(topic, partition), None) for partition in offsets}
        wanted = {
            partition: offset
            for partition, offset in offsets.items()
            if offset is not None and found[partition].low <= offset < found[partition].high
        }
        for partition, record in self._read(topic, wanted).items():
            found[partition] = found[partition]._replace(record=record)
        return found

    def _read(self, topic: str, wanted: Mapping[int, int]) -> dict[int, LastRead]:
        self._reader.at_end.clear()
        for partition, offset in wanted.items():
            self._reader.assign(topic, partition, offset)
        try:
            return self._first_of_each(topic, wanted)
        finally:
            for partition in wanted:
                self._reader.unassign(topic, partition)

    def _first_of_each(self, topic: str, wanted: Mapping[int, int]) -> dict[int, LastRead]:
        records: dict[int, LastRead] = {}
        waiting, until_ms = set(wanted), self._clock() + int(ANSWER_S * 1000)
        while waiting:
            if self._clock() > until_ms:
                raise KafkaUnavailableError(f"reading {topic}: {self._reader.trouble or 'no answer'}")
            read, gaps = self._reader.read(1000, POLL_S)
            for record in read:
                partition, offset = record.position.partition, record.position.offset
                # What comes first may be a later one, where this one was compacted away.
                if partition in waiting and offset == wanted[partition]:
                    records[partition] = LastRead.of(offset, record.timestamp_ms, record.key, record.value)
                waiting.discard(partition)
            waiting -= {gap.partition for gap in gaps} | {partition for _, partition in self._reader.at_end}
        return records

    def close(self) -> None:
        """Leaves Kafka."""
        self._reader.close()
