"""Looks again at records that were read before: where a cluster tells no topic ids, they say which topic this is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pipeline.clock import Clock, Wait, pause, steady_clock_ms
from pipeline.kafka.cluster import Cluster
from pipeline.kafka.connection.client import ANSWER_S
from pipeline.kafka.partition_reader import PartitionReader
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

    def look(self, topic: str, offsets: Mapping[int, int | None]) -> tuple[dict[int, Found], dict[int, str]]:
        """Each of these partitions, with the record at its offset; None asks for none.

        Of those that give no answer, also within 4 s of being read, why they do not. Raises KafkaUnavailableError.
        """
        answers, missing = self._reader.all_watermarks((topic, partition) for partition in offsets)
        found = {partition: Found(*low_high, None) for (_, partition), low_high in answers.items()}
        wanted = {
            partition: offset
            for partition, there in found.items()
            if (offset := offsets[partition]) is not None and there.low <= offset < there.high
        }
        records, unread = self._read(topic, wanted)
        for partition, record in records.items():
            found[partition] = found[partition]._replace(record=record)
        unanswered = {partition: why for (_, partition), why in missing.items()} | unread
        return {partition: there for partition, there in found.items() if partition not in unread}, unanswered

    def _read(self, topic: str, wanted: Mapping[int, int]) -> tuple[dict[int, LastRead], dict[int, str]]:
        self._reader.at_end.clear()
        for partition, offset in wanted.items():
            self._reader.assign(topic, partition, offset)
        try:
            return self._first_of_each(topic, wanted)
        finally:
            self._reader.drop((topic, partition) for partition in wanted)

    def _first_of_each(self, topic: str, wanted: Mapping[int, int]) -> tuple[dict[int, LastRead], dict[int, str]]:
        records: dict[int, LastRead] = {}
        waiting, until_ms = set(wanted), self._clock() + int(ANSWER_S * 1000)
        while waiting and self._clock() <= until_ms:
            read, gaps = self._reader.read(1000, POLL_S)
            for record in read:
                partition, offset = record.position.partition, record.position.offset
                # What comes first may be a later one, where this one was compacted away.
                if partition in waiting and offset == wanted[partition]:
                    records[partition] = LastRead.of(offset, record.timestamp_ms, record.key, record.value)
                waiting.discard(partition)
            waiting -= {gap.partition for gap in gaps} | {partition for _, partition in self._reader.at_end}
        unread = self._reader.unreadable
        reason = self._reader.trouble or "no answer"
        return records, {each: f"reading: {unread.get(f'{topic}[{each}]', reason)}" for each in waiting}

    def close(self) -> None:
        """Leaves Kafka."""
        self._reader.close()
