"""No bytes and no schemas at all can do more than be refused with a reason."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import RegistryUnavailableError, SettingsError, UndecodableError
from pipeline.orders import avro_schemas, serde
from pipeline.orders.avro import DECIMAL_LIMIT, OrderPlan, UnresolvableError, _pass_over_items
from pipeline.orders.avro_schemas import SchemaStore, parse
from pipeline.orders.formats import schemas
from pipeline.orders.serde import OrderCodec
from pipeline.schema_source import SchemaId, SchemaKind
from tests.support.orders_as_bytes import (
    FRAME,
    LOCAL,
    NEWEST,
    ORDER,
    STORE,
    Registry,
    RegistryThatIsAway,
    codec_knowing,
    datum,
    reason_for,
    with_extra_field,
    with_field,
    written,
)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "value is null (a tombstone)"),
        (b"", "value is empty"),
        (
            b'{"order_id": 1}',
            "value is JSON, and `Order` is Avro; a section for the topic in the mapping file says how to read it",
        ),
        (
            b"\xc3\x02rest",
            "value begins with 0xc302: neither Avro single-object nor Confluent framing, nor JSON; without a "
            "framing Protobuf needs `descriptor` and `message` in the mapping file, Avro `avro_schema`",
        ),
        (b"\xc3\x01\x01\x02", "truncated after 4 bytes, in the schema fingerprint"),
        (b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08", "unknown schema fingerprint 0102030405060708"),
        (b"\x00\x00\x00", "truncated after 3 bytes, in the schema id"),
        (
            b"\x00\x00\x00\x00\x2a...",
            "schema id 42 needs a registry (ORDERPULSE_SCHEMA_REGISTRY_URL is not set)",
        ),
    ],
)
def test_bytes_without_a_schema_are_refused_with_the_reason(value: bytes | None, reason: str) -> None:
    assert reason_for(value) == reason


BODY = LOCAL.encode(ORDER)[:10]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (LOCAL.encode(ORDER) + b"xyz", "3 trailing bytes after the order"),
        (LOCAL.encode(ORDER) + b"x", "1 trailing byte after the order"),
        (LOCAL.encode(ORDER)[:14], "truncated after 14 bytes, in order_id"),
        (LOCAL.encode(ORDER, 2)[:-1], "truncated after 51 bytes, in region"),
        (BODY + b"\x09", "order_id has a negative length (-5)"),
        (BODY + b"\x02\xff", "order_id is not valid UTF-8"),
        (BODY + b"\xff" * 9 + b"\x02", "order_id is a number of more than 64 bits"),
        (BODY + b"\xff" * 30, "order_id is a number of more than 64 bits"),
        (BODY + b"\x0c", "truncated after 11 bytes, in order_id"),
        (BODY + b"\x00\x00\x00\x00", "price is a decimal of 0 bytes and scale 2"),
        (BODY + b"\x00\x00\x00\x82\x01" + bytes(DECIMAL_LIMIT + 1), "price is a decimal of 65 bytes and scale 2"),
    ],
)
def test_a_broken_body_is_refused_with_the_field_and_the_reason(value: bytes, reason: str) -> None:
    assert reason_for(value) == reason


def test_a_schema_that_was_found_is_not_asked_for_again_and_one_that_was_not_is() -> None:
    registry = Registry(NEWEST)
    codec = OrderCodec(STORE, registry)
    for _ in range(2):
        assert reason_for(b"\x00\x00\x00\x00\x2a", codec) == "unknown schema id 42"
        codec.decode(LOCAL.encode_confluent(ORDER, 7))
    assert registry.asked == [SchemaId(42), SchemaId(7), SchemaId(42)]


@pytest.mark.parametrize(
    ("kind", "text"),
    [("PROTOBUF", 'syntax = "proto3"; message Order {}'), ("JSON", '{"type": "object", "title": "Order"}')],
)
def test_a_schema_of_another_kind_is_named_and_not_parsed(kind: SchemaKind, text: str) -> None:
    codec = OrderCodec(STORE, Registry(text, kind=kind))
    assert reason_for(FRAME, codec) == f"schema id 7 is of kind {kind}, not AVRO"


def test_a_record_is_not_judged_while_the_registry_is_away() -> None:
    with pytest.raises(RegistryUnavailableError):
        OrderCodec(STORE, RegistryThatIsAway()).decode(LOCAL.encode_confluent(ORDER, 7))


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (NEWEST | {"name": "Payment"}, "schema id 7 cannot be read as an Order: its record is Payment, not Order"),
        ('"string"', "schema id 7 cannot be read as an Order: it is no record"),
        (
            with_field("price", type="double"),
            "schema id 7 cannot be read as an Order: price is of type double and must be a decimal",
        ),
        (
            with_field("order_id", name="id"),
            "schema id 7 cannot be read as an Order: it has no field order_id",
        ),
        ("{", "schema id 7 cannot be read: it is no Avro schema"),
        ("null", "schema id 7 cannot be read: it is no Avro schema"),
        ('{"type": "record"}', "schema id 7 cannot be read: it is no Avro schema"),
        (with_extra_field("com.example.Unheard"), "schema id 7 cannot be read: it is no Avro schema"),
        (
            with_extra_field({"type": "fixed", "name": "F", "size": "big"}),
            "schema id 7 cannot be read: the size of orderpulse.F is 'big'",
        ),
        (
            with_field("order_id", name=["order_id"]),
            "schema id 7 cannot be read: orderpulse.Order has a name or an alias that is no text",
        ),
    ],
)
def test_a_writers_schema_that_is_no_order_is_named_with_the_reason(schema: Any, reason: str) -> None:
    assert reason_for(FRAME, codec_knowing(schema)).startswith(reason)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "record", "doc": "a secret"},
        {"type": "secret", "doc": "a secret"},
        {"type": "record", "name": "R", "fields": [{"doc": "a secret"}]},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "default": {"a": "secret"}}]},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "aliases": {"a": "secret"}}]},
        {"type": "fixed", "name": "F", "size": ["x" * 10_000]},
        "Unheard" * 1000,
    ],
)
def test_the_reason_for_a_schema_that_cannot_be_parsed_does_not_hold_its_text(part: Any) -> None:
    reason = reason_for(FRAME, codec_knowing(with_extra_field(part)))
    assert reason.startswith("schema id 7 cannot be read: ")
    assert "secret" not in reason
    assert len(reason) < 200


ARRAY_OF_NULLS = {"type": "array", "items": "null"}
FIVE = b"\x0a"
"""Five as Avro writes it, for instance as the count of an array."""


def test_items_without_bytes_are_passed_over_at_once() -> None:
    value = FRAME + FIVE + b"\x00" + LOCAL.encode(ORDER)[10:]
    assert codec_knowing(with_extra_field(ARRAY_OF_NULLS)).decode(value) == ORDER


@pytest.mark.parametrize(("item_bytes", "looks"), [(0, 1), (1, 5)])
def test_of_items_without_bytes_only_the_first_is_looked_at(item_bytes: int, looks: int) -> None:
    looked_at = []

    def pass_over(data: bytes, at: int) -> tuple[None, int]:
        looked_at.append(at)
        return None, at + item_bytes

    assert _pass_over_items(pass_over, bytes(5), 0, 5) == 5 * item_bytes
    assert len(looked_at) == looks


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ({"type": "array", "items": "string"}, FIVE, "truncated after 6 bytes, in extra"),
        ({"type": "array", "items": "long"}, b"\x01\x01", "extra has a negative length (-1)"),
        (["null", "string"], b"\x01", "extra has union branch -1 of 2"),
        (["null", "string"], b"\x04", "extra has union branch 2 of 2"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, b"\x01", "extra has symbol -1 of 1"),
        ("boolean", b"\x02", "extra is a boolean of 0x02"),
        ("int", b"\xfe\xff\xff\xff\xff\x01", "extra is an int of more than 32 bits"),
        ("double", b"\x00", "truncated after 6 bytes, in extra"),
    ],
)
def test_a_field_that_is_passed_over_is_checked_all_the_same(kind: Any, body: bytes, reason: str) -> None:
    assert reason_for(FRAME + body, codec_knowing(with_extra_field(kind))) == reason


def orders_within_an_order(count: int) -> tuple[dict[str, Any], bytes]:
    """A schema of orders that may hold an order, and one that holds so many within each other."""
    schema = NEWEST | {"fields": [{"name": "extra", "type": ["null", "Order"]}, *NEWEST["fields"]]}
    order = datum(extra=None)
    for _ in range(count):
        order = datum(extra=order)
    return schema, written(schema, order)


# Each is a record in a union, and the last one has a null in a union of its own.
@pytest.mark.parametrize(("count", "depth"), [(1, 3), (2, 5), (3, 7)])
def test_orders_within_orders_are_read_to_the_depth_that_is_set(count: int, depth: int) -> None:
    schema, value = orders_within_an_order(count)
    assert OrderCodec(STORE, Registry(schema), maximum_depth=depth).decode(value) == ORDER
    too_shallow = OrderCodec(STORE, Registry(schema), maximum_depth=depth - 1)
    assert reason_for(value, too_shallow) == "its fields are nested too deeply"


def test_what_is_deeper_in_the_schema_than_in_the_data_is_no_reason_to_refuse_it() -> None:
    kind: Any = "null"
    for _ in range(6):
        kind = {"type": "array", "items": kind}
    codec = OrderCodec(STORE, Registry(with_extra_field(kind)), maximum_depth=2)
    arrays = b"\x02" * 2 + b"\x00" * 3
    assert codec.decode(FRAME + arrays + LOCAL.encode(ORDER)[10:]) == ORDER
    assert reason_for(FRAME + b"\x02" * 3, codec) == "its fields are nested too deeply"


def test_a_schema_is_taken_to_the_depth_that_is_set() -> None:
    text = STORE.latest.text
    # The record, its fields, a field, and the field's type.
    assert parse(text, maximum_depth=4).parsed["name"] == "orderpulse.Order"
    for texts in ((text,), ('"string"', (text,))):
        with pytest.raises(UnresolvableError, match="^it is nested too deeply$"):
            parse(*texts, maximum_depth=3)


def test_a_schema_that_is_nested_too_deeply_gets_its_records_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "parse", partial(parse, maximum_depth=3))
    assert reason_for(FRAME, codec_knowing(NEWEST)) == "schema id 7 cannot be read: it is nested too deeply"


def beyond_python_s_own_depth(*arguments: Any) -> None:
    raise RecursionError


@pytest.mark.parametrize(
    ("module", "step", "reason"),
    [
        (avro_schemas, "parse_schema", "schema id 7 cannot be read: it is no Avro schema (RecursionError: )"),
        (serde, "plan_order", "schema id 7 cannot be read as an Order: "),
    ],
)
def test_python_s_own_limit_in_a_schema_gets_its_records_refused(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, step: str, reason: str
) -> None:
    monkeypatch.setattr(module, step, beyond_python_s_own_depth)
    assert reason_for(FRAME, codec_knowing(NEWEST)) == reason


def test_python_s_own_limit_in_a_record_gets_it_refused() -> None:
    with pytest.raises(UndecodableError, match="^its fields are nested too deeply$"):
        OrderPlan(((beyond_python_s_own_depth, 0),), (None,)).read(b"", 0)


RICH = with_extra_field(
    {
        "type": "record",
        "name": "Extra",
        "fields": [
            {"name": "items", "type": {"type": "array", "items": ["null", "Extra", "double"]}},
            {"name": "nothing", "type": {"type": "map", "values": {"type": "array", "items": "null"}}},
        ],
    }
)
NESTED = datum(extra={"items": [None, 1.5, {"items": [], "nothing": {}}], "nothing": {"a": [None, None]}})
CODEC_WITH_RICH = codec_knowing(RICH)
VALID = [LOCAL.encode(ORDER), LOCAL.encode(ORDER, version=1), written(RICH, NESTED)]


def test_the_valid_records_that_are_mutated_below_are_valid() -> None:
    assert [CODEC_WITH_RICH.decode(value).order_id for value in VALID] == ["ORD-1"] * 3


@settings(max_examples=300)
@given(st.sampled_from([b"", b"\xc3\x01", BODY, FRAME, VALID[0][:30]]), st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(beginning: bytes, rest: bytes) -> None:
    assert_decoded_or_refused(beginning + rest)


@settings(max_examples=300)
@given(st.sampled_from(VALID), st.data())
def test_no_change_to_a_valid_record_does_more_than_get_it_refused(value: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(value)))
    cut = data.draw(st.integers(0, 4))
    put = data.draw(st.one_of(st.binary(max_size=4), st.just(FIVE), st.just(b"\xff" * 12)))
    assert_decoded_or_refused(value[:at] + put + value[at + cut :])


def assert_decoded_or_refused(value: bytes) -> None:
    """Fails on any other exception, and on an order that the buffer could not hold."""
    assert outcome(value)


def outcome(value: bytes, codec: OrderCodec = CODEC_WITH_RICH) -> str:
    try:
        order = codec.decode(value)
    except UndecodableError as error:
        return error.reason
    assert -(10**12) < order.price_cents < 10**12
    return "decoded"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "string", "Order", "record", "long"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "name", "fields", "items", "size", "logicalType"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def with_something_else_somewhere(node: Any, data: st.DataObject) -> Any:
    """The JSON with one of its values replaced."""
    if not isinstance(node, dict | list) or not node or data.draw(st.integers(0, 4)) == 0:
        return data.draw(json_values)
    key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
    changed = with_something_else_somewhere(node[key], data)
    if isinstance(node, dict):
        return node | {key: changed}
    return [*node[:key], changed, *node[key + 1 :]]


@settings(max_examples=300)
@given(st.data())
def test_no_schema_of_the_registry_does_more_than_get_its_records_refused(data: st.DataObject) -> None:
    codec = codec_knowing(with_something_else_somewhere(RICH, data))
    value = data.draw(st.sampled_from([VALID[2], FRAME + VALID[0][10:], FRAME]))
    assert outcome(value, codec)


@settings(max_examples=200)
@given(st.data())
def test_no_schema_file_does_more_than_get_the_folder_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "mutated" / "order.v1.avsc"
    path.parent.mkdir(exist_ok=True)
    schema = with_field("customer_id", aliases=["buyer"], default="nobody") | {"aliases": ["Purchase"]}
    path.write_text(json.dumps(with_something_else_somewhere(schema, data)))
    assert folder_outcome(path.parent)


def folder_outcome(folder: Path) -> str:
    try:
        return OrderCodec(SchemaStore(folder)).encode(ORDER, version=1).hex()
    except SettingsError as error:
        return str(error)
