from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import QueryError
from pipeline.orders.mapping.paths import EACH, Path
from pipeline.search.fields import FIELDS, STATUSES
from pipeline.search.parser import MAXIMUM_LETTERS, parse, pointed
from pipeline.search.query import (
    EVERYTHING,
    Age,
    All,
    Compared,
    Either,
    InHeader,
    InValue,
    Named,
    Not,
    Number,
    Part,
    Period,
    Query,
    Text,
)

NOW_MS = 1_764_324_000_000  # 2025-11-28T10:00:00Z
HOUR_MS = 3_600_000


def read(text: str) -> Query:
    return parse(text, NOW_MS)


def only(text: str) -> Any:
    (part,) = read(text).parts
    return part


def test_reads_the_example_of_the_docs() -> None:
    query = read(
        'status:open group:"stock is missing" key:cust-42 header.trace-id:abc value.customer.country:DE '
        'price>100 failed:<1h -dialect:spring-kafka "any text"'
    )
    assert query.parts == (
        Named("status", "open"),
        Named("group", "stock is missing"),
        Named("key", "cust-42"),
        InHeader("trace-id", "abc"),
        InValue(Path(("customer", "country")), ":", "DE"),
        Compared("price", ">", Number("100", 10_000)),
        Compared("failed", "<", Age("1h", NOW_MS - HOUR_MS)),
        Not(Named("dialect", "spring-kafka")),
        Text("any text"),
    )


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", ()),
        ("  ", ()),
        ("a b", (Text("a"), Text("b"))),
        ("a AND b", (Text("a"), Text("b"))),
        ("a OR b c", (Either((Text("a"), All((Text("b"), Text("c"))))),)),
        ("(a OR b) c", (Either((Text("a"), Text("b"))), Text("c"))),
        ("(a OR (b OR c))", (Either((Text("a"), Text("b"), Text("c"))),)),
        ("(a (b c))", (Text("a"), Text("b"), Text("c"))),
        ("NOT a b", (Not(Text("a")), Text("b"))),
        ("-(a b)", (Not(All((Text("a"), Text("b")))),)),
        ("and or not", (Text("and"), Text("or"), Text("not"))),
        ('"AND"', (Text("AND"),)),
        ("cust-42", (Text("cust-42"),)),
        (r'"say \"x\" \\ y"', (Text('say "x" \\ y'),)),
        (r"C:\temp", None),
        ("status=OPEN", (Named("status", "open"),)),
        ('key:""', (Named("key", ""),)),
        ("key:a:b=c>d", (Named("key", "a:b=c>d"),)),
        ('header."my head":x', (InHeader("my head", "x"),)),
        ("value[0].qty>=3", (InValue(Path((0, "qty")), ">=", "3"),)),
        ('value.lines[]."odd name":x', (InValue(Path(("lines", EACH, "odd name")), ":", "x"),)),
        ("日本 Ünïcode", (Text("日本"), Text("Ünïcode"))),
    ],
)
def test_reads(text: str, tree: tuple[Part, ...] | None) -> None:
    if tree is None:
        with pytest.raises(QueryError):
            read(text)
    else:
        assert read(text).parts == tree


@pytest.mark.parametrize(
    ("text", "marked", "says"),
    [
        ("status:open staus:open", "staus", "did you mean status?"),
        ("see http://shop/1", "http", "goes into quotes"),
        ("status:opened", "opened", "a status is one of open,"),
        ("price>1.001", "1.001", "2 digits behind the point"),
        ("price>1e5", "1e5", "an amount is expected"),
        ("attempts>many", "many", "a whole number"),
        ("failed:1h", "1h", "failed:<1h for younger"),
        ("failed>2026-02-30", "2026-02-30", "no such time"),
        ("failed>soon", "soon", "a time is"),
        ("a (b", "(", "never closed"),
        ("a) b", ")", "never opened"),
        ("()", ")", "missing here"),
        ("a OR", "", "missing here"),
        ("a OR OR b", "OR", "missing here"),
        ('say "abc', '"', "never closed"),
        ('"a"b', '"', "a space is missing"),
        ('a"b"', '"', "middle of a word"),
        ("key:", "key:", "a value is missing behind key:"),
        ("status>open", "status>open", "status has no order"),
        ("header.:x", "header.:x", "header.NAME:value"),
        ("header.a>1", "header.a>1", "header.NAME:value"),
        ("value:x", "value", "a path is missing"),
        ("value.a[.b:x", "value.a[.b", "is no path"),
        ("a -", "-", "nothing stands behind"),
        ('""', '""', "empty text"),
        ('reason:""', 'reason:""', "empty text"),
        ("a \ud800", "\ud800", "no letter of Unicode"),
        ("(" * 60 + "a" + ")" * 60, "(", "nested too deeply"),
        ("a " * 201, "a ", "too many words"),
        ("a" * (MAXIMUM_LETTERS + 1), "a", "too long"),
    ],
)
def test_an_error_says_what_and_where(text: str, marked: str, says: str) -> None:
    with pytest.raises(QueryError, match=".") as caught:
        read(text)
    error = caught.value
    assert says in str(error)
    assert text[error.at : error.end] == marked
    line, pointer = pointed(text, error).split("\n")
    assert pointer.strip() == "^" * max(1, len(marked))
    assert len(line) < 130


