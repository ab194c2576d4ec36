"""A buffer of a million dead letters within a minute: some are collected as always, and their rows are multiplied.

Of each dead letter that was collected there are so many, one after another in the order of the ids, of other customers
and each some minutes older: the customer is another one in key, value, reason, headers and stack trace. Sources and
trace ids are those of the one that was collected, and all were received when that was. Every figure is what `check`
counts. Measurements of search and of space are not made with it: there would be less that differs.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from bench.letters import LetterLoad, fill_buffer
from pipeline.buffer import open_buffer
from pipeline.buffer.group_contract import HOUR_MS
from pipeline.buffer.sqlite.groups.hours import HOUR_OF

_FIGURES = {
    "totals": ("dead_letters",),
    "flow_seconds": ("dead_letters",),
    "flow_minutes": ("dead_letters",),
    "failure_seconds": ("dead_letters",),
    "dead_letter_sources": ("dead_letters",),
    "dead_letter_counts": ("dead_letters",),
    "dead_letter_groups": ("total", "open"),
    "stacktraces": ("dead_letters",),
    "header_sets": ("dead_letters",),
    "dead_letter_kinds": ("dead_letters",),
    "partitions": ("next_offset",),
    "jobs": ("done", "failed", "total"),
}
"""What there is `times` as much of afterwards, by table."""
_TIMES = ("failed_at_ms", "first_failed_at_ms", "timestamp_ms", "source_timestamp_ms")
_SPREAD_MS = 8 * HOUR_MS
"""Over so long those that were made of one failed: at once they would be more than is usual."""
_CHANGED = {
    "id": "id - copy",
    "record_id": "record_id - copy",
    "dead_letter_id": "randomblob(16)",
    "key": "CAST(customer AS BLOB)",
    "customer_id": "iif(customer_id IS NULL, NULL, customer)",
    "value": "CAST(replace(CAST(value AS TEXT), CAST(key AS TEXT), customer) AS BLOB)",
    **{name: f"{name} - copy * :apart_ms" for name in _TIMES},
    **{name: f"replace({name}, CAST(key AS TEXT), customer)" for name in ("reason", "headers", "stacktrace")},
}
"""What is another one in a copy of a row."""
_CUSTOMER = "printf('C%05d', (CAST(substr(CAST(key AS TEXT), 2) AS INTEGER) + copy * 7919) % 100000)"


def fill_with_many(file: Path, load: LetterLoad, times: int) -> None:
    """Collects the load, which is discarded and replayed in part, and has `times` as many of each of its dead letters.

    Blocks of dead letters are written as upkeep writes them; the text index is left to the worker.
    """
    fill_buffer(file, load)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        _multiply(connection, times)
    with open_buffer(file) as buffer:
        while buffer.upkeep.note_for_search():
            pass


def _multiply(connection: sqlite3.Connection, times: int) -> None:
    # Nobody else has this file, and it is thrown away if this ends early.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -200000")
    columns = [name for _, name, *_ in connection.execute("PRAGMA table_info (dead_letter_rows)")]
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'dead_letter_rows' AND type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    numbers = f"SELECT 1 UNION ALL SELECT copy + 1 FROM copies WHERE copy < {times - 1}"
    copies = f"WITH RECURSIVE copies (copy) AS ({numbers})"
    connection.execute("BEGIN")
    # Each makes room for its copies before it. Below zero no two of them meet on the way.
    for table, column in (("dead_letter_rows", "id"), ("job_items", "dead_letter_id")):
        connection.execute(f"UPDATE {table} SET {column} = -{column} * {times}")
        connection.execute(f"UPDATE {table} SET {column} = -{column}")
    spread = f"(record_id >> 40 << 40) + (record_id & (1 << 40) - 1) * {times} + {times - 1}"
    connection.execute(f"UPDATE dead_letter_rows SET record_id = -({spread})")
    connection.execute("UPDATE dead_letter_rows SET record_id = -record_id")
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.execute(
        f"{copies} INSERT INTO dead_letter_rows ({', '.join(map(_quoted, columns))}) "
        f"SELECT {', '.join(_CHANGED.get(name, _quoted(name)) for name in columns)} "
        f"FROM (SELECT *, {_CUSTOMER} AS customer FROM "
        "(SELECT * FROM dead_letter_rows ORDER BY id) CROSS JOIN (SELECT copy FROM copies ORDER BY copy DESC))",
        {"apart_ms": _SPREAD_MS // times},
    )
    for _, sql in indexes:
        connection.execute(sql)
    items = [name for _, name, *_ in connection.execute("PRAGMA table_info (job_items)")]
    others = {"dead_letter_id": "dead_letter_id - copy", "replay_id": "replay_id || '-' || copy"}
    connection.execute(
        f"{copies} INSERT INTO job_items ({', '.join(map(_quoted, items))}) "
        f"SELECT {', '.join(others.get(name, _quoted(name)) for name in items)} FROM job_items CROSS JOIN copies"
    )
    for table, figures in _FIGURES.items():
        connection.execute(f"UPDATE {table} SET {', '.join(f'{name} = {name} * {times}' for name in figures)}")
    connection.execute("DELETE FROM group_hours")
    connection.execute(
        "INSERT INTO group_hours (fingerprint, hour_ms, dead_letters) "
        f"SELECT fingerprint, {HOUR_OF}, count(*) FROM dead_letter_rows GROUP BY 1, 2"
    )
    connection.execute(
        "UPDATE dead_letter_groups SET first_seen_ms = (SELECT min(failed_at_ms) FROM dead_letter_rows AS its "
        "WHERE its.fingerprint = dead_letter_groups.fingerprint)"
    )
    connection.execute(
        "UPDATE sqlite_sequence SET seq = (SELECT max(id) FROM dead_letter_rows) WHERE name = 'dead_letter_rows'"
    )
    # Of where the rows were before.
    connection.execute("DELETE FROM dead_letter_block_changes")
    connection.execute("COMMIT")


def _quoted(name: str) -> str:
    return f'"{name}"'
