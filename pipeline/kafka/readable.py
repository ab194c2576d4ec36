"""Up to where partitions can be read: what an undecided transaction holds back is no record yet."""

from __future__ import annotations

import json

from pipeline.kafka.messages import PartitionKey


class ReadableEnds:
    """The ends that a consumer of committed records can reach, from the client library's statistics.

    A fetch tells where the log ends. Records of an open transaction, and all after the first of them, are not given to
    anybody before it is committed or aborted.
    """

    def __init__(self) -> None:
        self._statistics = ""
        self._ends: dict[PartitionKey, tuple[int, int]] = {}

    def on_stats(self, statistics: str) -> None:
        """Takes the newest statistics; they are parsed when somebody asks."""
        self._statistics = statistics

    def up_to(self, key: PartitionKey, end: int) -> int:
        """The offset up to which a partition that ends at `end` can be read."""
        if self._statistics:
            self._ends, self._statistics = _ends(self._statistics), ""
        # The two are of one fetch. Once the log goes on, what was undecided may be decided.
        known_end, stable = self._ends.get(key, (-1, -1))
        return stable if known_end == end and 0 <= stable < end else end


def _ends(statistics: str) -> dict[PartitionKey, tuple[int, int]]:
    topics = json.loads(statistics).get("topics", {})
    return {
        (topic, each["partition"]): (each["hi_offset"], each["ls_offset"])
        for topic, described in topics.items()
        for each in described["partitions"].values()
    }
