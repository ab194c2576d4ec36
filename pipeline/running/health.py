"""Whether a role is well, as a container's health check asks it."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import UnhealthyError
from pipeline.running.statusboard import RoleStatus, host_name, read_roles

SILENT_AFTER_MS = 30_000
"""Longer than on the pages: a role that waits speaks once an attempt, and an attempt may take Kafka's time limits."""


def raise_unless_well(data_dir: Path, role: str, instance: int | None, now_ms: int) -> None:
    """Raises UnhealthyError, with one line, unless the role is well.

    Without `instance` it asks for all of this host, which in a container is the one process that runs there.
    """
    asked = [status for status in read_roles(data_dir) if status.role == role and _meant(status, instance)]
    if not asked:
        wanted = f"{role} runs on this host" if instance is None else f"{role}-{instance} ever ran"
        raise UnhealthyError(f"no {wanted}, by what {data_dir} says")
    problems = [problem for status in asked if (problem := problem_of(status, now_ms))]
    if problems:
        raise UnhealthyError("; ".join(problems))


def problem_of(status: RoleStatus, now_ms: int) -> str:
    """What is wrong with a role; empty when it is well.

    A role that waits (for Kafka, the registry, the buffer's lock) is well: it lives, says what it waits for, and goes
    on by itself. Restarting it would not bring back what it waits for.
    """
    name = f"{status.role}-{status.instance}"
    silent_ms = now_ms - status.heartbeat_at_ms
    if status.state == "stopped":
        return f"{name} has stopped"
    if status.state == "failing":
        return f"{name} is failing: {status.detail}"
    if silent_ms > SILENT_AFTER_MS:
        return f"{name} has been silent for {silent_ms // 1000} s"
    return ""


def _meant(status: RoleStatus, instance: int | None) -> bool:
    if instance is not None:
        return status.instance == instance
    # What has stopped in order is not there any more: `up` had more of them once, or somebody tried one by hand.
    return status.host == host_name() and status.state != "stopped"
