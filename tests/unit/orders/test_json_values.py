"""JSON is read as the standard parser reads it, with every number as its digits and the last of repeated keys."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UndecodableError
from pipeline.orders.formats.json_values import JsonReader, is_too_deep, whole_json
from pipeline.orders.mapping.paths import EACH, Path, parse_path
from pipeline.orders.mapping.values import JsonNumber, Unread, ValueMismatchError, described

NAMES = ["id", "a", "b", "lines", 'od"d', "back\\slash", "ü", "tab\t"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBERS = st.builds(
    "{}{}{}".format,
    st.integers(-(10**40), 10**40) | st.integers(-9, 9) | st.just("-0"),
    st.sampled_from(["", "", ".5", ".10", ".00000000000000000000000000000001"]),
    st.sampled_from(["", "", "e5", "E-7", "e+99999"]),
)
BLANKS = st.sampled_from(["", "", "", " ", "\n\t "])


@st.composite
def json_texts(draw, depth=3):
    """JSON as text: blanks, escapes, and repeated keys included."""
    kind = draw(
        st.sampled_from(
            ["text", "number", "word", "object", "object", "object", "list"] if depth else ["text", "number"]
        )
    )
    blank = draw(BLANKS)
    if kind == "number":
        return blank + draw(NUMBERS)
    if kind == "word":
        return blank + draw(st.sampled_from(["true", "false", "null"]))
    if kind == "text":
        return blank + as_json(draw, draw(TEXTS))
    if kind == "list":
        return f"{blank}[{','.join(draw(json_texts(depth - 1)) for _ in range(draw(st.integers(0, 3))))}{blank}]"
    names = draw(st.lists(st.sampled_from(NAMES), max_size=5))
    pairs = [f"{as_json(draw, name)}{draw(BLANKS)}:{draw(json_texts(depth - 1))}" for name in names]
    return f"{blank}{{{','.join(pairs)}{blank}}}"


def as_json(draw, text):
    """A text in quotes, some of its characters escaped."""
    return json.dumps(text, ensure_ascii=draw(st.booleans())) if draw(st.booleans()) else escaped(text)


def escaped(text):
    units = text.encode("utf-16-be")
    return '"' + "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)) + '"'


STEPS = st.one_of(*[st.sampled_from(NAMES)] * 4, st.just(EACH), st.integers(-2, 2))
PATHS = (
    st.lists(STEPS, min_size=1, max_size=3).filter(lambda steps: steps.count(EACH) < 2).map(lambda s: Path(tuple(s)))
)


def looked_up(value, steps):
    """What steps lead to in what the standard parser reads; Ellipsis where something else is in the way."""
    if value is None or not steps:
        return value
    step, *rest = steps
    if isinstance(step, str):
        return looked_up(value.get(step), rest) if isinstance(value, dict) else ...
    if not isinstance(value, list):
        return ...
    if step is EACH:
        items = [looked_up(each, rest) for each in value]
        return ... if ... in items else items
    return looked_up(value[step], rest) if -len(value) <= step < len(value) else None


def same(found, expected):
    return (
        isinstance(found, ValueMismatchError) if expected is ... else (type(found), found) == (type(expected), expected)
    )


@given(json_texts(), st.lists(PATHS, min_size=1, max_size=4))
@settings(max_examples=80)
def test_every_value_is_what_the_standard_parser_reads(text, paths):
    expected = json.loads(text, parse_float=JsonNumber, parse_int=JsonNumber)
    found = JsonReader(paths).read(text.encode())
    for path, value in zip(paths, found, strict=True):
        assert same(value, looked_up(expected, path.steps)), path


@given(
    st.lists(json_texts(), max_size=4),
    st.lists(PATHS, min_size=1, max_size=4),
    st.binary(max_size=2),
    st.integers(0, 60),
)
@settings(max_examples=80)
def test_many_at_once_are_read_to_the_same_values(texts, paths, more, at):
    values = [text.encode() for text in texts]
    values += [value[:at] + more + value[at:] for value in values] + [value[:at] for value in values]
    reader = JsonReader(paths)
    indexes, columns = reader.read_many(values)
    assert all(len(column) == len(indexes) for column in columns)
    for row, index in enumerate(indexes):
        assert list(map(repr, reader.read(values[index]))) == [repr(column[row]) for column in columns]


@given(st.binary(max_size=30) | json_texts().map(str.encode), st.binary(max_size=3), st.integers(0, 30))
@settings(max_examples=80)
def test_what_the_standard_parser_refuses_is_refused(value, more, at):
    value = value[:at] + more + value[at:]
    try:
        json.loads(value.decode(), parse_constant=float.fromhex)
    except ValueError:
        with pytest.raises(UndecodableError, match="value is "):
            JsonReader([Path(("id",))]).read(value)


def test_plain_paths_are_read_at_once():
    reader = JsonReader([parse_path("order.id"), parse_path("order.lines[].sku")])
    values = [b'{"order":{"id":"A","lines":[{"sku":"x"},{}]}}', b'{"order":null}', b"[]"]
    assert reader.read_many(values) == ([0, 1], [["A", None], [["x", None], None]])


@pytest.mark.parametrize("paths", ["lines[0]", "order order.id", '"od\\"d"', "[].id"])
def test_paths_that_need_more_are_read_one_record_at_a_time(paths):
    assert JsonReader([parse_path(each) for each in paths.split()]).read_many([b"{}"])[0] == []


@pytest.mark.parametrize(
    ("value", "path", "words"),
    [
        (b'{"a":"x"}', "a.b", 'a is a text ("x"); expected an object with b'),
        (b'{"a":5}', "a[0]", "a is a number (5); expected a list"),
        (b'[{"a":{"b":[1,true]}}]', "[].a.b.c", "[].a.b is a list of 2; expected an object with c"),
        (b'{"a":[1,2,3]}', "a.b.c", "a is a list of 3; expected an object with b"),
        (
            b'{"a":[%s]}' % b",".join([b"1"] * 10_001),
            "a[0]",
            "a is a list of more than 10000; expected at most so many",
        ),
        (b'{"a":[%s]}' % b",".join([b"1"] * 10_001), "a.b", "a is a list of 20003 bytes; expected an object with b"),
        (b'{"a":{"x":"%s"}}' % (b"y" * 5000), "a[]", "a is an object of 5008 bytes; expected a list"),
    ],
)
def test_what_is_in_the_way_of_a_path_is_named(value, path, words):
    [found] = JsonReader([parse_path(path)]).read(value)
    assert str(found) == words


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"a":NaN}', "value is no JSON: invalid character (byte 5)"),
        (b'{"a":1', "value is no JSON: Input data was truncated"),
        (b'{"a":1}{', "value is no JSON: trailing characters (byte 8)"),
        (b'{"a":"\xff"}', "value is no JSON: byte 6 is no UTF-8"),
        (b'{"a":01}', "value is no JSON: "),
        (b'{"a":"\\ud800"}', "value is no JSON: "),
        (b"[" * 100_000 + b"]" * 100_000, "value is JSON that is nested more than 400 deep"),
        (b"{" * 100_000, "value is JSON that is nested more than 400 deep"),
    ],
)
def test_what_is_no_json_says_why(value, reason):
    for path in ("a", "b"):
        with pytest.raises(UndecodableError) as caught:
            JsonReader([parse_path(path)]).read(value)
        assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize("inner", [b"", b'"[[[[ {{ \\" [["', b"1," * 5000 + b"1"])
def test_as_deep_as_may_be_is_read_and_no_deeper(inner):
    reader = JsonReader([parse_path("a")])
    for depth in (1, 100, 399):
        value = b'{"a":' + b"[" * depth + inner + b"]" * depth + b"}"
        [found] = reader.read(value)
        assert isinstance(found, list | Unread)
        assert described(found).startswith("a list of")
        assert reader.read_many([value]) == ([0], [[found]])
    too_deep = b'{"a":' + b"[" * 400 + inner + b"]" * 400 + b"}"
    with pytest.raises(UndecodableError, match="more than 400 deep"):
        reader.read(too_deep)
    assert reader.read_many([too_deep])[0] == []


def test_many_objects_side_by_side_are_not_deep():
    assert not is_too_deep(b"[" + b'{"a":[1]},' * 100_000 + b"{}]")


@given(json_texts(), st.integers(1, 6))
@settings(max_examples=100)
def test_its_depth_is_that_of_what_the_standard_parser_makes(text, maximum_depth):
    def depth(value):
        within = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if within is None else 1 + max(map(depth, within), default=0)

    # Of a repeated key all values count here.
    assert is_too_deep(text.encode(), maximum_depth) == (
        depth(json.loads(text, object_pairs_hook=lambda pairs: [value for _, value in pairs])) > maximum_depth
    )


def test_a_number_of_a_thousand_digits_is_its_digits():
    digits = "9" * 1000
    assert JsonReader([parse_path("a")]).read(b'{"a":%s}' % digits.encode()) == [digits]


def test_all_of_it_keeps_its_numbers_as_digits():
    assert whole_json(b'{"a":[1.10,-0,1e5]}') == {"a": ["1.10", "-0", "1e5"]}
