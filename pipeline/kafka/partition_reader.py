"""Reads partitions that one names, outside of any group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from confluent_kafka import TopicPartition

from pipeline.errors import KafkaUnavailableError
from pipeline.kafka.cluster import Cluster
from pipeline.kafka.connection.client import ANSWER_S
from pipeline.kafka.messages import PartitionKey
from pipeline.kafka.reader import BeginAt, Reader
from pipeline.kafka.unreadable import in_one_line
from pipeline.kafka.watermarks import look_up_leaders
from pipeline.records import Record
from pipeline.settings import Settings

READ_UNDECIDED = {"isolation.level": "read_uncommitted"}


class PartitionReader(Reader):
    """Reads partitions that its owner names, outside of any group's assignment."""

    def assign(self, topic: str, partition: int, next_offset: int) -> None:
        """Reads one partition more."""
        self.assign_all(topic, {partition: next_offset})

    def assign_all(self, topic: str, next_offsets: Mapping[int, int]) -> None:
        """Reads more partitions of a topic. At once: each that comes later would wait for a fetch of the others."""
        # A topic that the client has not met is looked up a second later otherwise.
        look_up_leaders(self._consumer, topic)
        begun = [TopicPartition(topic, partition, offset) for partition, offset in next_offsets.items()]
        self._consumer.incremental_assign(begun)
        # They may have been paused when they were read before.
        self._fetch_again(begun)

    def take_on(self, keys: Iterable[PartitionKey], begin_at: BeginAt) -> None:
        """Reads more partitions, from where `begin_at` says. It is called here and, for those that nobody can say the
        offsets of now, inside `read`.
        """
        self._begin_late(dict.fromkeys(keys, begin_at))

    def drop(self, keys: Iterable[PartitionKey]) -> None:
        """Reads these no more."""
        dropped = set(keys)
        self._forget(dropped)
        self._consumer.incremental_unassign([TopicPartition(*key) for key in dropped & self._assigned_keys()])


def ends(settings: Settings, cluster: Cluster, topic: str, partitions: int) -> dict[int, int]:
    """The offset after the newest record of each partition. Raises KafkaUnavailableError when one is not known."""
    with PartitionReader(settings, cluster, f"{settings.group_id}-look") as reader:
        found = reader.known_watermarks(topic, range(partitions))
        return {partition: high for partition, (_, high) in found.items()}


def records_since(
    settings: Settings, cluster: Cluster, topic: str, offsets: Mapping[int, int], undecided: bool = False
) -> Iterator[Record]:
    """All records from the given offsets, or the oldest there are, up to where the partitions end, or a little more.

    They end before records of an undecided transaction, unless `undecided` ones are wanted; then those of aborted
    transactions come too. Raises KafkaUnavailableError when the broker is silent for 5 s before that.
    """
    group = f"{settings.group_id}-look"
    member = READ_UNDECIDED if undecided else None
    with PartitionReader(settings, cluster, group, member=member, note_ends=True) as reader:
        watermarks = reader.known_watermarks(topic, offsets)
        begins = {partition: max(low, offsets[partition]) for partition, (low, _) in watermarks.items()}
        left = {partition for partition, begin in begins.items() if begin < watermarks[partition][1]}
        reader.assign_all(topic, {partition: begins[partition] for partition in left})
        while left:
            records, gaps = reader.read(1000, ANSWER_S)
            yield from records
            if reader.unreadable:
                raise KafkaUnavailableError(in_one_line(reader.unreadable))
            for gap in gaps:
                reader.seek(topic, gap.partition, gap.low)
            # Where records never stop coming, the library never says that a partition is at its end.
            at_end = {
                partition
                for partition in left
                if (topic, partition) in reader.at_end
                or (reader.position(topic, partition) or 0) >= watermarks[partition][1]
            }
            left -= at_end
            if not records and not gaps and not at_end and not reader.heard:
                raise KafkaUnavailableError(f"reading {topic}: {reader.trouble or 'no answer'}")
