"""What dead letters have in common: how many of them have which value of a field, and which values there are."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby

from pipeline.buffer.filters import DeadLetterFilter
from pipeline.buffer.sqlite.search.blocks import HOUR, Blocks, block_of, ends_of
from pipeline.buffer.sqlite.search.columns import BLOCK, BLOCK_BITS, Column
from pipeline.buffer.sqlite.search.find import all_that_match
from pipeline.buffer.views import FacetValue
from pipeline.search.fields import FIELDS_BY_NAME

_HOUR_MS = 3_600_000
FACETS = ("group", "source", "topic", "class", "dialect", "status", "product", "failed")
"""Fields of the query language, in the order in which they are shown; `failed` by the hour."""
_CELLS = tuple(
    f"CAST(failed_at_ms / {_HOUR_MS} AS TEXT)" if name == "failed" else FIELDS_BY_NAME[name].column for name in FACETS
)
_OF_IDS = "FROM (SELECT value AS span_id FROM json_each(:ids)) CROSS JOIN dead_letters ON id = span_id"
Counts = list[Counter[str]]


def count_facets(connection: sqlite3.Connection, ids: Sequence[int], most: int) -> dict[str, list[FacetValue]]:
    """The values of each facet that most of these dead letters have; hours newest first. Within a snapshot."""
    columns = [HOUR if name == "failed" else name for name in FACETS]
    counts = _counts(connection, ids, columns, _CELLS)
    facets = {}
    for name, counted in zip(FACETS, counts, strict=True):
        if name == "failed":
            hours = sorted(counted.items(), key=lambda each: -int(each[0]))
            facets[name] = [FacetValue(_hour(hour), _hour(hour), count) for hour, count in hours[:most]]
        else:
            values = sorted(counted.items(), key=lambda each: (-each[1], each[0]))[:most]
            titles = _titles(connection, [value for value, _ in values]) if name == "group" else {}
            facets[name] = [FacetValue(value, titles.get(value) or value, count) for value, count in values]
    return facets


def count_statuses(connection: sqlite3.Connection, which: DeadLetterFilter) -> dict[str, int]:
    """How many dead letters match, by their status; all of them. Within a snapshot."""
    counted: Counter[str] = Counter()
    for some in all_that_match(connection, which):
        counted += _counts(connection, some.ids, ["status"], ["status"])[0]
    return dict(counted)


def known_values(connection: sqlite3.Connection, field: str, most: int) -> list[str]:
    """The different values of a field of few values; it may have had some of them only before. Within a snapshot."""
    column, blocks = FIELDS_BY_NAME[field].column, Blocks(connection)
    meanings = connection.execute(
        "SELECT DISTINCT meaning FROM dead_letter_blocks WHERE (field, kind) = (?, 'texts')", (field,)
    )
    values: set[str] = set()
    for (meaning,) in meanings:
        values.update(json.loads(meaning))
    for first, last in _not_noted(connection, blocks):
        rows = connection.execute(
            f"SELECT DISTINCT {column} FROM dead_letters WHERE id BETWEEN ? AND ? AND {column} IS NOT NULL",
            (first, last),
        )
        values.update(value for (value,) in rows)
    return sorted(values)[:most]


def _counts(connection: sqlite3.Connection, ids: Sequence[int], columns: Sequence[str], cells: Sequence[str]) -> Counts:
    """How many of these dead letters have which values in each column, or where only rows tell in these cells."""
    blocks = Blocks(connection)
    counts: Counts = [Counter() for _ in columns]
    of_rows: list[int] = []
    for number, of_block in groupby(ids, block_of):
        some = list(of_block)
        found = _columns(blocks, number, columns)
        if found is None:
            of_rows += some
            continue
        places = [identifier & (BLOCK - 1) for identifier in some]
        for counted, column in zip(counts, found, strict=True):
            _count(counted, column, places)
    if of_rows:
        rows = connection.execute(f"SELECT {', '.join(cells)} {_OF_IDS}", {"ids": json.dumps(of_rows)}).fetchall()
        for counted, values in zip(counts, zip(*rows, strict=True), strict=True):
            counted.update(value for value in values if value is not None)
    return counts


def _columns(blocks: Blocks, number: int, names: Iterable[str]) -> list[Column] | None:
    """A block's columns; None where one of them is not kept, or does not tell the values themselves."""
    if number not in blocks.numbers:
        return None
    found = [blocks.column(number, name) for name in names]
    known = [column for column in found if column is not None and column.kind == "texts"]
    return known if len(known) == len(found) else None


def _count(counted: Counter[str], column: Column, places: Sequence[int]) -> None:
    meaning = json.loads(column.meaning)
    if not column.codes:
        if meaning:
            counted[meaning[0]] += len(places)
        return
    for code, count in Counter(map(column.codes.__getitem__, places)).items():
        if code:
            counted[meaning[code - 1]] += count


def _not_noted(connection: sqlite3.Connection, blocks: Blocks) -> Iterator[tuple[int, int]]:
    """The first and the last id of each block that is not kept."""
    least, most = ends_of(connection)
    if least is not None and most is not None:
        for number in range(block_of(least), block_of(most) + 1):
            if number not in blocks.numbers:
                yield number << BLOCK_BITS, ((number + 1) << BLOCK_BITS) - 1


def _titles(connection: sqlite3.Connection, fingerprints: Sequence[str]) -> dict[str, str]:
    sql = "SELECT fingerprint, title FROM dead_letter_groups WHERE fingerprint IN (SELECT value FROM json_each(?))"
    return dict(connection.execute(sql, (json.dumps(fingerprints),)).fetchall())


def _hour(hours: str) -> str:
    """An hour since 1970 as queries write it."""
    return datetime.fromtimestamp(int(hours) * _HOUR_MS / 1000, UTC).strftime("%Y-%m-%dT%H")
