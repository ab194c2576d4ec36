"""Avro of any schema is read as its writer means it, one record at a time and many at once; broken bytes by neither."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UndecodableError
from pipeline.orders.avro_schemas import parse
from pipeline.orders.columns import Values
from pipeline.orders.formats.avro_columns import avro_columns
from pipeline.orders.formats.avro_values import avro_reader
from pipeline.orders.mapping.batches import Counted, Scaled
from pipeline.orders.mapping.paths import EACH, Path, look_up
from pipeline.orders.mapping.selection import selection_of
from pipeline.orders.mapping.values import ValueMismatchError
from tests.support.avro_records import SchemaMaker, drawn_value, long_bytes, names_of, paths_into, without_logical_types
from tests.support.counted import counted

WRONG = "what is no value"


@st.composite
def records(draw, most=1):
    """A schema, records of it, and paths into them; half of them plain, as columns can be."""
    plain = draw(st.booleans())
    schema = SchemaMaker(draw, plain).record()
    names = names_of(schema)
    drawn = [drawn_value(draw, schema, names) for _ in range(draw(st.integers(1, most)))]
    steps = paths_into(schema, names)[1:]
    if plain:
        steps = [each for each in steps if all(str(step).startswith("f") for step in each)]
    steps = draw(st.lists(st.sampled_from(steps), min_size=1, max_size=4))
    paths = [Path(tuple(EACH if step == "[]" else step for step in each)) for each in steps]
    return schema, drawn, paths


def looked_up(meant, steps):
    """What a path leads to, by the plain rules; WRONG where something else stands in its way."""
    if meant is None or not steps:
        return WRONG if meant is ... else meant
    step, *rest = steps
    if isinstance(step, str):
        return looked_up(meant.get(step), rest) if isinstance(meant, dict) else WRONG
    if not isinstance(meant, list):
        return WRONG
    if step is EACH:
        return [looked_up(each, rest) for each in meant]
    return looked_up(meant[step], rest) if -len(meant) <= step < len(meant) else None


def same(found, expected):
    """Whether a value is as expected, NaN included."""
    if expected == WRONG if isinstance(expected, str) else expected is ...:
        return isinstance(found, ValueMismatchError)
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(same(found.get(key), value) for key, value in expected.items())
    if isinstance(expected, list):
        # What is in the way of a path in one item makes all of the list wrong.
        if isinstance(found, ValueMismatchError):
            return any(isinstance(each, str) and each == WRONG for each in expected)
        return len(found) == len(expected) and all(map(same, found, expected))
    return repr(found) == repr(expected) if isinstance(expected, float) else found == expected


def at_path(value, path):
    try:
        return look_up(value, path)
    except ValueMismatchError as error:
        return error


def whole(schema):
    return parse(json.dumps(schema))


@given(records())
@settings(max_examples=150)
def test_every_value_is_what_its_writer_means(drawn):
    schema, [record], paths = drawn
    plain = fastavro.parse_schema(without_logical_types(schema))
    assert repr(fastavro.schemaless_reader(io.BytesIO(record.encoded), plain)) == repr(record.plain)
    writer = whole(schema)
    found = avro_reader(writer.parsed, writer.names, selection_of(paths)).read(record.encoded, 0)
    for path in paths:
        assert same(at_path(found, path), looked_up(record.meant, path.steps)), path


def by_columns(schema, values, paths):
    """What the columns make of records: by index, and of none where they have to be read one by one."""
    writer = whole(schema)
    plan = avro_columns(writer.parsed, writer.names, paths)
    if plan is None:
        return {}
    laid_out = Values([b"frame" + value for value in values])
    indexes, columns = plan.read(laid_out, 5)
    listed = [each.values() if isinstance(each, Scaled | Counted) else each for each in columns]
    return dict(zip(indexes, zip(*listed, strict=True), strict=True))


def one_by_one(schema, values, paths):
    writer = whole(schema)
    reader = avro_reader(writer.parsed, writer.names, selection_of(paths))
    found = {}
    for index, value in enumerate(values):
        try:
            read = reader.read(value, 0)
        except UndecodableError:
            continue
        found[index] = tuple(at_path(read, path) for path in paths)
    return found


def assert_columns_agree(schema, values, paths):
    expected = one_by_one(schema, values, paths)
    for index, row in by_columns(schema, values, paths).items():
        assert index in expected
        assert all(map(same, row, expected[index])), (row, expected[index])


@given(records(most=5))
@settings(max_examples=150)
def test_many_at_once_are_read_to_the_same_values(drawn):
    schema, found, paths = drawn
    assert_columns_agree(schema, [each.encoded for each in found], paths)


def broken(draw, encoded):
    """Bytes with some changed, left out or put in."""
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(encoded)))
        encoded = encoded[:at] + draw(st.binary(max_size=3)) + encoded[at + draw(st.integers(0, 3)) :]
    return encoded


@given(st.data())
@settings(max_examples=200)
def test_broken_bytes_are_refused_or_read_alike(data):
    schema, found, paths = data.draw(records(most=4))
    assert_columns_agree(schema, [broken(data.draw, each.encoded) for each in found], paths)


def order(**types):
    """A record of fields of these types."""
    return {"type": "record", "name": "Order", "fields": [{"name": name, "type": kind} for name, kind in types.items()]}


def test_plain_records_are_read_by_columns():
    schema = order(
        id="string",
        total={"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
        lines={"type": "array", "items": "string"},
        note=["null", "string"],
    )
    values = [b"\x06A-1\x02\x64\x02\x02x\x00\x00", b"\x06A-2\x02\xff\x00\x02\x02y"]
    found = by_columns(schema, values, [Path(("id",)), Path(("total",)), Path(("note",))])
    assert [tuple(map(str, row)) for row in found.values()] == [("A-1", "1.00", "None"), ("A-2", "-0.01", "y")]


@pytest.mark.parametrize("fields", [4, 40])
def test_a_type_that_contains_itself_is_not_planned_for_columns(fields):
    tree = {"name": "Node", "type": "record", "fields": [{"name": "id", "type": "string"}]}
    tree["fields"] += [{"name": f"more{at}", "type": ["null", "Node"]} for at in range(fields)]
    assert by_columns(tree, [b"\x02A" + bytes(fields)], [Path(("id",))]) == {}
    assert one_by_one(tree, [b"\x02A" + bytes(fields)], [Path(("id",))]) == {0: ("A",)}


def test_lists_in_lists_in_lists_are_read_one_record_at_a_time():
    cube = {"type": "array", "items": {"type": "array", "items": {"type": "array", "items": "int"}}}
    assert by_columns(order(id="string", c=cube), [b"\x02A\x02\x02\x02\x00\x00\x00\x00"], [Path(("id",))]) == {}
    flatter = order(id="string", c=cube["items"])
    assert by_columns(flatter, [b"\x02A\x02\x02\x00\x00\x00"], [Path(("id",))]) == {0: ("A",)}


def test_one_text_that_is_no_utf8_makes_no_other_record_whole():
    schema = {
        "type": "record",
        "name": "Order",
        "fields": [{"name": "id", "type": "string"}, {"name": "paid", "type": "boolean"}],
    }
    values = [b"\x04\xff\x80\x01", b"\x04\xc3\xbc\x07", b"\x04\xc3\xbc\x01"]
    assert by_columns(schema, values, [Path(("id",))]) == {2: ("ü",)}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x01\x01", "lines has a negative length"),
        (b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", "lines is a number of more than 64 bits"),
        (b"\xfe\xff\xff\xff\x0f\x02", "lines has 2147483647 items; expected at most 10000"),
        (
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02",
            "lines has 9223372036854775808 items; expected at most 10000",
        ),
        (b"\xc0\x9a\x0c" + b"\x00" * 100, "lines has 100000 items; expected at most 10000"),
        (b"\x02\x06a", "truncated after 3 bytes, in lines"),
        (b"\x02", "truncated after 1 bytes, in lines"),
        (b"\x00\x00", "1 trailing byte after the record"),
    ],
)
def test_counts_that_lie_are_refused_by_name(body, reason):
    schema = whole(
        {"type": "record", "name": "O", "fields": [{"name": "lines", "type": {"type": "array", "items": "string"}}]}
    )
    reader = avro_reader(schema.parsed, schema.names, selection_of([Path(("lines",))]))
    with pytest.raises(UndecodableError, match=re.escape(reason)):
        reader.read(body, 0)


def test_lists_of_what_takes_no_bytes_take_no_room():
    nulls = {"type": "array", "items": {"type": "array", "items": "null"}}
    schema = whole(order(n=nulls))
    body = long_bytes(9000) + (long_bytes(9000) + b"\0") * 9000 + b"\0"
    reader = avro_reader(schema.parsed, schema.names, selection_of([Path(("n",))]))
    with pytest.raises(UndecodableError, match="without a byte"):
        reader.read(body, 0)
    passed_over = avro_reader(schema.parsed, schema.names, selection_of([Path(("other",))]))
    assert passed_over.read(body, 0) == {}


def test_items_that_take_no_bytes_are_read_once_for_all():
    wide = {"type": "record", "name": "W", "fields": [{"name": f"f{number}", "type": "null"} for number in range(100)]}
    schema = whole(order(n={"type": "array", "items": {"type": "array", "items": wide}}))
    body = long_bytes(200) + (long_bytes(60) + b"\0") * 200 + b"\0"
    reader = avro_reader(schema.parsed, schema.names, selection_of([Path(("n",))]))
    found: list[Any] = []
    calls = counted(lambda: found.append(reader.read(body, 0)))
    assert list(map(len, found[0]["n"])) == [60] * 200
    assert calls["call"] < 60 * 100 * 200 / 10


def test_a_record_within_records_without_end_is_refused():
    schema = whole(order(o=["null", "Order"]))
    for wanted in (Path(("o",)), Path(("nowhere",))):
        reader = avro_reader(schema.parsed, schema.names, selection_of([wanted]))
        with pytest.raises(UndecodableError, match="nested too deeply"):
            reader.read(b"\x02" * 100_000, 0)
        assert reader.read(b"\x02" * 20 + b"\x00", 0).keys() <= {"o"}


def test_a_uuid_that_is_null_at_the_end_of_all_bytes_is_null():
    schema = order(id="string", ref=["null", {"type": "fixed", "name": "Ref", "size": 16, "logicalType": "uuid"}])
    values = [b"\x02A\x02" + bytes(16), b"\x02B\x00"]
    assert by_columns(schema, values, [Path(("ref",))]) == {0: ("00000000-0000-0000-0000-000000000000",), 1: (None,)}


def test_a_map_that_is_wanted_whole_and_in_parts_is_read_whole():
    schema = order(tags={"type": "map", "values": {"type": "map", "values": "boolean"}})
    paths = [Path(("tags",)), Path(("tags", "a", "nowhere"))]
    assert one_by_one(schema, [b"\x02\x02a\x02\x02b\x01\x00\x00"], paths) == {0: ({"a": {"b": True}}, None)}
