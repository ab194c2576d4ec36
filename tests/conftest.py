"""The clusters that tests share: each started when the first test asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.local.cluster import KafkaCluster


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """One broker of Apache Kafka for the whole session (of each xdist worker); its tests use names of their own."""
    with KafkaCluster(tmp_path_factory.mktemp("apache") / "kafka") as kafka:
        yield kafka
