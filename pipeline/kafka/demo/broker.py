"""The demo cluster: librdkafka's own, inside one of our processes."""

from __future__ import annotations

import json
import logging
import os
import uuid
from pathlib import Path

from pipeline.kafka.cluster import BROKER_FILE, DEMO_IDS, Cluster
from pipeline.kafka.demo.mock_cluster import MockCluster

log = logging.getLogger(__name__)


DEMO_LIMITS = {
    "durability": "Holds records in memory only: ending it loses them, and a new one is another cluster.",
    "retention": (
        "Keeps the newest 5 MB (or 100,000 batches) of a partition; sample orders wait for the processor so that none "
        "is dropped unread."
    ),
    "topic_changes": (
        "Makes topics with 4 partitions on first use; topics cannot be made otherwise, changed, emptied or deleted."
    ),
    "cluster_tools": "Groups and brokers cannot be listed or described (ListGroups, DescribeCluster).",
    "topic_ids": "Tells no topic ids.",
    "offsets_by_time": "Finds no offsets by time.",
    "quick_returns": "Keeps a dead member's partitions until its session ends, though one of its name has come back.",
}
"""What the demo cluster cannot do (librdkafka's mock cluster), by name, in the words that the app shows."""


class DemoBroker:
    """librdkafka's cluster inside this process, reachable over TCP on a free port of 127.0.0.1.

    Its address and a name of its own stand in the data folder while it runs.
    """

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / BROKER_FILE
        self._mock = MockCluster()
        addresses = self._mock.bootstrap_servers
        self.cluster = Cluster(addresses, f"{DEMO_IDS}{uuid.uuid4().hex[:12]}")
        published = {"bootstrap_servers": addresses, "cluster_id": self.cluster.demo_id, "pid": os.getpid()}
        waiting = self._file.with_suffix(f".{os.getpid()}")
        waiting.write_text(json.dumps(published))
        waiting.replace(self._file)

    def close(self) -> None:
        """Ends the cluster and takes its address away, unless a newer one has put its own there."""
        try:
            if json.loads(self._file.read_text())["cluster_id"] == self.cluster.demo_id:
                self._file.unlink()
        except FileNotFoundError:
            log.debug("the address of the demo cluster was gone already")
        self._mock.close()
