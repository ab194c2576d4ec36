"""What of a dead letter decides how it is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from pipeline.buffer.sqlite.stored_once.names import is_ours
from pipeline.headers.codec import headers_from_json
from pipeline.records import Headers


class WholeLetter(NamedTuple):
    """A dead letter's headers and what of its columns they may say once more, all as the public table shows it."""

    headers: Headers
    reason: str
    stacktrace: str | None
    fingerprint: str
    dead_letter_id: str
    source_partition: int | None
    source_offset: int | None
    source_timestamp_ms: int | None
    timestamp_ms: int
    first_failed_at_ms: int | None
    failed_at_ms: int
    topic: str | None
    source_topic: str | None
    error_class: str | None
    rule: str | None
    stage: str | None
    consumer_group: str | None
    dialect: str


COLUMNS = (
    "dead_letter_id",
    "source_partition",
    "source_offset",
    "source_timestamp_ms",
    "timestamp_ms",
    "first_failed_at_ms",
    "failed_at_ms",
)
"""Columns that headers say once more, as text: the first is -1 in pieces, the next -2. The view has the same list."""
_INDEXES = tuple(map(WholeLetter._fields.index, COLUMNS))


def column_of(letter: WholeLetter, value: bytes | None) -> int | None:
    """Which of COLUMNS says the same as a header, if one does."""
    return next((number for number in range(len(COLUMNS)) if says(letter, number, value)), None)


def says(letter: WholeLetter, number: int, value: bytes | None) -> bool:
    """Whether this one of COLUMNS says the same as a header."""
    cell = letter[_INDEXES[number]]
    if value is None or cell is None or value != str(cell).encode():
        return False
    # Others may hold what JSON writes in another way.
    return number > 0 or is_ours(str(cell))


def whole_letters_of(names: Sequence[str]) -> Callable[[Sequence[Any]], WholeLetter]:
    """What makes one of a row of the public table that has these columns; its headers are JSON."""
    cells = itemgetter(*map(names.index, WholeLetter._fields))

    def whole(row: Sequence[Any]) -> WholeLetter:
        headers, *others = cells(row)
        return WholeLetter(headers_from_json(headers), *others)

    return whole
