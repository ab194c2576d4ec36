"""What a pipeline under test depends on, where it can be hurt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.local.cluster import KafkaCluster
from tests.support.running_pipeline import RunningPipeline
from tests.support.small_disk import SmallDisk
from tests.support.tcp_proxy import TcpProxy
from tests.support.wall_clock import WallClock

OWN_DEAD_LETTERS, DEAD_LETTERS_OF_OTHERS = "orders-dlq", "payments-dlq"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a pipeline under test depends on, where it can be hurt."""

    pipeline: RunningPipeline
    kafka: KafkaCluster
    proxies: Sequence[TcpProxy]
    disk: SmallDisk
    rules: Path
    schemas: Path
    clock: WallClock
