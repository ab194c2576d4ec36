"""Finds dead letters newest first, one span of them after another, so that what time allowed is an answer too."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from pipeline.buffer.filters import DeadLetterFilter
from pipeline.buffer.sqlite.conditions import dead_letter_condition
from pipeline.buffer.sqlite.search.conditions import Arguments, query_condition
from pipeline.buffer.sqlite.search.text_candidates import TextCandidates, text_candidates
from pipeline.buffer.views import Found
from pipeline.clock import Clock, steady_clock_ms
from pipeline.search.query import Compared, Either, Named, Part, Query

FOUND_CAP = 10_000
INSIDE_CAP = 20_000
INSIDE_LIMIT_MS = 1_000
INSIDE_AT_ONCE = 200
FEW = 20_000
"""Of so many candidates, which an index names, each is looked at. Where there are more, the newest are first."""
_THESE = "SELECT value AS span_id FROM json_each(:span_ids)"
_INDEXED = ("status", "group", "failed", "id")
_FIRST_SPAN, _GROWTH, _LAST_SPAN = 2_000, 5, 50_000


class _Span(NamedTuple):
    """Some dead letters: the SQL of their ids, its arguments, and the least of them."""

    sql: str
    arguments: Arguments
    least_id: int


def find_dead_letters(
    connection: sqlite3.Connection, which: DeadLetterFilter, steady_clock: Clock = steady_clock_ms
) -> Found:
    """The newest that match, up to 10,000. Where the query is interrupted, what was found till then, and `cut`.

    What is inside of values is looked at last, of the newest 20,000 that all else leaves, for a second.
    """
    plain, inside = which.query.apart()
    with _one_state(connection):
        if not inside.parts:
            return _find(connection, which, FOUND_CAP)
        left = _find(connection, replace(which, query=plain), INSIDE_CAP)
        return _find_inside(connection, left, inside, steady_clock)


@contextmanager
def _one_state(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is read meanwhile is of one state of the buffer: what the index has, and what it lacks."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _find(connection: sqlite3.Connection, which: DeadLetterFilter, most: int) -> Found:
    where, arguments = dead_letter_condition(which)
    found: list[int] = []
    looked_from: int | None = None
    note = ""
    try:
        few = _few_candidates(connection, which)
        by_text = None if which.ids is not None else text_candidates(connection, which.query, which.up_to_id)
        if by_text is not None and (few is None or by_text.size < len(few)):
            few, note = None, _what_the_index_lacks(connection, which.up_to_id, by_text)
        else:
            by_text = None
        for span in _spans(connection, which.up_to_id, few, by_text):
            # An index on something else would be no help: the letters of the span are gone through one by one.
            rows = connection.execute(
                f"SELECT id FROM ({span.sql}) CROSS JOIN dead_letters ON id = span_id WHERE {where}",
                arguments | span.arguments,
            )
            found += sorted((identifier for (identifier,) in rows), reverse=True)
            looked_from = span.least_id
            if len(found) > most:
                return Found(tuple(found[:most]), True, note=note)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        looked = "" if looked_from is None else f": only dead letters from id {looked_from} on were looked at"
        return Found(tuple(found[:most]), True, f"stopped by the time limit{looked}", note)
    return Found(tuple(found), False, note=note)


def _find_inside(connection: sqlite3.Connection, left: Found, query: Query, steady_clock: Clock) -> Found:
    """Of these dead letters the ones that a query means which reads their values; each answer says how many it read."""
    where, arguments = query_condition(query, inside=True)
    deadline_ms = steady_clock() + INSIDE_LIMIT_MS
    found: list[int] = []
    looked = 0
    try:
        while looked < len(left.ids) and len(found) <= FOUND_CAP and steady_clock() < deadline_ms:
            some = left.ids[looked : looked + INSIDE_AT_ONCE]
            rows = connection.execute(
                f"SELECT id FROM ({_THESE}) CROSS JOIN dead_letters ON id = span_id WHERE {where}",
                arguments | {"span_ids": json.dumps(some)},
            )
            found += sorted((identifier for (identifier,) in rows), reverse=True)
            looked += len(some)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
    if len(found) > FOUND_CAP:
        return Found(tuple(found[:FOUND_CAP]), True, note=left.note)
    if looked == len(left.ids) and not left.more:
        return Found(tuple(found), False, note=left.note)
    told = f"looked into the values of the newest {looked:,} of {left.count} dead letters that all else leaves"
    return Found(tuple(found), True, "; ".join(part for part in (left.cut, told) if part), left.note)


def _spans(
    connection: sqlite3.Connection, up_to_id: int | None, few: list[int] | None, by_text: TextCandidates | None
) -> Iterator[_Span]:
    """All that may match, newest first: these few, else what an index names, else all."""
    if few is not None:
        yield from map(_of_these, _in_parts(few))
        return
    yield from _all_spans(connection, up_to_id, by_text.last if by_text else 0)
    if by_text:
        yield from map(_of_these, _in_parts(by_text))


def _in_parts(ids: Iterable[int]) -> Iterator[list[int]]:
    coming = iter(ids)
    while some := list(islice(coming, _FIRST_SPAN)):
        yield some


def _of_these(ids: list[int]) -> _Span:
    return _Span(_THESE, {"span_ids": json.dumps(ids)}, ids[-1])


def _all_spans(connection: sqlite3.Connection, up_to_id: int | None, after_id: int) -> Iterator[_Span]:
    least, most = connection.execute(
        "SELECT min(id), max(id) FROM dead_letter_rows WHERE id > ?", (after_id,)
    ).fetchone()
    if most is None:
        return
    last, size = most if up_to_id is None else min(most, up_to_id), _FIRST_SPAN
    while last >= least:
        first = max(least, last - size + 1)
        sql = "SELECT id AS span_id FROM dead_letter_rows WHERE id BETWEEN :span_first AND :span_last"
        yield _Span(sql, {"span_first": first, "span_last": last}, first)
        last, size = first - 1, min(size * _GROWTH, _LAST_SPAN)


def _what_the_index_lacks(connection: sqlite3.Connection, up_to_id: int | None, by_text: TextCandidates) -> str:
    (newest,) = connection.execute("SELECT max(id) FROM dead_letter_rows").fetchone()
    if by_text.last == up_to_id or newest is None or newest <= by_text.last:
        return ""
    return f"dead letters from id {by_text.last + 1} on are not in the text index yet; they were looked through"


def _few_candidates(connection: sqlite3.Connection, which: DeadLetterFilter) -> list[int] | None:
    """The ids that an index names for one part of the filter, newest first; None where each part means too many."""
    if which.ids is not None:
        return sorted(set(which.ids), reverse=True)
    for part in which.query.parts:
        if not _is_indexed(part):
            continue
        condition, arguments = query_condition(Query((part,)))
        rows = connection.execute(f"SELECT id FROM dead_letter_rows WHERE {condition} LIMIT {FEW + 1}", arguments)
        ids = [identifier for (identifier,) in rows]
        if len(ids) <= FEW:
            return sorted(ids, reverse=True)
    return None


def _is_indexed(part: Part) -> bool:
    parts = part.parts if isinstance(part, Either) else (part,)
    return all(isinstance(each, (Named, Compared)) and each.field in _INDEXED for each in parts)
