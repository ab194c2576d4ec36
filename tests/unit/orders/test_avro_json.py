"""Avro's JSON encoding is read as the binary one is; what a schema does not allow has a reason that says where."""

from __future__ import annotations

import io
import json
import struct
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.errors import UndecodableError
from pipeline.orders.avro import TOO_DEEP
from pipeline.orders.avro_schemas import parse
from pipeline.orders.formats.avro_json import MAXIMUM_BYTES, MAXIMUM_DEPTH, avro_json_value
from pipeline.orders.mapping.values import Instant, JsonNumber, ValueMismatchError
from tests.support.avro_records import SchemaMaker, drawn_value, names_of


class Binary:
    """Reads what was written in binary, plainly, and says it in the JSON encoding."""

    def __init__(self, names, encoded: bytes) -> None:
        self._names = names
        self._left = io.BytesIO(encoded)

    def json(self, schema):
        if isinstance(schema, str) and schema in self._names:
            schema = self._names[schema]
        if isinstance(schema, list):
            branch = schema[self._long()]
            name = branch if isinstance(branch, str) else branch.get("name", branch["type"])
            return None if branch == "null" else {name: self.json(branch)}
        kind = schema["type"] if isinstance(schema, dict) else schema
        if kind == "record":
            return {each["name"]: self.json(each["type"]) for each in schema["fields"]}
        if kind == "array":
            return [item for count in self._counts() for item in [self.json(schema["items"]) for _ in range(count)]]
        if kind == "map":
            return {
                self._bytes().decode(): self.json(schema["values"]) for count in self._counts() for _ in range(count)
            }
        return self._leaf(kind, schema)

    def _leaf(self, kind, schema):
        if kind == "null":
            return None
        if kind == "boolean":
            return self._left.read(1) == b"\1"
        if kind in ("int", "long"):
            return self._long()
        if kind in ("float", "double"):
            form = "<f" if kind == "float" else "<d"
            return struct.unpack(form, self._left.read(struct.calcsize(form)))[0]
        if kind == "enum":
            return schema["symbols"][self._long()]
        if kind == "fixed":
            return self._left.read(schema["size"]).decode("latin-1")
        return self._bytes().decode("latin-1" if kind == "bytes" else "utf-8")

    def _counts(self):
        """Of a list or a map, how many items each block has."""
        while count := self._long():
            if count < 0:
                self._long()
            yield abs(count)

    def _bytes(self) -> bytes:
        return self._left.read(self._long())

    def _long(self) -> int:
        found, shift = 0, 0
        while True:
            (byte,) = self._left.read(1)
            found |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (found >> 1) ^ -(found & 1)


def same(found, meant) -> bool:
    """Whether a value is as the writer's type means it; a number is its digits until a field is made of it."""
    if meant is ...:
        return isinstance(found, ValueMismatchError)
    if isinstance(meant, dict):
        return found.keys() == meant.keys() and all(same(found[name], meant[name]) for name in meant)
    if isinstance(meant, list):
        return len(found) == len(meant) and all(map(same, found, meant))
    if isinstance(meant, int) and not isinstance(meant, bool | Instant):
        return isinstance(found, JsonNumber) and int(found) == meant
    if isinstance(meant, float):
        return struct.pack("<d", found) == struct.pack("<d", meant)
    return type(found) is type(meant) and found == meant


@st.composite
def written(draw):
    schema = SchemaMaker(draw).record()
    return schema, drawn_value(draw, schema, names_of(schema))


@given(written())
def test_what_is_said_in_json_is_read_as_its_types_mean_it(made):
    schema, drawn = made
    said = Binary(names_of(schema), drawn.encoded).json(schema)
    body = json.dumps(said, ensure_ascii=False).encode()
    assume(not any(word in body for word in (b"NaN", b"Infinity")))
    assert same(avro_json_value(parse(json.dumps(schema)), body), drawn.meant)


