"""What can be exported: the entities of the buffer and the columns of their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Entity = Literal[
    "orders", "dead_letters", "groups", "jobs", "job_items", "parked", "alerts", "events", "partitions", "products"
]
ColumnType = Literal["integer", "real", "text", "json", "bytes"]
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an export. Every type may be NULL; `json` is text that holds JSON."""

    name: str
    type: ColumnType
