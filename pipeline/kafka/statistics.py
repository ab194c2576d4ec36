"""What the client library's statistics say of the partitions that are read, and of the group."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from pipeline.kafka.connection.client import AT_WORK
from pipeline.kafka.messages import PartitionKey


class _Partition(NamedTuple):
    end: int
    stable: int
    leaderless: bool


_UNKNOWN = _Partition(-1, -1, leaderless=False)


class PartitionStatistics:
    """The newest statistics; they are parsed when somebody asks."""

    def __init__(self) -> None:
        self._statistics = ""
        self._partitions: dict[PartitionKey, _Partition] = {}
        self._join_state = ""

    def on_stats(self, statistics: str) -> None:
        """Takes them from the library."""
        self._statistics = statistics

    def readable_up_to(self, key: PartitionKey, end: int) -> int:
        """The offset up to which a consumer of committed records can read a partition that ends at `end`.

        A fetch tells where the log ends. Records of an open transaction, and all after the first of them, are not given
        to anybody before it is committed or aborted.
        """
        # The two are of one fetch. Once the log goes on, what was undecided may be decided.
        known_end, stable, _ = self._parsed().get(key, _UNKNOWN)
        return stable if known_end == end and 0 <= stable < end else end

    @property
    def leaderless(self) -> list[PartitionKey]:
        """Partitions that no broker leads. Of a cluster that is away as a whole nothing is known."""
        return [key for key, partition in self._parsed().items() if partition.leaderless]

    @property
    def join_state(self) -> str:
        """How far a member of a group is with joining it, in the library's words; empty before the first statistics."""
        self._parsed()
        return self._join_state

    def _parsed(self) -> dict[PartitionKey, _Partition]:
        if self._statistics:
            found, self._statistics = json.loads(self._statistics), ""
            self._partitions, self._join_state = _partitions(found), found["cgrp"]["join_state"]
        return self._partitions


def _partitions(found: dict[str, Any]) -> dict[PartitionKey, _Partition]:
    any_at_work = any(broker["state"] in AT_WORK for broker in found["brokers"].values() if broker["nodeid"] >= 0)
    return {
        (topic, each["partition"]): _Partition(
            each["hi_offset"],
            each["ls_offset"],
            # Of a topic that no broker has described yet, the library does not know the leaders.
            any_at_work and described["metadata_age"] > 0 and each["desired"] and each["leader"] < 0,
        )
        for topic, described in found["topics"].items()
        for each in described["partitions"].values()
    }
