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
from pipeline.buffer.sqlite.search import letter_texts, text_candidates
from pipeline.buffer.sqlite.search.text_candidates import TextCandidates
from pipeline.buffer.sqlite.stores import text_index
from pipeline.buffer.views import Found
from pipeline.search.folding import folded
from pipeline.search.query import Either, InHeader, Named, Not, Part, Query, Text
from tests.support.buffer_rows import NOW_MS, collect, collect_many, collector, dead_letter, order

FRAMES = "\tat shop.Stock.reserve(Stock.java:7)\n\tat shop.Größe.prüfe(Größe.java:8)\n" * 6
SCRIPTS = "aAbBcC 12 ßẞſ İIıi ÅÅÅ éé ЖждёЁ ΣσςΐΐΪ日本語 가가 ﬁ ǅ 😀👍🏽 _%\"'\\\0\x1f\n\r\t\ufffd\ufffe\uffff"
"""Letters that fold to others, to several, or into those beside them; what ends texts for SQLite, and what LIKE takes
for something else."""
FROM = ("Dienst Größe der ﬁliale", 'the "quoted\\ ["x", "y"]" one', "plain service")
"""What is in a header the same in many."""
TAUGHT = [[f"reason {n}", "Thrown", f"k{n}", f"h{n}", "l", f"shop.Thrown: reason {n}", f"s{n}"] for n in range(12)]
"""Dead letters from which on what stands in such places is stored apart from what is the same each time."""
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
                headers=(
                    ("id", header.encode(errors="replace")),
                    ("long", long.encode(errors="replace") * 300),
                    ("from", FROM[number % len(FROM)].encode()),
                ),
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
    indexed=st.integers(0, 14),
)
@example(texts=[["STRASSE ẞ", "İstanbul", "ﬁn", "", "", "ΐ", "x"]], asked=["straße ß"], cut=(1, 0, 8), indexed=14)
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
        texts = TAUGHT + texts
        rows = letters_of(place.ref, texts)
        # Some are there before the index is filled, the others are what it lacks.
        indexed += len(TAUGHT) // 2
        collect(buffer, place, 0, *rows[:indexed])
        fully_indexed(buffer)
        collect(buffer, place, len(rows[:indexed]), *rows[indexed:])
    column, begin, length = cut
    asked = [*asked, *(part for part in (each[column][begin : begin + length] for each in texts) if part), "größe.Prü"]
    asked += ["GRÖSSE DER FIL", 'quoted\\ ["X", "y"]" o', "service", "l"]
    for wanted in asked:
        expected = [number for number, row in enumerate(rows, 1) if holds(row, wanted)][::-1]
        assert ids(path, Text(wanted)) == expected
        assert ids(path, Not(Text(wanted))) == [n for n in range(len(rows), 0, -1) if n not in expected]
    either = [number for number, row in enumerate(rows, 1) if any(holds(row, wanted) for wanted in asked)][::-1]
    assert ids(path, Either(tuple(map(Text, asked)))) == either
    both = [number for number, row in enumerate(rows, 1) if all(holds(row, wanted) for wanted in asked[:2])][::-1]
    assert ids(path, *map(Text, asked[:2])) == both


def test_what_the_index_lacks_is_looked_through_and_said(path: Path) -> None:
    with open_buffer(path) as buffer:
        place = collector(buffer)
        collect(buffer, place, 0, *(dead_letter(place.ref, n, reason=f"needle {n}") for n in range(3)))
        fully_indexed(buffer)
        assert found(path, Text("needle")) == Found((3, 2, 1), False)
        collect(buffer, place, 3, dead_letter(place.ref, 3, reason="a newer needle"))
    answer = found(path, Text("needle"))
    assert answer.ids == (4, 3, 2, 1)
    assert (answer.cut, answer.more) == ("", False)
    assert answer.note == "dead letters from id 4 on are not in the text index yet; they were looked through"
    # Of those that it has, nothing is missing.
    assert not found(path, Text("needle"), up_to_id=3).note