UUID = {"type": "fixed", "name": "Id", "size": 16, "logicalType": "uuid"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
LINE = {"type": "record", "name": "Line", "fields": [{"name": "qty", "type": "int"}]}


def order_schema(kind: object) -> str:
    return json.dumps(
        {"type": "record", "name": "Order", "namespace": "shop", "fields": [{"name": "it", "type": kind}]}
    )


@pytest.mark.parametrize(
    ("kind", "it", "found"),
    [
        ("long", "5", JsonNumber("5")),
        ({"type": "long", "logicalType": "timestamp-micros"}, "5", Instant(5, 1_000_000)),
        (DECIMAL, '"\\u0001\\u0000"', Decimal("2.56")),
        (UUID, '"' + "\\u0000" * 15 + '\\u00ff"', "00000000-0000-0000-0000-0000000000ff"),
        ("bytes", '"\\u00ff"', b"\xff"),
        ("float", "0.10000000149011612", 0.1),
        ("float", "1e39", 1e39),
        ("double", "0.10000000149011612", 0.10000000149011612),
        (["null", "string"], "null", None),
        (["null", "string"], '{"string":"tea"}', "tea"),
        (["null", LINE], '{"shop.Line":{"qty":1}}', {"qty": JsonNumber("1")}),
        # Apicurio's writes the name without its namespace.
        (["null", LINE], '{"Line":{"qty":1}}', {"qty": JsonNumber("1")}),
        ({"type": "map", "values": "int"}, '{"ü":1}', {"ü": JsonNumber("1")}),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, '"A"', "A"),
    ],
)
def test_values_are_what_their_types_say(kind, it, found):
    value = avro_json_value(parse(order_schema(kind)), f'{{"it":{it}}}'.encode())
    assert value["it"] == found
    assert value.type_name == "shop.Order"


@pytest.mark.parametrize(
    ("kind", "it", "reason"),
    [
        ("string", "5", "it is a number (5); expected a text"),
        ("string", "null", "it is null; expected a text"),
        ("long", '"5"', 'it is a text ("5"); expected a number'),
        ("long", "5.0", "it is a number (5.0); expected a whole number"),
        ("long", "1" * 21, "it is a number (111111111111111111111); expected a whole number"),
        ("int", "true", "it is a boolean (true); expected a number"),
        ("double", '"NaN"', 'it is a text ("NaN"); expected a number'),
        ("boolean", "1", "it is a number (1); expected a boolean"),
        ("null", "1", "it is a number (1); expected null"),
        ("bytes", '"€"', "it is a text of more than bytes"),
        ("bytes", "7", "it is a number (7); expected a text of bytes"),
        (LINE, "[]", "it is a list of 0; expected an object"),
        (LINE, '{"qty":"x"}', 'it.qty is a text ("x"); expected a number'),
        (LINE, "{}", "it.qty is null; expected a number"),
        ({"type": "array", "items": "int"}, '{"a":1}', "it is an object; expected a list"),
        ({"type": "array", "items": "int"}, '[1,"x"]', 'it[] is a text ("x"); expected a number'),
        ({"type": "map", "values": "int"}, "[1]", "it is a list of 1; expected an object"),
        ({"type": "map", "values": "int"}, '{"a":"x"}', 'it.a is a text ("x"); expected a number'),
        (["null", "string"], '"tea"', 'it is a text ("tea"); expected a branch of a union'),
        (["null", "string"], '{"int":5}', "it is an object; expected a branch of a union"),
        (["null", "string"], '{"string":"a","null":null}', "it is an object; expected a branch of a union"),
        (["string", "int"], "null", "it is null; expected a branch of a union"),
        (["null", LINE], '{"other.Line":{"qty":1}}', "it is an object; expected a branch of a union"),
    ],
)
def test_what_a_schema_does_not_allow_says_where_and_what(kind, it, reason):
    with pytest.raises(UndecodableError) as caught:
        avro_json_value(parse(order_schema(kind)), f'{{"it":{it}}}'.encode())
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[]", "the record is a list of 0; expected an object"),
        (b'{"it":', "value is no JSON: Input data was truncated"),
        (b'{"it":NaN}', "value is no JSON"),
        (
            b'{"it":"' + b"x" * MAXIMUM_BYTES + b'"}',
            f"Avro's JSON of {MAXIMUM_BYTES + 9} bytes; at most 1000000 are read",
        ),
    ],
)
def test_what_is_no_record_in_json_is_refused(body, reason):
    with pytest.raises(UndecodableError) as caught:
        avro_json_value(parse(order_schema("string")), body)
    assert caught.value.reason.startswith(reason)


def test_a_decimal_that_is_none_is_a_mismatch_only_where_it_is_asked_for():
    value = avro_json_value(parse(order_schema(DECIMAL)), b'{"it":""}')
    assert isinstance(value["it"], ValueMismatchError)
    assert str(value["it"]) == "a decimal of 0 bytes and scale 2"


@pytest.mark.parametrize(("depth", "is_read"), [(10, True), (MAXIMUM_DEPTH, False)])
def test_types_within_each_other_are_read_up_to_a_depth(depth, is_read):
    schema = {"type": "record", "name": "Order", "fields": [{"name": "it", "type": ["null", "Order"]}]}
    body = b'{"it":{"Order":' * depth + b'{"it":null}' + b"}}" * depth
    if is_read:
        assert avro_json_value(parse(json.dumps(schema)), body)["it"] is not None
    else:
        with pytest.raises(UndecodableError) as caught:
            avro_json_value(parse(json.dumps(schema)), body)
        assert caught.value.reason == TOO_DEEP
