"""Where Kafka is."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pipeline.errors import KafkaUnavailableError
from pipeline.settings import Settings

BROKER_FILE = "broker.json"
DEMO_IDS = "demo-"
"""How the names of demo clusters begin; no id of a real cluster does."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where Kafka is. `demo_id` is the demo cluster's own name, empty on a real cluster."""

    bootstrap_servers: str
    demo_id: str = ""


def find_cluster(settings: Settings) -> Cluster:
    """The cluster to work with. Raises KafkaUnavailableError while the demo cluster is not running."""
    if not settings.demo:
        return Cluster(settings.bootstrap_servers)
    try:
        published = json.loads((settings.data_dir / BROKER_FILE).read_text())
        return Cluster(published["bootstrap_servers"], published["cluster_id"])
    except (OSError, ValueError, KeyError) as error:
        raise KafkaUnavailableError("the demo cluster is not running (its role is `broker`)") from error
