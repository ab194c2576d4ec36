"""What is found by text with the index is exactly what is there, however far the index follows and whatever goes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.buffer import Buffer, DeadLetterFilter, DeadLetterRow, Reader, Retention, open_buffer, recount, repair
from pipeline.buffer.sqlite.search import find, letter_texts, text_candidates
from pipeline.buffer.sqlite.stores import text_index
from pipeline.buffer.views import Found
from pipeline.search.folding import folded
from pipeline.search.query import Either, InHeader, Named, Not, Part, Query, Text
from tests.support.buffer_rows import NOW_MS, collect, collect_many, collector, dead_letter, order

FRAMES = "\tat shop.Stock.reserve(Stock.java:7)\n\tat shop.Größe.prüfe(Größe.java:8)\n" * 6
SCRIPTS = "aAbBcC 12 ßẞſ İIıi ÅÅÅ éé ЖждёЁ ΣσςΐΐΪ日本語 가가 ﬁ ǅ 😀👍🏽 _%\"'\\\0\x1f\n\r\t\ufffd\ufffe\uffff"
"""Letters that fold to others, to several, or into those beside them; what ends texts for SQLite, and what LIKE takes
for something else."""
words = st.text(st.sampled_from(SCRIPTS), max_size=12) | st.text(max_size=6)


def fully_indexed(buffer: Buffer) -> None:
    while buffer.texts.index_some():
        pass
    while buffer.texts.merge_some():
        pass


def found(path: Path, *parts: Part, **which: Any) -> Found:
    with Reader(path) as reader:
        return reader.find(DeadLetterFilter(Query(parts), **which))


def ids(path: Path, *parts: Part) -> list[int]:
    answer = found(path, *parts)
    assert not answer.cut
    return list(answer.ids)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orderpulse.db"


def letters_of(ref: int, texts: list[list[str]]) -> list[DeadLetterRow]:
    """A dead letter of each list, which has one of these texts in each place that is looked at."""
    rows = []
    for number, (reason, error_class, key, header, long, thrown, small) in enumerate(texts):
        rows.append(
            dead_letter(
                ref,
                number,
                reason=reason,
                error_class=error_class,
                key=key.encode(errors="replace"),
                headers=(("id", header.encode(errors="replace")), ("long", long.encode(errors="replace") * 300)),
                stacktrace=(f"{thrown}\n{FRAMES}" if number % 2 else small) or None,
                order=order(small.replace("\0", "")) if number % 3 == 0 else None,
            )
        )
    return rows


def holds(row: DeadLetterRow, wanted: str) -> bool:
    """Whether a dead letter holds a text where texts are looked for."""
    headers = [(value or b"").decode() for _, value in row.headers]
    fields = [row.order.order_id, row.order.customer_id, row.order.product] if row.order else []
    key = (row.key or b"").decode()
    texts = [row.reason, row.error_class, key, row.dead_letter_id, row.stacktrace, *fields]
    texts += [value for value in headers if len(value) <= letter_texts.SHORT_HEADER_LETTERS]
    return any(folded(wanted) in folded(text) for text in texts if text is not None)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.lists(words, min_size=7, max_size=7), min_size=1, max_size=8),
    asked=st.lists(words.filter(bool), min_size=1, max_size=4),
    cut=st.tuples(st.integers(0, 6), st.integers(0, 12), st.integers(1, 8)),
    indexed=st.integers(0, 8),
)
@example(texts=[["STRASSE ẞ", "İstanbul", "ﬁn", "", "", "ΐ", "x"]], asked=["straße ß"], cut=(1, 0, 8), indexed=8)
def test_the_index_finds_what_looking_through_everything_finds(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[list[str]],
    asked: list[str],
    cut: tuple[int, int, int],
    indexed: int,
) -> None:
    path = tmp_path_factory.mktemp("texts") / "orderpulse.db"
    with open_buffer(path) as buffer:
        place = collector(buffer)
        rows = letters_of(place.ref, texts)
        # Some are there before the index is filled, the others are what it lacks.
        collect(buffer, place, 0, *rows[:indexed])
        fully_indexed(buffer)
        collect(buffer, place, len(rows[:indexed]), *rows[indexed:])
    column, begin, length = cut
    asked = [*asked, *(part for part in (each[column][begin : begin + length] for each in texts) if part), "größe.Prü"]
    for wanted in asked:
        expected = [number for number, row in enumerate(rows, 1) if holds(row, wanted)][::-1]
        assert ids(path, Text(wanted)) == expected
        assert ids(path, Not(Text(wanted))) == [n for n in range(len(rows), 0, -1) if n not in expected]
    either = [number for number, row in enumerate(rows, 1) if any(holds(row, wanted) for wanted in asked)][::-1]
    assert ids(path, Either(tuple(map(Text, asked)))) == either
    both = [number for number, row in enumerate(rows, 1) if all(holds(row, wanted) for wanted in asked[:2])][::-1]
    assert ids(path, *map(Text, asked[:2])) == both