def test_the_pointer_stands_below_the_place_in_any_script() -> None:
    with pytest.raises(QueryError) as caught:
        read("日本 staus:x")
    assert pointed("日本 staus:x", caught.value) == "日本 staus:x\n     ^^^^^"


@pytest.mark.parametrize(
    ("text", "from_text", "span_ms"),
    [
        ("2025-11-28", "2025-11-28T00:00:00Z", 24 * HOUR_MS),
        ("2025-11-28T10", "2025-11-28T10:00:00Z", HOUR_MS),
        ("2025-11-28T12:30+02:30", "2025-11-28T10:00:00Z", 60_000),
        ("2025-11-28T10:00:00", "2025-11-28T10:00:00Z", 1000),
        ("2025-11-28T10:00:00.000Z", "2025-11-28T10:00:00Z", 1),
        ("2025-11-28T10:00:00.0", "2025-11-28T10:00:00Z", 100),
        ('"2025-11-28 10:00"', "2025-11-28T10:00:00Z", 60_000),
    ],
)
def test_a_time_is_as_exact_as_it_is_written(text: str, from_text: str, span_ms: int) -> None:
    value = only(f"failed:{text}").value
    assert isinstance(value, Period)
    began = NOW_MS if "T10" in from_text else NOW_MS - 10 * HOUR_MS
    assert (value.from_ms, value.to_ms) == (began, began + span_ms)


@pytest.mark.parametrize(
    ("text", "digits", "minor_units"),
    [("100", 2, 10_000), ("99.95", 2, 9995), ("0.1", 3, 100), ("100", 0, 100), ("-1.50", 2, -150), ("1.000", 0, 1)],
)
def test_an_amount_is_exact(text: str, digits: int, minor_units: int) -> None:
    (part,) = parse(f"price>={text}", NOW_MS, digits).parts
    assert isinstance(part, Compared)
    assert isinstance(part.value, Number)
    assert part.value.value == minor_units


def test_the_same_words_are_the_same_query_an_hour_later() -> None:
    assert read("failed:<1h") == parse("failed:<1h", NOW_MS + HOUR_MS)


def test_a_field_is_chosen_and_another_value_takes_its_place() -> None:
    query = read("price>1 (status:open OR status:discarded) region")
    assert query.chosen("status") == ("open", "discarded")
    assert str(query.choosing("status", (Named("status", "recovered"),))) == "price>1 region status:recovered"
    assert str(query.choosing("status", ())) == "price>1 region"
    assert (
        str(EVERYTHING.choosing("source", (Named("source", "a"), Named("source", "b c")))) == 'source:a OR source:"b c"'
    )
    assert read("failed:2025-11-28T10").chosen("failed") == ("2025-11-28T10",)
    assert read("failed>2025-11-28T10").chosen("failed") == ()
    assert read("-status:open").chosen("status") == ()
    assert read("-status:open").names("status")


# -- any query

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
names = [field.name for field in FIELDS if field.kind in ("name", "class", "key", "text", "group")]
paths = st.lists(texts.filter(lambda name: name != "@type") | st.integers(-9, 99), min_size=1, max_size=4).map(
    lambda steps: Path(tuple(steps))
)
ages = st.tuples(st.integers(0, 999_999), st.sampled_from("smhdw")).map(lambda parts: Age(f"{parts[0]}{parts[1]}", 0))
operators = st.sampled_from([":", "<", "<=", ">", ">="])
leaves = st.one_of(
    texts.map(Text),
    st.builds(Named, st.sampled_from(names), texts),
    st.builds(Named, st.just("status"), st.sampled_from(STATUSES)),
    st.builds(Compared, st.just("failed"), operators.filter(lambda sign: sign != ":"), ages),
    st.builds(Compared, st.just("attempts"), operators, st.integers(-9, 10**17).map(lambda n: Number(str(n), n))),
    st.builds(InHeader, texts, texts | st.just("")),
    st.builds(InValue, paths, operators, texts | st.just("")),
)


def longer(parts: st.SearchStrategy[Part], kind: type[All] | type[Either]) -> st.SearchStrategy[Part]:
    # Parts of the same kind are one with it.
    return st.lists(parts.filter(lambda part: not isinstance(part, kind)), min_size=2, max_size=3).map(
        lambda some: kind(tuple(some))
    )


trees = st.recursive(
    leaves, lambda parts: st.builds(Not, parts) | longer(parts, All) | longer(parts, Either), max_leaves=12
)
queries = st.lists(trees.filter(lambda part: not isinstance(part, All)), max_size=4).map(
    lambda parts: Query(tuple(parts))
)


@given(queries)
def test_the_text_of_a_query_is_that_query(query: Query) -> None:
    assert read(str(query)) == query
    assert str(read(str(query))) == str(query)


@given(st.text(st.sampled_from('ab:<>=-()" \\.[]') | st.characters(), max_size=30))
def test_any_text_is_a_query_or_says_where_it_is_none(text: str) -> None:
    query = error = None
    try:
        query = read(text)
    except QueryError as found:
        error = found
    if error is not None:
        assert 0 <= error.at <= len(text)
        assert error.at < error.end
        assert len(pointed(text, error).split("\n")) == 2
    if query is not None:
        assert read(str(query)) == query
