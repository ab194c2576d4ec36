"""Finds dead letters newest first, one span of them after another, so that what time allowed is an answer too."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from pipeline.buffer.filters import DeadLetterFilter
from pipeline.buffer.sqlite.conditions import dead_letter_condition
from pipeline.buffer.sqlite.connection import snapshot
from pipeline.buffer.sqlite.search.blocks import Blocks, block_of, ends_of
from pipeline.buffer.sqlite.search.columns import BLOCK, BLOCK_BITS
from pipeline.buffer.sqlite.search.conditions import Arguments
from pipeline.buffer.sqlite.search.inside import find_inside
from pipeline.buffer.sqlite.search.masks import Masks, ids_in
from pipeline.buffer.sqlite.search.text_candidates import text_candidates, what_the_index_lacks
from pipeline.buffer.views import Found
from pipeline.clock import Clock, steady_clock_ms
from pipeline.errors import UsageError
from pipeline.search.inside import ValueReader
from pipeline.search.query import Compared, Number, Part

FOUND_CAP = 10_000
INSIDE_CAP = 20_000
_THESE = "SELECT value AS span_id FROM json_each(:span_ids)"
_FIRST_ROWS, _GROWTH, _MOST_ROWS = 2_000, 5, 50_000
"""Rows are looked at so many at once: few at first, since the newest may be enough."""


class _Some(NamedTuple):
    """Dead letters that match, newest first, and the least id of those that were looked at to find them."""

    ids: list[int]
    least_id: int


def find_dead_letters(
    connection: sqlite3.Connection,
    which: DeadLetterFilter,
    read: ValueReader | None,
    steady_clock: Clock = steady_clock_ms,
) -> Found:
    """The newest that match, up to 10,000. Where the query is interrupted, what was found till then, and `cut`.

    What is inside of values, which `read` reads, is looked at last, of the newest 20,000 that all else leaves, for a
    second. Raises UsageError where a query asks for that and nothing reads values.
    """
    plain, inside = which.query.apart()
    if not inside.parts:
        return _find(connection, which, FOUND_CAP)
    if read is None:
        raise UsageError(f"{inside} is looked for inside of values, which nothing reads here")
    left = _find(connection, replace(which, query=plain), INSIDE_CAP)
    found = find_inside(connection, left, inside, FOUND_CAP, read, steady_clock)
    return replace(found, note=left.note)


def all_that_match(connection: sqlite3.Connection, which: DeadLetterFilter) -> Iterator[_Some]:
    """All that match, newest first, some at a time; to be called within a snapshot."""
    where, arguments = dead_letter_condition(which)
    sure: list[int] = []
    doubtful: list[int] = []
    size = _FIRST_ROWS

    def of_rows(least_id: int) -> _Some:
        # An index on something else would be no help: the letters are gone through one by one.
        rows = connection.execute(
            f"SELECT id FROM ({_THESE}) CROSS JOIN dead_letters ON id = span_id WHERE {where}",
            arguments | {"span_ids": json.dumps(doubtful)},
        )
        found = [identifier for (identifier,) in rows] if doubtful else []
        return _Some(sorted(sure + found, reverse=True), least_id)

    by_text = None if which.ids is not None else text_candidates(connection, which.query, which.up_to_id)
    for candidates in _candidates(connection, which):
        sure += candidates.sure
        doubtful += candidates.doubtful if by_text is None else by_text.narrowed(candidates.doubtful)
        if len(doubtful) >= size or len(sure) >= _MOST_ROWS:
            yield of_rows(candidates.least_id)
            size = min(size * _GROWTH, _MOST_ROWS)
            sure, doubtful = [], []
    if sure or doubtful:
        yield of_rows(0)


def by_ids(connection: sqlite3.Connection, which: DeadLetterFilter) -> tuple[str, Arguments]:
    """The condition for all that match at this moment, by their ids: what blocks tell needs no index of the rows.

    To be called within a snapshot or in a transaction.
    """
    ids = [identifier for some in all_that_match(connection, which) for identifier in some.ids]
    return "id IN (SELECT value FROM json_each(:ids))", {"ids": json.dumps(ids)}


def _find(connection: sqlite3.Connection, which: DeadLetterFilter, most: int) -> Found:
    found: list[int] = []
    looked_from: int | None = None
    note = ""
    try:
        with snapshot(connection):
            note = what_the_index_lacks(connection, which.query, which.up_to_id)
            for some in all_that_match(connection, which):
                found += some.ids
                looked_from = some.least_id
                if len(found) > most:
                    return Found(tuple(found[:most]), True, note=note)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        looked = "" if looked_from is None else f": only dead letters from id {looked_from} on were looked at"
        return Found(tuple(found[:most]), True, f"stopped by the time limit{looked}", note)
    return Found(tuple(found), False, note=note)


class _Candidates(NamedTuple):
    """Dead letters that match, others of which their rows must tell, and the least id that was looked at for both."""

    sure: Sequence[int]
    doubtful: Sequence[int]
    least_id: int


def _candidates(connection: sqlite3.Connection, which: DeadLetterFilter) -> Iterator[_Candidates]:
    """All that may match, the newest first, a block at a time."""
    if which.ids is not None:
        ids = sorted(set(which.ids), reverse=True)
        for first in range(0, len(ids), BLOCK):
            some = ids[first : first + BLOCK]
            yield _Candidates((), some, some[-1])
        return
    least, most = ends_of(connection)
    if least is None or most is None:
        return
    if which.up_to_id is not None:
        most = min(most, which.up_to_id)
    blocks = Blocks(connection)
    masks = Masks(connection, blocks, which.query.narrowed(*_up_to(which.up_to_id)).tree)
    for number in range(block_of(most), block_of(least) - 1, -1):
        begin = number << BLOCK_BITS
        if number not in blocks.numbers:
            yield _Candidates((), range(min(most, begin + BLOCK - 1), max(least, begin) - 1, -1), begin)
            continue
        sure, maybe = masks.of(number)
        if maybe:
            yield _Candidates(ids_in(sure, begin), ids_in(maybe ^ sure, begin), begin)


def _up_to(identifier: int | None) -> tuple[Part, ...]:
    return () if identifier is None else (Compared("id", "<=", Number(str(identifier), identifier)),)