def test_the_index_is_asked_and_not_each_dead_letter(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_buffer(path) as buffer:
        place = collector(buffer)
        collect(buffer, place, 0, *(dead_letter(place.ref, n, reason=f"number {n:03}") for n in range(300)))
        fully_indexed(buffer)
    left: list[list[int]] = []
    narrowed = TextCandidates.narrowed
    monkeypatch.setattr(TextCandidates, "narrowed", lambda self, some: left.append(narrowed(self, some)) or left[-1])
    assert ids(path, Text("NUMBER 123")) == [124]
    assert left == [[124]]


def test_stack_traces_are_indexed_once_and_what_was_thrown_with_each_dead_letter(path: Path) -> None:
    with open_buffer(path) as buffer:
        place = collector(buffer)
        stacks = [f"shop.Thrown: item {n}\n{FRAMES}" for n in (1, 1, 2)] + ["short stack"]
        rows = [dead_letter(place.ref, n, stacktrace=stack) for n, stack in enumerate(stacks)]
        collect(buffer, place, 0, *rows)
        fully_indexed(buffer)
    assert ids(path, Text("größe.PRÜFE")) == ids(path, Named("stack", "größe.PRÜFE")) == [3, 2, 1]
    assert ids(path, Text("Thrown: item 1")) == [2, 1]
    assert ids(path, Named("stack", "short STACK")) == [4]
    # Two lines may stand in different places of the index.
    assert ids(path, Text("item 2\n\tat shop")) == [3]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM stacktraces").fetchone() == (2,)
        asked = "SELECT rowid FROM letter_index WHERE letter_index MATCH '\"ße.\"'"
        assert connection.execute(asked).fetchall() == []


def test_headers_and_fields_are_found_by_the_index(path: Path) -> None:
    with open_buffer(path) as buffer:
        place = collector(buffer)
        headers = [((("trace", b"ABC-\xc3\x9c"),)), ((("trace", b"x\xff"),)), ((("trace", b"L" * 300),))]
        rows = [dead_letter(place.ref, n, headers=each, key=f"cust-{n}".encode()) for n, each in enumerate(headers)]
        collect(buffer, place, 0, *rows)
        fully_indexed(buffer)
    assert ids(path, InHeader("trace", "abc-ü")) == [1]
    assert ids(path, InHeader("trace", "x\ufffd")) == [2]
    assert ids(path, InHeader("trace", "l" * 300)) == [3]
    assert ids(path, Named("key", "CUST-1")) == [2]
    assert ids(path, Text("cust"), Named("key", "cust-2")) == [3]


SERVICE = b"the service that writes it is shop.Stock in the house that it is in"


def test_what_header_sets_have_in_common_is_indexed_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_buffer(path) as buffer:
        place = collector(buffer)
        traces = [f"trace-{n:03}x" for n in range(10)]
        rows = [
            dead_letter(place.ref, n, headers=(("service", SERVICE), ("trace", trace.encode())))
            for n, trace in enumerate(traces)
        ]
        collect(buffer, place, 0, *rows)
        fully_indexed(buffer)
        newer = dead_letter(place.ref, 10, headers=(("service", SERVICE.upper()), ("trace", b"trace")))
        collect(buffer, place, 10, newer)
    every = list(range(11, 0, -1))
    assert ids(path, Text("shop.STOCK in")) == ids(path, InHeader("service", SERVICE.decode())) == every
    assert ids(path, Text("shop.stock"), Text("TRACE-007x")) == [8]
    assert ids(path, Either((Text("stock in the"), Text("nowhere")))) == every
    assert ids(path, InHeader("trace", "trace-008x")) == [9]
    assert ids(path, Named("key", "shop.stock")) == []
    monkeypatch.setattr(text_candidates, "SORTED_LETTERS", 0)
    assert ids(path, Text("shop.STOCK in")) == every
    with closing(sqlite3.connect(path)) as connection:
        asked = "SELECT count(*) FROM {0}_index WHERE {0}_index MATCH '\"ock\"'"
        assert connection.execute(asked.format("letter")).fetchone() == (0,)
        assert connection.execute(asked.format("set")).fetchone() > (0,)


def test_a_header_set_that_is_gone_leaves_the_index_and_its_number_is_indexed_again(path: Path) -> None:
    def of_service(number: int, service: bytes) -> DeadLetterRow:
        return dead_letter(place.ref, number, headers=(("service", service), ("in", SERVICE)))

    with open_buffer(path) as buffer:
        place = collector(buffer)
        collect(buffer, place, 0, of_service(0, b"first"), of_service(1, b"second"))
        fully_indexed(buffer)
        buffer.dead_letters.triage((2,), "discarded", NOW_MS)
        assert buffer.upkeep.prune(Retention(dead_letters_before_ms=NOW_MS + 1)).dead_letters == 1
        with closing(sqlite3.connect(path)) as connection:
            asked = "SELECT rowid FROM set_index WHERE set_index MATCH '\"sec\"'"
            assert connection.execute(asked).fetchall() == []
        collect(buffer, place, 2, of_service(2, b"third"))
        fully_indexed(buffer)
    assert ids(path, Text("second")) == []
    assert ids(path, Text("third")) == [3]
    assert ids(path, Text("shop.stock")) == [3, 1]
    assert recount(path) == []


def test_of_two_texts_only_what_has_both_is_looked_at(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_candidates, "FEW_LEFT", 0)
    stacks = [f"shop.Thrown\n\tat {where}.Frame\n{FRAMES}" for where in ("first", "second")]
    with open_buffer(path) as buffer:
        place = collector(buffer)
        rows = [
            dead_letter(place.ref, n, reason="common" if n % 3 else "rare", stacktrace=stacks[n % 2]) for n in range(60)
        ]
        collect(buffer, place, 0, *rows)
        fully_indexed(buffer)
    left: list[list[int]] = []
    narrowed = TextCandidates.narrowed
    monkeypatch.setattr(TextCandidates, "narrowed", lambda self, some: left.append(narrowed(self, some)) or left[-1])
    both = [n + 1 for n in range(59, -1, -1) if n % 2 and not n % 3]
    assert ids(path, Text("second.frame"), Text("rare")) == both
    assert left == [both]


def test_too_much_text_is_not_indexed_and_found_all_the_same(path: Path) -> None:
    long = "x" * letter_texts.MOST_LETTERS
    with open_buffer(path) as buffer:
        place = collector(buffer)
        fields: list[dict[str, Any]] = [
            {"reason": f"{long} needle"},
            {"headers": tuple((f"h{n}", b"y" * 250) for n in range(200)) + (("last", b"needle"),)},
            {"stacktrace": f"thrown\n\tat {long}.needle()"},
            {"reason": "hay"},
        ]
        collect(buffer, place, 0, *(dead_letter(place.ref, n, **each) for n, each in enumerate(fields)))
        fully_indexed(buffer)
    assert ids(path, Text("needle")) == [3, 2, 1]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM long_letters").fetchall() == [(1,), (2,)]
        assert connection.execute("SELECT * FROM long_stacks").fetchall() == [(1,)]


def test_what_is_pruned_leaves_the_index_and_a_number_used_again_is_indexed_again(path: Path) -> None:
    with open_buffer(path) as buffer:
        place = collector(buffer)
        stacks = [f"shop.Thrown\n\tat first.Frame\n{FRAMES}", f"shop.Thrown\n\tat second.Frame\n{FRAMES}"]
        rows = [dead_letter(place.ref, n, reason=f"reason {n}", stacktrace=stack) for n, stack in enumerate(stacks)]
        collect(buffer, place, 0, *rows)
        fully_indexed(buffer)
        buffer.dead_letters.triage((2,), "discarded", NOW_MS)
        assert buffer.upkeep.prune(Retention(dead_letters_before_ms=NOW_MS + 1)).dead_letters == 1
        with closing(sqlite3.connect(path)) as connection:
            for index in ("letter", "stack"):
                asked = f"SELECT rowid FROM {index}_index WHERE {index}_index MATCH ?"
                assert connection.execute(asked, ({"letter": '"n 1"', "stack": '"sec"'}[index],)).fetchall() == []
        # The next stack trace gets the number of the one that went.
        third = dead_letter(place.ref, 2, stacktrace=f"shop.Thrown\n\tat third.Frame\n{FRAMES}")
        collect(buffer, place, 2, third)
        fully_indexed(buffer)
    assert ids(path, Text("first.frame")) == [1]
    assert ids(path, Text("second.frame")) == []
    assert ids(path, Text("third.frame")) == [3]
    assert recount(path) == []


def test_two_that_fill_the_index_at_once_do_each_step_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_buffer(path) as buffer, open_buffer(path) as other:
        collect_many(buffer, 4, reason="common")
        buffer.texts.index_some()  # the rule that folds

        def meanwhile(point: str) -> None:
            monkeypatch.undo()

        texts_of = text_index._step
        monkeypatch.setattr(
            text_index, "_step", lambda *given: (meanwhile(""), texts_of(*given), other.texts.index_some())[1]
        )
        buffer.texts.index_some()
        fully_indexed(buffer)
        assert buffer.texts.progress().indexed_to == 4
    with closing(sqlite3.connect(path)) as connection:
        asked = "SELECT rowid FROM letter_index WHERE letter_index MATCH '\"mmo\"'"
        assert connection.execute(asked).fetchall() == [(1,), (2,), (3,), (4,)]


def test_texts_that_were_folded_by_another_rule_are_indexed_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_buffer(path) as buffer:
        collect_many(buffer, 3, reason="needle")
        fully_indexed(buffer)
        for module in (text_index, text_candidates):
            monkeypatch.setattr(module, "FOLDING", "2 by Unicode 99")
        assert ids(path, Text("needle")) == [3, 2, 1]
        assert buffer.texts.progress() == (0, 3)
        fully_indexed(buffer)
        assert buffer.texts.progress() == (3, 3)
    assert found(path, Text("needle")) == Found((3, 2, 1), False)


@pytest.mark.parametrize("index", ["letter", "stack", "set"])
def test_check_finds_an_index_that_lacks_something_and_repair_has_it_filled_again(path: Path, index: str) -> None:
    with open_buffer(path) as buffer:
        collect_many(buffer, 30, reason="needle", stacktrace=f"shop.Thrown\n{FRAMES}", headers=(("in", SERVICE),))
        fully_indexed(buffer)
    assert recount(path) == []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"INSERT INTO {index}_index ({index}_index) VALUES ('delete-all')")
    (difference,) = recount(path)
    assert "the text index does not name" in str(difference)
    mended, left = repair(path)
    assert [str(each) for each in mended] == [str(difference)]
    assert left == []
    with open_buffer(path) as buffer:
        fully_indexed(buffer)
    assert recount(path) == []
    assert len(ids(path, Text("needle"))) == 30


