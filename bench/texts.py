"""How fast dead letters are found by text, and what the index for that takes."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from pipeline.buffer import DeadLetterFilter, Reader, open_buffer
from pipeline.buffer.views import Found
from pipeline.search.parser import parse

QUERIES = (
    '"customer C04242"',
    "C04242",
    "key:c00017",
    '"item 8812"',
    "ORD-000035333",
    "4711",
    "voucher",
    '"voucher 47"',
    "VOUCHER OR refund",
    '"not known to billing"',
    "shop.shipping",
    "exception",
    "listener",
    "StatementPreparerImpl",
    "class:TimeoutException billing",
    "status:discarded voucher",
    "billing timeout",
    "überweisung",
    "zzzzzz",
    "header.content-type:application/json",
)
"""Texts that one, some, most and none of the dead letters have, in each place that is looked at."""
TURNS = 5


@dataclass(frozen=True, slots=True)
class TextFigures:
    """Times are of the processor. `longest` is the query that takes longest, with its time in ms."""

    index_us: float
    longest_step_ms: float
    index_bytes: float
    p95_ms: float
    with_facets_p95_ms: float
    longest: tuple[str, float]


def measure_texts(file: Path, letters: int) -> TextFigures:
    """Fills the index of a buffer with so many dead letters, and asks it."""
    index_us, longest_step_ms = _index(file, letters)
    with closing(sqlite3.connect(file)) as connection:
        tables = (
            *("letter_index_data", "letter_index_idx", "stack_index_data", "set_index_data"),
            *("dead_letters_by_stack", "dead_letters_by_set"),
        )
        (pages,) = connection.execute(
            f"SELECT sum(pgsize) FROM dbstat WHERE name IN ({', '.join('?' * len(tables))})", tables
        ).fetchone()
    times_ms: list[float] = []
    facets_ms: list[float] = []
    longest = ("", 0.0)
    with Reader(file, limit_ms=60_000) as reader:
        for query in QUERIES * TURNS:
            which = DeadLetterFilter(parse(query, 0))
            found, ms = _timed_find(reader, which)
            times_ms.append(ms)
            began = time.process_time()
            reader.facets(found)
            facets_ms.append(ms + (time.process_time() - began) * 1000)
            longest = max(longest, (query, ms), key=lambda each: each[1])
    return TextFigures(index_us, longest_step_ms, pages / letters, _p95(times_ms), _p95(facets_ms), longest)


def _index(file: Path, letters: int) -> tuple[float, float]:
    """Microseconds a dead letter, and the longest step in milliseconds."""
    longest = 0.0
    with open_buffer(file) as buffer:
        began = time.process_time()
        while True:
            step = time.process_time()
            more = buffer.texts.merge_some() or buffer.texts.index_some() > 0
            longest = max(longest, time.process_time() - step)
            if not more:
                return (time.process_time() - began) / letters * 1e6, longest * 1000


def _timed_find(reader: Reader, which: DeadLetterFilter) -> tuple[Found, float]:
    began = time.process_time()
    found = reader.find(which)
    return found, (time.process_time() - began) * 1000


def _p95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1]
