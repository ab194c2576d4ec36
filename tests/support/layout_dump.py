"""A buffer of this version as SQL text, to be kept for later versions to walk on from.

`python -m tests.support.layout_dump` writes the newest version's file. One that is there is never written again: a
change of layout is a step in pipeline/buffer/sqlite/migrations, which makes a new version.
"""

from __future__ import annotations

import re
import sqlite3
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from itertools import filterfalse
from pathlib import Path

from pipeline.buffer import Buffer, open_buffer, record_id
from pipeline.buffer.sqlite.connection import APPLICATION_ID, LAYOUT_VERSION
from tests.support.buffer_rows import (
    NOW_MS,
    ORDERS,
    accept,
    batch,
    collect,
    collector,
    dead_letter,
    outbox_row,
    processor,
)
from tests.support.sample_buffer import fill

LAYOUTS = Path(__file__).parent.parent / "contract" / "buffer" / "layouts"


def layout_file(version: int) -> Path:
    """Where a version's buffer is kept."""
    return LAYOUTS / f"{version:04}.sql"


def dump(path: Path) -> str:
    """All of a buffer as SQL."""
    with closing(sqlite3.connect(path)) as connection:
        lines = "\n".join(filterfalse(_is_no_row, connection.iterdump()))
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    return f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {version};\n{lines}\n"


def _is_no_row(line: str) -> bool:
    """Whether it adds rows of other tables to an index: what the index has is in the tables behind it."""
    return re.match(r'INSERT INTO "\w+_index" ', line) is not None


def load(text: str, path: Path) -> None:
    """Makes a buffer file of SQL text."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(text)


def _add_what_is_rare(path: Path) -> None:
    """A dead letter that its topic never took, two with one stack trace, a copy, a record that was passed over, and
    orders of another topic."""
    with open_buffer(path) as buffer:
        assignment = collector(buffer, partition=1)
        stack = "java.lang.IllegalStateException: no stock" + "\n\tat com.example.Listener.on(Listener.java:42)" * 5
        fields = {"stacktrace": stack, "headers": (("kafka_dlt-exception-stacktrace", stack.encode()), ("trace", None))}
        rows = [
            dead_letter(assignment.ref, offset, f"with a stack {offset // 2}", partition=1, **fields)
            for offset in range(3)
        ]
        collect(buffer, assignment, 0, *rows)
        source = processor(buffer, partition=1)
        step = batch(source.ref, 0, 2)
        step.outbox, step.passed_over = [outbox_row(source.ref, 0, "too large")], [record_id(source.ref, 1)]
        buffer.flow.commit(step)
        kept = dead_letter(0, 0, "too large")._replace(record_id=None, topic=None, partition=None, offset=None)
        buffer.flow.undeliverable([kept], NOW_MS)
        accept(buffer, processor(buffer, identity=replace(ORDERS, topic="shop.orders")), 0, 2)
        _say_of_groups(buffer)


def _say_of_groups(buffer: Buffer) -> None:
    """A group that is merged, resolved, split and has a note."""
    assignment = collector(buffer, partition=2)
    rows = [dead_letter(assignment.ref, offset, f"group {offset}", fingerprint=f"g{offset}") for offset in range(3)]
    collect(buffer, assignment, 0, *(row._replace(partition=2) for row in rows))
    buffer.groups.merge("g0", ["g1"], "ann", NOW_MS)
    buffer.groups.resolve("g0", "ann", NOW_MS)
    buffer.groups.note("g0", "known since Monday", "ann", NOW_MS)
    buffer.groups.split("g2", "reason", "PRICE", "ann", NOW_MS)
    buffer.groups.move()


def main() -> None:
    """Writes the file of the newest version."""
    file = layout_file(LAYOUT_VERSION)
    if file.exists():
        sys.exit(f"{file} is there already: a change of layout is a step in pipeline/buffer/sqlite/migrations")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orderpulse.db"
        fill(path, orders=40, dead_letters=10)
        _add_what_is_rare(path)
        file.write_text(dump(path), encoding="utf-8")


if __name__ == "__main__":
    main()
