"""Whole filtered sets for exports: streamed in chunks from one consistent snapshot, without a time limit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pipeline.buffer.entities import DEAD_LETTER_ORDER_COLUMNS, ORDER_COLUMNS, Column, ColumnType, Entity, Row
from pipeline.buffer.filters import DeadLetterFilter, JobItemFilter, OrderFilter, RowFilter
from pipeline.buffer.sqlite.conditions import condition_of
from pipeline.buffer.sqlite.connection import connect_reader, snapshot, translated_errors
from pipeline.buffer.sqlite.search.conditions import Arguments
from pipeline.buffer.sqlite.search.find import by_ids
from pipeline.errors import UsageError

CHUNK_ROWS = 5000
CHUNK_BYTES = 4_000_000
"""A chunk ends here too: values of a megabyte each would make 5,000 rows too many."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Where an entity's rows come from. `order` is served by an index, so that nothing is sorted in memory."""

    table: str
    order: str
    columns: tuple[Column, ...]
    filter: type[RowFilter] | None = None


def stream(
    path: Path, entity: Entity, which: RowFilter | None, max_rows: int | None, chunk_rows: int = CHUNK_ROWS
) -> Iterator[list[Row]]:
    """Rows of an entity in chunks, as they were when the first chunk was read; newest first where rows have a time.

    A row has the columns of `columns_of(entity)`. Raises UsageError when the filter is another entity's, and
    BufferUnavailableError or BufferCorruptError when the buffer cannot be read.
    """
    source = _SOURCES[entity]
    _check(entity, source, which)
    names = ", ".join(f'"{column.name}"' for column in source.columns)
    # A connection of its own: the pages' shared one must not wait for a big export. While the snapshot lasts the
    # write-ahead log cannot be reset, but nobody has to wait for it.
    with translated_errors(path), closing(connect_reader(path)) as connection, snapshot(connection):
        where, arguments = _condition(connection, which)
        sql = f"SELECT {names} FROM {source.table} WHERE {where} ORDER BY {source.order} LIMIT :max_rows"
        arguments["max_rows"] = -1 if max_rows is None else max_rows
        yield from _chunks(connection.execute(sql, arguments), chunk_rows)


def columns_of(entity: Entity) -> tuple[Column, ...]:
    """The columns of an entity's rows, in order."""
    return _SOURCES[entity].columns


def _check(entity: Entity, source: _Source, which: RowFilter | None) -> None:
    if which is not None and (source.filter is None or not isinstance(which, source.filter)):
        raise UsageError(f"{type(which).__name__} does not filter {entity}")


def _condition(connection: sqlite3.Connection, which: RowFilter | None) -> tuple[str, Arguments]:
    if which is None:
        return "TRUE", {}
    if isinstance(which, DeadLetterFilter) and which.query.parts:
        return by_ids(connection, which)
    return condition_of(which)


def _chunks(rows: sqlite3.Cursor, chunk_rows: int) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += sum(len(cell) for cell in row if isinstance(cell, (str, bytes)))
        if len(chunk) >= chunk_rows or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _declared(text: str) -> tuple[Column, ...]:
    """One column a word, `name:type`; text where no type is said."""
    columns = []
    for word in text.split():
        name, _, kind = word.partition(":")
        columns.append(Column(name, _TYPES[kind]))
    return tuple(columns)


_TYPES: dict[str, ColumnType] = {"": "text", "int": "integer", "real": "real", "json": "json", "bytes": "bytes"}
_SOURCES: dict[Entity, _Source] = {
    "orders": _Source(
        "orders",
        "created_at_ms DESC, record_id DESC",
        (
            *_declared("topic partition:int offset:int"),
            *ORDER_COLUMNS,
            *_declared("processed_at_ms:int attempts:int"),
        ),
        OrderFilter,
    ),
    "dead_letters": _Source(
        "dead_letters",
        "id DESC",
        (
            *_declared(
                "id:int topic partition:int offset:int source_topic source_partition:int source_offset:int "
                "source_timestamp_ms:int key:bytes value:bytes headers:json"
            ),
            *DEAD_LETTER_ORDER_COLUMNS,
            *_declared(
                "error_class reason stacktrace rule stage consumer_group attempts:int dialect fingerprint "
                "timestamp_ms:int first_failed_at_ms:int failed_at_ms:int received_at_ms:int status status_at_ms:int "
                "replay_of:int replays:int dead_letter_id failed_at_known:int concluded:int"
            ),
        ),
        DeadLetterFilter,
    ),
    "groups": _Source(
        "(SELECT * FROM dead_letter_groups WHERE total > 0)",
        "last_seen_ms DESC",
        _declared(
            "fingerprint title error_class source_topic total:int open:int first_seen_ms:int last_seen_ms:int "
            "fingerprint_version:int new_since_ms:int"
        ),
    ),
    "jobs": _Source(
        "jobs",
        "id DESC",
        _declared(
            "id:int kind state params:json requested_by created_at_ms:int started_at_ms:int finished_at_ms:int "
            "done:int failed:int total:int error"
        ),
    ),
    "job_items": _Source(
        "job_items",
        "job_id, dead_letter_id",
        _declared("job_id:int dead_letter_id:int state topic partition:int offset:int replay_id error"),
        JobItemFilter,
    ),
    "parked": _Source(
        '(SELECT topic, partition, record_id & 1099511627775 AS "offset", timestamp_ms, key, value, headers, attempts, '
        "due_at_ms, first_failed_at_ms, error_class, reason, record_id FROM retries "
        "JOIN partitions ON partition_ref = record_id >> 40 JOIN topics USING (topic_ref))",
        "record_id",
        _declared(
            "topic partition:int offset:int timestamp_ms:int key:bytes value:bytes headers:json attempts:int "
            "due_at_ms:int first_failed_at_ms:int error_class reason"
        ),
    ),
    "alerts": _Source(
        "alerts",
        "id DESC",
        _declared("id:int rule state started_at_ms:int ended_at_ms:int value:real threshold:real message notice"),
    ),
    "events": _Source("events", "id DESC", _declared("id:int at_ms:int role level message")),
    "partitions": _Source(
        "(SELECT * FROM partitions JOIN topics USING (topic_ref))",
        "role, topic, partition, partition_ref",
        _declared("role topic partition:int next_offset:int cluster_id topic_id first_seen_ms:int"),
    ),
    "products": _Source(
        "(SELECT product, sum(orders) AS orders, sum(revenue_cents) AS revenue_cents "
        "FROM product_totals JOIN products USING (product_ref) GROUP BY product_ref)",
        "revenue_cents DESC",
        _declared("product orders:int revenue_cents:int"),
    ),
}
