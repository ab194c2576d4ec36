"""Reading many orders at once tells the same as reading each: the same order, or nothing, and `decode` is asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.errors import RuleBrokenError, UndecodableError
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.columns import OrderColumns, columns_of, joined
from pipeline.orders.rules import Rules
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order
from pipeline.schema_source import RegisteredSchema, SchemaId, SchemaRef
from tests.support.rule_samples import rules_of

STORE = SchemaStore(Path(__file__).parents[3] / "schemas")
CODEC = OrderCodec(STORE)
EMPTY_ORDER = Order("", "", "", 0, 0, "")
ORDER = Order("ORD-1", "CUST-7", "Café au lait", 1299, 1_700_000_000_000, "north")
NOW_MS = 1_700_000_000_000
NEWEST: dict[str, Any] = json.loads(STORE.latest.text)

texts = st.one_of(st.sampled_from(["", " ", "\x85", "x" * 63, "é" * 40, "\0", "ORD-1"]), st.text(max_size=200))
prices = st.one_of(st.sampled_from([0, 1, -1, 127, 128, -128, -129, 10**12 - 1, 1 - 10**12]), st.integers(0, 10**8))
times = st.one_of(st.sampled_from([0, -1, NOW_MS, NOW_MS + 600_000, NOW_MS + 600_001]), st.integers(0, 4 * 10**12))
orders = st.builds(Order, texts, texts, texts, prices, times, texts)


@st.composite
def encoded(draw: st.DrawFn) -> bytes | None:
    """A value as it may come: an order of any version and framing, often broken in one of many ways."""
    value = CODEC.encode(draw(orders), draw(st.sampled_from([1, 2])))
    match draw(st.sampled_from(["whole", "whole", "cut", "longer", "changed", "noise", "unknown", "null"])):
        case "cut":
            return value[: draw(st.integers(0, len(value)))]
        case "longer":
            return value + draw(st.binary(min_size=1, max_size=9))
        case "changed":
            at = draw(st.integers(0, len(value) - 1))
            return value[:at] + draw(st.binary(min_size=1, max_size=11)) + value[at + 1 :]
        case "noise":
            return draw(st.binary(max_size=40))
        case "unknown":
            return value[:2] + draw(st.binary(min_size=8, max_size=8)) + value[10:]
        case "null":
            return None
    return value


def rows_of(columns: OrderColumns) -> dict[int, Order]:
    return dict(zip(columns.indexes.tolist(), columns.orders(), strict=True))


def decoded(codec: OrderCodec, value: bytes | None) -> Order | None:
    try:
        return codec.decode(value)
    except UndecodableError:
        return None


@given(st.lists(encoded(), max_size=30))
@settings(max_examples=400, deadline=None)
@example([])
@example([None, b"", b"\x00", b"\xc3\x01"])
@example([CODEC.encode(ORDER), CODEC.encode(ORDER)[:-1]])
@example([CODEC.encode(EMPTY_ORDER), CODEC.encode(EMPTY_ORDER)[:-1]])
@example([CODEC.encode(EMPTY_ORDER), CODEC.encode(EMPTY_ORDER)[:-1] + b"\x80"])
def test_what_is_read_at_once_is_what_each_would_be_read_to(values):
    found = rows_of(CODEC.decode_many(values))
    for index, order in found.items():
        assert order == decoded(CODEC, values[index])
    assert list(found) == sorted(found)


@given(st.lists(orders, max_size=30), st.sampled_from([1, 2]))
@settings(deadline=None)
def test_orders_as_we_write_them_are_all_read_at_once(given_orders, version):
    found = rows_of(CODEC.decode_many([CODEC.encode(order, version) for order in given_orders]))
    readable = [decoded(CODEC, CODEC.encode(order, version)) for order in given_orders]
    assert list(found.values()) == [order for order in readable if order is not None]


@pytest.mark.parametrize("at", range(len(CODEC.encode(ORDER))))
@pytest.mark.parametrize("byte", [0x00, 0x01, 0x7F, 0x80, 0xFF])
def test_no_byte_that_is_another_is_read_otherwise(at, byte):
    value = CODEC.encode(ORDER)
    value = value[:at] + bytes([byte]) + value[at + 1 :]
    found = rows_of(CODEC.decode_many([value, CODEC.encode(ORDER)]))
    assert found[1] == ORDER
    assert found.get(0) in (None, decoded(CODEC, value))


def test_versions_and_frames_may_be_mixed():
    class Registry:
        def get(self, ref: SchemaRef) -> RegisteredSchema | None:
            known = {SchemaId(version): RegisteredSchema("AVRO", STORE.version(version).text) for version in (1, 2)}
            return known.get(ref)

    codec = OrderCodec(STORE, Registry())
    values = [
        codec.encode(ORDER, 1),
        codec.encode_confluent(ORDER, 2, 2),
        codec.encode_confluent(ORDER, 9),
        codec.encode(ORDER, 2),
        codec.encode_confluent(ORDER, 1, 1),
    ]
    found = rows_of(codec.decode_many(values))
    assert list(found) == [0, 1, 3, 4]
    assert [found[index] for index in found] == [codec.decode(values[index]) for index in found]


@pytest.mark.parametrize(
    "field",
    [
        {"name": "region", "type": ["null", "string"]},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 3}},
        {"name": "created_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "extra", "type": {"type": "array", "items": "null"}},
    ],
)
def test_a_schema_of_more_than_plain_fields_is_left_to_the_strict_readers(field):
    known = {each["name"]: each for each in NEWEST["fields"]} | {field["name"]: field}

    class Registry:
        def get(self, ref: SchemaRef) -> RegisteredSchema:
            return RegisteredSchema("AVRO", json.dumps(NEWEST | {"fields": list(known.values())}))

    codec = OrderCodec(STORE, Registry())
    assert len(codec.decode_many([b"\0\0\0\0\7" + CODEC.encode(ORDER)[10:]])) == 0


@given(st.lists(orders, min_size=1, max_size=20), st.sampled_from([None, 0, 3600]), st.booleans())
@settings(deadline=None)
def test_rules_keep_the_same_orders_whether_asked_at_once_or_one_by_one(given_orders, max_age_s, listed):
    settings = {"required": ["order_id", "customer_id", "product"], "price_min": "0.01", "max_ahead_s": 600}
    if max_age_s is not None:
        settings["max_age_s"] = max_age_s
    if listed:
        settings["products"] = ["ORD-1", given_orders[0].product]
    rules = rules_of(settings | {"price_max": "100000"})
    columns = CODEC.decode_many([CODEC.encode(order) for order in given_orders])
    kept = rules.valid_mask(columns, NOW_MS).tolist()
    for order, is_kept in zip(rows_of(columns).values(), kept, strict=True):
        assert is_kept == keeps(rules, order)


def keeps(rules: Rules, order: Order) -> bool:
    try:
        rules.check(order, NOW_MS)
    except RuleBrokenError:
        return False
    return True


def test_parts_are_joined_in_the_order_of_their_indexes():
    values = [CODEC.encode(ORDER, 1 + index % 2) for index in range(7)]
    whole = CODEC.decode_many(values)
    assert whole.indexes.tolist() == list(range(7))
    assert len(joined([])) == 0


@pytest.mark.parametrize("version", [1, 2])
@given(many=st.lists(orders, max_size=30))
@settings(deadline=None)
def test_what_is_written_at_once_is_what_each_would_be_written_to(many, version):
    columns = columns_of(many)
    assert CODEC.encode_many(columns, version) == [CODEC.encode(order, version) for order in many]
    confluent = [CODEC.encode_confluent(order, 258, version) for order in many]
    assert CODEC.encode_many_confluent(columns, 258, version) == confluent


@pytest.mark.parametrize("cents", [10**12, -(10**12)])
def test_a_price_that_fits_no_decimal_is_refused_among_many_too(cents):
    with pytest.raises(ValueError, match="do not fit"):
        CODEC.encode_many(columns_of([ORDER, replace(ORDER, price_cents=cents)]))


def test_orders_of_a_schema_that_is_not_flat_are_written_at_once_too(tmp_path):
    optional = json.loads(STORE.latest.text)
    for each in optional["fields"]:
        if each["name"] == "product":
            each["type"] = ["null", "string"]
    (tmp_path / "order.v2.avsc").write_text(json.dumps(optional))
    codec = OrderCodec(SchemaStore(tmp_path))
    assert codec.encode_many(columns_of([ORDER, EMPTY_ORDER])) == [codec.encode(ORDER), codec.encode(EMPTY_ORDER)]
