"""Stores dead letters of layouts before 11 as new ones are: a few in a transaction, from the first id to the last.

A row says the same in the public table before and after, and how far it is stands in the same transaction as the rows.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import NamedTuple

from pipeline.buffer.contract import Compaction
from pipeline.buffer.sqlite.connection import WriterConnection, atomic, reading
from pipeline.buffer.sqlite.stored_once.letter import WholeLetter, whole_letters_of
from pipeline.buffer.sqlite.stored_once.shared import Cells
from pipeline.buffer.sqlite.stored_once.storing import STORED_COLUMNS
from pipeline.crash_points import reached

LETTERS_AT_ONCE = 200
BYTES_AT_ONCE = 2_000_000
"""A row is written anew as a whole: fewer of large ones."""

_OLD = "kind_ref IS NULL AND set_ref IS NULL"
_NEXT = f"""
SELECT id, coalesce(length(key), 0) + coalesce(length(value), 0) + length(headers) + coalesce(length(stacktrace), 0)
           + length(reason)
FROM dead_letter_rows WHERE id BETWEEN :first AND :last AND {_OLD} ORDER BY id LIMIT {LETTERS_AT_ONCE}
"""
_whole = whole_letters_of(WholeLetter._fields)
_THESE = "WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
_WHOLE = f"SELECT failed_at_known, {', '.join(WholeLetter._fields)} FROM dead_letters {_THESE}"


class _Span(NamedTuple):
    """Ids of dead letters of an older layout: the first, the next one to do, and the last."""

    first: int
    next: int
    last: int


def compact(connection: WriterConnection) -> Compaction | None:
    """See UpkeepStore."""
    with reading(connection):
        span = _span(connection)
        if span is None:
            return None
        # 1. The next few as anybody reads them, and what is to become of them: nobody has to wait for that.
        ids = _next_few(connection, span)
        read = connection.execute(_WHOLE, (json.dumps(ids),)).fetchall()
    reached("compaction: before dead letters are stored anew")
    prepared = connection.storing.prepare([_whole(cells) for _, *cells in read])
    with atomic(connection):
        # 2. Nobody else has done it meanwhile, or pruned one of them: else the next call looks again.
        rows = connection.execute(f"SELECT * FROM dead_letter_rows {_THESE}", (json.dumps(ids),))
        columns = [name for name, *_ in rows.description]
        old = [dict(zip(columns, row, strict=True)) for row in rows]
        if _span(connection) != span or [row["id"] for row in old] != ids:
            return _progress(span, span.next)
        # 3. What repeats is counted where it is stored once; the stack traces of before count less.
        stored = prepared.refer(connection)
        _leave_stacks(connection, [row["stack_ref"] for row in old if row["stack_ref"] is not None])
        _replace(connection, old, stored, [known for known, *_ in read])
        # 4. How far that is.
        next_id = ids[-1] + 1 if ids else span.last + 1
        connection.execute("UPDATE compaction SET next_id = ?", (next_id,))
        connection.execute("DELETE FROM compaction WHERE next_id > last_id")
        reached("compaction: dead letters not stored anew")
    reached("compaction: dead letters stored anew")
    return _progress(span, next_id)


def _progress(span: _Span, next_id: int) -> Compaction:
    return Compaction(next_id - span.first, span.last - span.first + 1)


def _replace(
    connection: WriterConnection, old: list[dict[str, object]], stored: list[Cells], failed_at_known: list[int | None]
) -> None:
    if not old:
        return
    for row, cells, known in zip(old, stored, failed_at_known, strict=True):
        row.update(zip(STORED_COLUMNS, cells, strict=True), failed_at_known=known)
        if row["record_id"] is not None:
            row.update(partition=None, offset=None)
    columns = ", ".join(f'"{name}"' for name in old[0])
    # A row that an UPDATE makes smaller leaves its page as empty as it is; one that is replaced lets pages be joined.
    # No trigger sees it: those of a removed row are for rows that are gone.
    connection.executemany(
        f"INSERT OR REPLACE INTO dead_letter_rows ({columns}) VALUES ({', '.join('?' * len(old[0]))})",
        [tuple(row.values()) for row in old],
    )


def _next_few(connection: WriterConnection, span: _Span) -> list[int]:
    found = connection.execute(_NEXT, {"first": span.next, "last": span.last}).fetchall()
    return [identifier for identifier, _ in found[: _first_few([size for _, size in found])]]


def _span(connection: WriterConnection) -> _Span | None:
    found = connection.execute("SELECT first_id, next_id, last_id FROM compaction").fetchone()
    return None if found is None else _Span(*found)


def _leave_stacks(connection: WriterConnection, stack_refs: list[int]) -> None:
    counts = Counter(stack_refs)
    connection.executemany(
        "UPDATE stacktraces SET dead_letters = dead_letters - ? WHERE stack_ref = ?",
        [(count, stack_ref) for stack_ref, count in counts.items()],
    )
    connection.executemany(
        "DELETE FROM stacktraces WHERE stack_ref = ? AND dead_letters = 0", [(stack_ref,) for stack_ref in counts]
    )


def _first_few(sizes: list[int]) -> int:
    """How many of the first there is room for; one at least."""
    size = 0
    for few, each in enumerate(sizes):
        size += each
        if few and size > BYTES_AT_ONCE:
            return few
    return len(sizes)
