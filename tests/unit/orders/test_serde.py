"""Orders survive the way to bytes and back, whatever version of the schema they were written with."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.orders.avro import decimal_bytes
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order
from tests.support.orders_as_bytes import (
    FRAME,
    LOCAL,
    NEWEST,
    ORDER,
    STORE,
    Registry,
    codec_knowing,
    datum,
    reason_for,
    with_field,
    written,
)

orders = st.builds(
    Order,
    st.text(),
    st.text(),
    st.text(),
    st.integers(-(10**12) + 1, 10**12 - 1),
    st.integers(0, 250_000_000_000_000),
    st.text(),
)


@settings(max_examples=200)
@given(orders)
def test_an_order_comes_back_as_it_was_from_both_framings(order: Order) -> None:
    assert LOCAL.decode(LOCAL.encode(order)) == order
    assert codec_knowing(NEWEST).decode(LOCAL.encode_confluent(order, 7)) == order


@settings(max_examples=200)
@given(orders)
def test_fastavro_reads_what_we_write(order: Order) -> None:
    value = LOCAL.encode(order)
    read = fastavro.schemaless_reader(io.BytesIO(value[10:]), fastavro.parse_schema(NEWEST))
    assert isinstance(read, dict)
    assert read["order_id"] == order.order_id
    assert read["price"] == Decimal(order.price_cents).scaleb(-2)


def test_the_framings_look_as_their_specifications_say() -> None:
    fingerprint = fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(NEWEST), "CRC-64-AVRO")
    assert LOCAL.encode(ORDER)[:10] == b"\xc3\x01" + bytes.fromhex(fingerprint)
    assert LOCAL.encode_confluent(ORDER, 258)[:5] == b"\x00\x00\x00\x01\x02"
    assert LOCAL.encode(ORDER)[10:] == LOCAL.encode_confluent(ORDER, 258)[5:]


def test_version_1_has_no_region_and_is_read_with_the_default() -> None:
    old = LOCAL.encode(ORDER, version=1)
    assert b"north" not in old
    assert LOCAL.decode(old) == Order("ORD-1", "CUST-7", "Café au lait", 1299, 1_700_000_000_000, "unknown")


def test_both_versions_are_read_in_any_sequence_by_one_codec() -> None:
    codec = OrderCodec(STORE)
    values = [codec.encode(ORDER, version) for version in (1, 2, 1, 2, 2, 1)]
    assert [codec.decode(value).region for value in values] == ["unknown", "north"] * 2 + ["north", "unknown"]


def test_version_1_of_the_registry_is_read_like_that_of_the_folder() -> None:
    codec = codec_knowing(STORE.version(1).text)
    assert codec.decode(LOCAL.encode_confluent(ORDER, 7, version=1)) == replace(ORDER, region="unknown")


def test_a_reader_that_knows_version_1_only_reads_version_2(tmp_path: Path) -> None:
    (tmp_path / "order.v1.avsc").write_text(STORE.version(1).text)
    codec = OrderCodec(SchemaStore(tmp_path), Registry(NEWEST))
    assert codec.decode(LOCAL.encode_confluent(ORDER, 7)) == replace(ORDER, region="unknown")


def test_a_reader_with_a_later_version_fills_in_what_older_writers_do_not_tell(tmp_path: Path) -> None:
    for version in (1, 2):
        (tmp_path / f"order.v{version}.avsc").write_text(STORE.version(version).text)
    extra = {"name": "extra", "type": "string", "default": "more"}
    fields = [field | {"default": "nowhere"} if field["name"] == "region" else field for field in NEWEST["fields"]]
    (tmp_path / "order.v3.avsc").write_text(json.dumps(NEWEST | {"fields": [extra, *fields]}))
    codec = OrderCodec(SchemaStore(tmp_path))
    assert codec.decode(LOCAL.encode(ORDER, version=1)) == replace(ORDER, region="nowhere")
    assert codec.decode(LOCAL.encode(ORDER, version=2)) == ORDER


@pytest.mark.parametrize("namespace", [{"namespace": "com.shop.sales"}, {"namespace": ""}, {"name": "com.shop.Order"}])
def test_the_namespace_of_the_writers_record_does_not_matter(namespace: dict[str, str]) -> None:
    schema = NEWEST | namespace
    assert codec_knowing(schema).decode(written(schema, datum())) == ORDER


def test_fields_may_come_in_another_order_and_there_may_be_more_of_them() -> None:
    schema = NEWEST | {
        "fields": [
            {"name": "tags", "type": {"type": "array", "items": "string"}},
            *reversed(NEWEST["fields"]),
            {"name": "extra", "type": {"type": "map", "values": ["null", "double", "boolean", "int"]}},
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
            {"name": "other", "type": ["null", "Kind"]},
            {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 3}},
            {"name": "ratio", "type": "float"},
            {"name": "before", "type": ["null", "Order"]},
        ]
    }
    more = {"tags": ["a", "b"], "extra": {"x": None, "y": 1.5, "z": True, "i": -3}, "kind": "B", "other": "A"}
    more |= {"hash": b"abc", "ratio": 0.5}
    inner = datum(**more, before=None)
    assert codec_knowing(schema).decode(written(schema, datum(**more, before=inner))) == ORDER


def test_types_that_avro_promotes_are_promoted() -> None:
    schema = with_field("created_at", type="int")
    schema = schema | {"fields": [f | {"type": "bytes"} if f["name"] == "product" else f for f in schema["fields"]]}
    value = written(schema, datum(product="Café au lait".encode(), created_at=2_000_000))
    assert codec_knowing(schema).decode(value) == Order("ORD-1", "CUST-7", "Café au lait", 1299, 2_000_000, "north")


def test_a_field_is_found_by_an_alias_in_the_readers_schema(tmp_path: Path) -> None:
    ours = with_field("customer_id", aliases=["buyer"])
    (tmp_path / "order.v2.avsc").write_text(json.dumps(ours))
    theirs = with_field("customer_id", name="buyer")
    value = written(theirs, datum(buyer="CUST-9"))
    assert OrderCodec(SchemaStore(tmp_path), Registry(theirs)).decode(value).customer_id == "CUST-9"


def test_a_record_is_found_by_an_alias_in_the_readers_schema(tmp_path: Path) -> None:
    (tmp_path / "order.v2.avsc").write_text(json.dumps(NEWEST | {"aliases": ["com.shop.Purchase"]}))
    theirs = NEWEST | {"name": "Purchase", "namespace": "org.example"}
    assert OrderCodec(SchemaStore(tmp_path), Registry(theirs)).decode(written(theirs, datum())) == ORDER


def test_an_own_name_goes_before_an_alias(tmp_path: Path) -> None:
    (tmp_path / "order.v2.avsc").write_text(json.dumps(with_field("customer_id", aliases=["buyer"])))
    theirs = NEWEST | {"fields": [{"name": "buyer", "type": "string"}, *NEWEST["fields"]]}
    value = written(theirs, datum(buyer="CUST-9"))
    assert OrderCodec(SchemaStore(tmp_path), Registry(theirs)).decode(value) == ORDER


def test_types_of_other_schemas_that_a_schema_refers_to_are_known() -> None:
    amount = {"type": "fixed", "name": "shop.Amount", "size": 9, "logicalType": "decimal", "precision": 18, "scale": 2}
    basket = {"type": "record", "name": "shop.Basket", "fields": [{"name": "sum", "type": "shop.Amount"}]}
    theirs = with_field("price", type="shop.Amount")
    theirs |= {"fields": [*theirs["fields"], {"name": "basket", "type": ["null", "shop.Basket"]}]}
    value = FRAME + LOCAL.encode(ORDER)[10:].replace(b"\x04\x05\x13", (1299).to_bytes(9, "big")) + b"\x02" + bytes(9)
    assert codec_knowing(theirs, amount, basket).decode(value) == ORDER
    assert reason_for(value, codec_knowing(theirs, amount)).startswith("schema id 7 cannot be read: it is no Avro")
    assert reason_for(value, codec_knowing(theirs, amount, "{")).startswith("schema id 7 cannot be read: it is no Avro")


def test_a_missing_field_takes_the_default_of_the_readers_schema(tmp_path: Path) -> None:
    ours = with_field("product", default="Gift card")
    (tmp_path / "order.v2.avsc").write_text(json.dumps(ours))
    theirs = NEWEST | {"fields": [field for field in NEWEST["fields"] if field["name"] != "product"]}
    value = written(theirs, datum())
    assert OrderCodec(SchemaStore(tmp_path), Registry(theirs)).decode(value).product == "Gift card"


def test_a_union_is_read_as_long_as_its_value_fits() -> None:
    schema = with_field("customer_id", type=["null", "string", "int"])
    codec = codec_knowing(schema)
    assert codec.decode(written(schema, datum())) == ORDER
    assert reason_for(written(schema, datum(customer_id=None)), codec) == "customer_id is null"
    assert reason_for(written(schema, datum(customer_id=5)), codec) == (
        "customer_id is of type int and must be a string"
    )


@pytest.mark.parametrize(
    ("kind", "price", "cents"),
    [
        ({"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4}, "12.9900", 1299),
        ({"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4}, "-0.0100", -1),
        ({"type": "bytes", "logicalType": "decimal", "precision": 20}, "13", 1300),
        ({"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 1}, "12.5", 1250),
        (
            {"type": "fixed", "name": "P", "size": 9, "logicalType": "decimal", "precision": 18, "scale": 2},
            "-3.00",
            -300,
        ),
    ],
)
def test_a_price_of_another_scale_is_exact_to_the_cent(kind: dict[str, Any], price: str, cents: int) -> None:
    schema = with_field("price", type=kind)
    assert codec_knowing(schema).decode(written(schema, datum(price=Decimal(price)))).price_cents == cents


def test_a_price_is_refused_when_it_is_not_in_whole_cents() -> None:
    schema = with_field("price", type={"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4})
    value = written(schema, datum(price=Decimal("12.9901")))
    assert reason_for(value, codec_knowing(schema)) == "price is not in whole cents"


def test_a_price_is_refused_when_it_has_too_many_digits() -> None:
    schema = with_field("price", type={"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 2})
    value = written(schema, datum(price=Decimal("10000000000.00")))
    assert reason_for(value, codec_knowing(schema)) == "price has more than 12 digits"


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("long", 1_700_000_000_000),
        ({"type": "long", "logicalType": "timestamp-micros"}, 1_700_000_000_000_999),
        ({"type": "long", "logicalType": "timestamp-nanos"}, 1_700_000_000_000_999_999),
    ],
)
def test_a_time_in_another_unit_becomes_milliseconds(kind: Any, number: int) -> None:
    schema = with_field("created_at", type=kind)
    assert codec_knowing(schema).decode(written(schema, datum(created_at=number))) == ORDER


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            {"type": "long", "logicalType": "local-timestamp-millis"},
            "local-timestamp-millis and must be a timestamp: it names no time zone",
        ),
        (
            {"type": "long", "logicalType": "local-timestamp-micros"},
            "local-timestamp-micros and must be a timestamp: it names no time zone",
        ),
        ({"type": "long", "logicalType": "shop-timestamp-millis"}, "shop-timestamp-millis and must be a timestamp"),
        ({"type": "int", "logicalType": "date"}, "date and must be a timestamp"),
        (
            {"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"},
            "io.debezium.time.MicroTimestamp and must be a timestamp",
        ),
        (
            {"type": "long", "connect.name": "io.debezium.time.NanoTimestamp"},
            "io.debezium.time.NanoTimestamp and must be a timestamp",
        ),
    ],
)
def test_a_time_without_a_zone_or_in_an_unknown_unit_is_refused(kind: Any, said: str) -> None:
    schema = with_field("created_at", type=kind)
    plain = with_field("created_at", type=kind["type"])
    value = written(plain, datum(created_at=19_000))
    reason = reason_for(
        written(schema, datum(created_at=19_000)) if "connect.name" in kind else value, codec_knowing(schema)
    )
    assert f"created_at is of type {said}" in reason


def test_a_time_that_is_no_date_is_refused() -> None:
    schema = with_field("created_at", type="long")
    value = written(schema, datum(created_at=2**63 - 1))
    assert reason_for(value, codec_knowing(schema)) == (
        "created_at is 9223372036854775807, outside of the years 1 to 9999"
    )


@settings(max_examples=200)
@given(st.integers(-(10**12) + 1, 10**12 - 1))
@example(-128)
@example(-129)
@example(127)
@example(128)
@example(0)
def test_a_decimal_is_the_shortest_two_s_complement(cents: int) -> None:
    raw = decimal_bytes(cents)
    assert int.from_bytes(raw, "big", signed=True) == cents
    assert len(raw) == 1 or int.from_bytes(raw[1:], "big", signed=True) != cents


def test_a_price_that_fits_no_order_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        decimal_bytes(10**12)
