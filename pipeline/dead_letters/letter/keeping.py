"""How long Kafka still keeps a record, from what its topic says now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.kafka import TopicKeeping

KeptState = Literal["until", "for ever", "compacted", "gone", "not known"]


@dataclass(frozen=True, slots=True)
class Kept:
    """How long a record is kept.

    - `until`: about `until_ms`, when its segment has grown that old; `until_ms` may have passed.
    - `compacted`: until a newer one of its key replaces it, and with an `until_ms` not longer than that.
    - `gone`: Kafka has it no more, and `why`.
    - `not known`: and `why`.
    """

    state: KeptState
    until_ms: int | None = None
    most_bytes: int | None = None
    """It goes earlier where its partition grows beyond that."""
    why: str = ""


def how_long_kept(
    offset: int, low: int, high: int, timestamp_ms: int | None, keeping: TopicKeeping | None, unknown: str = ""
) -> Kept:
    """How long the record at an offset is kept, of a partition that holds `low` up to before `high`.

    `timestamp_ms` is the record's; `keeping` None: it is not known, and `unknown` says why.
    """
    if offset < low:
        return Kept("gone", why=f"Kafka keeps records from offset {low} on")
    if offset >= high:
        return Kept("gone", why=f"the partition ends before offset {high}")
    if keeping is None:
        return Kept("not known", why=unknown)
    until_ms = None
    if keeping.retention_ms is not None:
        if timestamp_ms is None or timestamp_ms < 0:
            return Kept("not known", most_bytes=keeping.retention_bytes, why="its time is not known")
        until_ms = timestamp_ms + keeping.retention_ms
    if keeping.compacts:
        return Kept("compacted", until_ms, keeping.retention_bytes)
    if until_ms is None and keeping.retention_bytes is None:
        return Kept("for ever")
    return Kept("until", until_ms, keeping.retention_bytes)
