"""A buffer as it was before what repeats was stored once: layout 10, with the rows of a buffer of the newest layout."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from json.encoder import encode_basestring as quoted
from pathlib import Path

from pipeline.buffer.sqlite.stored_once.storing import STACK_MARKER
from tests.support.layout_dump import layout_file, load

LAYOUT = 10
SHORTEST = 200
"""Characters of a stack trace from which on layout 10 stored it once."""


def as_layout_10(newest: Path, older: Path) -> None:
    """Makes `older` with all rows of `newest`, whose dead letters are whole in theirs."""
    load(layout_file(LAYOUT).read_text(), older)
    with closing(sqlite3.connect(older, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(f"ATTACH '{newest}' AS newest")
        connection.execute("BEGIN")
        sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_stat%'"
        tables = [name for (name,) in connection.execute(sql)]
        # Triggers would count what counts are copied of.
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for table in tables:
            connection.execute(f"DELETE FROM main.{table}")
            columns = ", ".join(f'"{row[1]}"' for row in connection.execute(f"PRAGMA main.table_info({table})"))
            if table == "stacktraces":
                continue
            source = "dead_letters" if table == "dead_letter_rows" else table
            columns_there = columns.replace('"stack_ref"', "NULL")
            connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns_there} FROM newest.{source}")
        connection.execute("UPDATE dead_letter_rows SET failure_id = NULL WHERE failure_id = dead_letter_id")
        _store_stacks(connection)
        for _, trigger in triggers:
            connection.execute(trigger)
        connection.execute("COMMIT")


def _store_stacks(connection: sqlite3.Connection) -> None:
    found = connection.execute("SELECT id, headers, stacktrace FROM dead_letter_rows WHERE stacktrace IS NOT NULL")
    for identifier, headers, stack in found.fetchall():
        if len(stack) < SHORTEST or "\0" in stack:
            continue
        digest = hashlib.blake2b(stack.encode(), digest_size=16).digest()
        (stack_ref,) = connection.execute(
            "INSERT INTO stacktraces (digest, stacktrace, dead_letters) VALUES (?, ?, 1) "
            "ON CONFLICT (digest) DO UPDATE SET dead_letters = dead_letters + 1 RETURNING stack_ref",
            (digest, stack),
        ).fetchone()
        connection.execute(
            "UPDATE dead_letter_rows SET headers = ?, stacktrace = NULL, stack_ref = ? WHERE id = ?",
            (headers.replace(quoted(stack), STACK_MARKER), stack_ref, identifier),
        )
