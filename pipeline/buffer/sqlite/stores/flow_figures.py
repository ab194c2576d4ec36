"""The figures of each second and minute, by topic."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from pipeline.buffer.sqlite.bulk_insert import BulkInsert
from pipeline.buffer.sqlite.connection import WriterConnection
from pipeline.records import Currency

MINUTE_MS = 60_000
SECOND_MS = 1000
TOPIC_BYTES = 249
"""Kafka has no longer names: what is longer, or not there, names no topic."""
NO_TOPIC = ""
SOURCE = f"iif(length(CAST(source_topic AS BLOB)) <= {TOPIC_BYTES}, source_topic, '{NO_TOPIC}')"
"""The topic whose figures a row of dead_letters is in, as `source_of` says it."""


class FlowFigures(NamedTuple):
    """What happened in a topic."""

    topic: str
    orders: int = 0
    revenue_cents: int = 0
    retries: int = 0
    dead_letters: int = 0


def _added_up(table: str, column: str) -> BulkInsert:
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in FlowFigures._fields[1:])
    return BulkInsert(table, (column, *FlowFigures._fields), f"ON CONFLICT ({column}, topic) DO UPDATE SET {added}")


_LENGTHS = (
    (_added_up("flow_seconds", "second_ms"), SECOND_MS),
    (_added_up("flow_minutes", "minute_ms"), MINUTE_MS),
)


def currency_of(connection: sqlite3.Connection) -> Currency:
    """What all amounts are in."""
    return Currency(*connection.execute("SELECT currency, currency_digits FROM totals").fetchone())


def count_seconds_and_minutes(connection: sqlite3.Connection, now_ms: int, figures: Sequence[FlowFigures]) -> None:
    """Adds to the figures of this second and this minute, one for each topic."""
    for table, length_ms in _LENGTHS:
        table.insert(connection, [(now_ms - now_ms % length_ms, *each) for each in figures])


def source_of(source_topic: str | None) -> str:
    """The topic whose figures a dead letter is in."""
    return source_topic if source_topic and len(source_topic.encode()) <= TOPIC_BYTES else NO_TOPIC


class PartitionTopics:
    """The topic of each partition, by its reference: it never changes, so it is looked up once."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection
        self._known: dict[int, str] = {}

    def of(self, refs: Iterable[int]) -> Mapping[int, str]:
        """The topics of these partitions, and of others."""
        new = [ref for ref in refs if ref not in self._known]
        if new:
            self._known |= topics_of(self._connection, new)
        return self._known


def topics_of(connection: sqlite3.Connection, refs: Collection[int]) -> dict[int, str]:
    """The topic of each of these partitions; of one that somebody has deleted there is none, as `check` has it."""
    found = connection.execute(
        "SELECT partition_ref, topic FROM partitions JOIN topics USING (topic_ref) "
        "WHERE partition_ref IN (SELECT value FROM json_each(?))",
        (json.dumps(list(refs)),),
    )
    return dict.fromkeys(refs, NO_TOPIC) | dict(found.fetchall())
