"""What makes a consumer a member of the processors' group, by either of Kafka's two protocols for groups."""

from __future__ import annotations

from typing import Any

from pipeline.errors import SettingsError
from pipeline.kafka.cluster import Cluster
from pipeline.settings import Settings, variable_of

SESSION_MS = 10_000
BROKERS_SESSION_MS = 45_000
"""How long a broker waits for a silent member by default, where the protocol leaves it to the broker."""
MEMBERS_ONLY = ("group.protocol", "group.remote.assignor")
"""Properties that a reader which is no member has no use for."""


def brokers_assign(settings: Settings) -> bool:
    """Whether the brokers deal out partitions (KIP-848, `group.protocol=consumer`), and not a member of the group."""
    return str(settings.kafka_config.get("group.protocol", "")).lower() == "consumer"


def membership(settings: Settings, cluster: Cluster, instance_id: str) -> dict[str, Any]:
    """The properties of a member beyond those of every reader. Raises SettingsError."""
    if brokers_assign(settings):
        # Session and heartbeat are the broker's there. No static id: while a dead member's session lasts, a newcomer
        # with its id is refused for good, where the classic protocol lets it take over.
        return {}
    return {
        "partition.assignment.strategy": "cooperative-sticky",
        "group.instance.id": instance_id,
        **_session(settings, cluster),
    }


def session_ms(settings: Settings, cluster: Cluster) -> int | None:
    """How long Kafka waits for a member that says nothing before it deals out its partitions; None: a broker knows."""
    return None if brokers_assign(settings) else int(_session(settings, cluster)["session.timeout.ms"])


def _session(settings: Settings, cluster: Cluster) -> dict[str, int]:
    if cluster.demo_id:
        # Because of its limit `quick_returns`, its sessions have to be short.
        return {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500}
    # A member that is gone for good keeps its partitions so long; one that comes back meanwhile moves none.
    session = _milliseconds(settings, "session.timeout.ms", SESSION_MS)
    heartbeat = _milliseconds(settings, "heartbeat.interval.ms", 0)
    if heartbeat >= session:
        raise SettingsError(
            f"{variable_of('kafka_config')}: heartbeat.interval.ms ({heartbeat}) must be below session.timeout.ms "
            f"({session}), at a third of it or less"
        )
    return {"session.timeout.ms": session}


def _milliseconds(settings: Settings, name: str, default: int) -> int:
    value = settings.kafka_config.get(name, default)
    try:
        return int(str(value), 0)
    except ValueError:
        raise SettingsError(f"{variable_of('kafka_config')}: {name} must be a whole number of milliseconds") from None
