"""Looks inside of values for a query, as far as a second allows, and says how far that was and what was not read."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from typing import Any

from pipeline.buffer.sqlite.search.conditions import query_condition
from pipeline.buffer.views import Found
from pipeline.clock import Clock
from pipeline.headers.codec import headers_from_json
from pipeline.search.inside import MAXIMUM_BYTES, ReadValue, Stored, ValueReader, stands
from pipeline.search.query import Query

LIMIT_MS = 1_000
AT_ONCE = 200
MOST_REASONS = 3
_NOTHING = ReadValue(None)


class _Looking:
    """What SQL asks of values while one query is answered: each value is read once, whatever is asked of it."""

    def __init__(self, read: ValueReader, steady_clock: Clock) -> None:
        self._read = read
        self._steady_clock = steady_clock
        self._deadline_ms = steady_clock() + LIMIT_MS
        self._last: tuple[int, ReadValue] = (-1, _NOTHING)
        self._unread: Counter[str] = Counter()

    def time_is_up(self) -> bool:
        """Whether no further value is to be read."""
        return self._steady_clock() >= self._deadline_ms

    def stands_inside(self, path: str, sign: str, wanted: str, identifier: int, *cells: Any) -> bool | None:
        """Whether it stands so in the value of a dead letter; None where the time was up before."""
        if self._last[0] != identifier:
            if self.time_is_up():
                return None
            read = self._value(*cells)
            self._last = (identifier, read)
            if read.unread:
                self._unread[read.unread] += 1
        return stands(self._last[1].data, path, sign, wanted)

    def _value(self, key: bytes | None, value: bytes | None, headers: str, topic: str, source: str) -> ReadValue:
        if not value:
            return _NOTHING
        if len(value) > MAXIMUM_BYTES:
            return ReadValue(None, f"more than {MAXIMUM_BYTES:,} bytes")
        return self._read(Stored(key, value, headers_from_json(headers), topic, source))

    def unread_in_words(self) -> str:
        """How many values could not be read, and why; empty when there is none."""
        if not self._unread:
            return ""
        count = self._unread.total()
        reasons = [reason for reason, _ in self._unread.most_common(MOST_REASONS)]
        more = [] if len(self._unread) <= MOST_REASONS else [f"{len(self._unread) - MOST_REASONS} other reasons"]
        return f"{count:,} value{'' if count == 1 else 's'} could not be read: {'; '.join([*reasons, *more])}"


def find_inside(
    connection: sqlite3.Connection, left: Found, query: Query, most: int, read: ValueReader, steady_clock: Clock
) -> Found:
    """Of these dead letters the ones that a query means which reads their values; each answer says how many it read."""
    where, arguments = query_condition(query, inside=True)
    looking = _Looking(read, steady_clock)
    connection.create_function("stands_inside", -1, looking.stands_inside)
    found: list[int] = []
    looked = 0
    try:
        while looked < len(left.ids) and len(found) <= most and not looking.time_is_up():
            some = left.ids[looked : looked + AT_ONCE]
            rows = connection.execute(
                "SELECT id FROM (SELECT value AS span_id FROM json_each(:span_ids)) "
                f"CROSS JOIN dead_letters ON id = span_id WHERE {where}",
                arguments | {"span_ids": json.dumps(some)},
            ).fetchall()
            if looking.time_is_up():
                break
            found += sorted((identifier for (identifier,) in rows), reverse=True)
            looked += len(some)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
    if len(found) > most:
        return Found(tuple(found[:most]), True)
    told = ""
    if looked < len(left.ids) or left.more:
        told = f"looked into the values of the newest {looked:,} of {left.count} dead letters that all else leaves"
    cut = "; ".join(part for part in (left.cut, told, looking.unread_in_words()) if part)
    return Found(tuple(found), bool(cut), cut)