def test_a_step_is_short_whatever_there_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_index, "TEXT_AT_ONCE", 100)
    with open_buffer(path) as buffer:
        place = collector(buffer)
        collect(buffer, place, 0, *(dead_letter(place.ref, n, reason="z" * 55) for n in range(10)))
        buffer.texts.index_some()
        assert [buffer.texts.index_some() for _ in range(6)] == [2, 2, 2, 2, 2, 0]


def test_a_name_that_is_ours_is_found_by_its_beginning(path: Path) -> None:
    ours = [f"{n:02x}" + "4b" * 15 for n in range(0xA0, 0xA4)]
    with open_buffer(path) as buffer:
        place = collector(buffer)
        rows = [
            dead_letter(place.ref, n, name, headers=(("orderpulse.dead-letter-id", name.encode()),))
            for n, name in enumerate([*ours, "theirs-4b4b"])
        ]
        collect(buffer, place, 0, *rows)
        assert ids(path, Text("A1")) == [2]
        for _ in range(2):
            assert ids(path, Text(ours[2])) == ids(path, Text("A24B4")) == [3]
            assert ids(path, InHeader("orderpulse.dead-letter-id", ours[3])) == [4]
            # Of other names and in other headers any part is.
            assert ids(path, Text("b4b")) == [5]
            fully_indexed(buffer)
