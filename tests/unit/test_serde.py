"""Orders survive the way to bytes and back, and no bytes at all can do more than be refused with a reason."""

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

from pipeline.avro import decimal_bytes
from pipeline.errors import RegistryUnavailableError, SettingsError, UndecodableError
from pipeline.records import Order
from pipeline.serde import OrderCodec, SchemaStore

SCHEMAS = Path(__file__).parents[2] / "schemas"
STORE = SchemaStore(SCHEMAS)
LOCAL = OrderCodec(STORE)
ORDER = Order("ORD-1", "CUST-7", "Café au lait", 1299, 1_700_000_000_000, "north")
V2: dict[str, Any] = json.loads(STORE.version(2).text)
FRAME = b"\x00\x00\x00\x00\x07"


class Registry:
    """What a registry says that knows one schema, as id 7, and the schemas that it refers to."""

    def __init__(self, schema: Any, *referenced: Any) -> None:
        self.texts = tuple(each if isinstance(each, str) else json.dumps(each) for each in (*referenced, schema))
        self.asked: list[int] = []

    def get_by_id(self, schema_id: int) -> tuple[str, ...] | None:
        self.asked.append(schema_id)
        return self.texts if schema_id == 7 else None


class RegistryThatIsAway:
    def get_by_id(self, schema_id: int) -> tuple[str, ...] | None:
        raise RegistryUnavailableError("connection refused")


def codec_knowing(schema: Any, *referenced: Any) -> OrderCodec:
    return OrderCodec(STORE, Registry(schema, *referenced))


def written(schema: dict[str, Any], datum: dict[str, Any]) -> bytes:
    """The datum as another program writes it, logical types and all."""
    out = io.BytesIO(FRAME)
    out.seek(len(FRAME))
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), datum)
    return out.getvalue()


def datum(**changes: Any) -> dict[str, Any]:
    return {
        "order_id": "ORD-1",
        "customer_id": "CUST-7",
        "product": "Café au lait",
        "price": Decimal("12.99"),
        "created_at": 1_700_000_000_000,
        "region": "north",
    } | changes


def with_field(name: str, /, **changes: Any) -> dict[str, Any]:
    """Version 2 with one field changed."""
    fields = [field | changes if field["name"] == name else field for field in V2["fields"]]
    return V2 | {"fields": fields}


def with_extra_field(kind: Any) -> dict[str, Any]:
    """Version 2 with a field in front that no order has."""
    return V2 | {"fields": [{"name": "extra", "type": kind}, *V2["fields"]]}


def reason_for(value: bytes | None, codec: OrderCodec = LOCAL) -> str:
    with pytest.raises(UndecodableError) as caught:
        codec.decode(value)
    assert caught.value.rule == "avro"
    return caught.value.reason


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
    assert codec_knowing(V2).decode(LOCAL.encode_confluent(order, 7)) == order


@settings(max_examples=200)
@given(orders)
def test_fastavro_reads_what_we_write(order: Order) -> None:
    value = LOCAL.encode(order)
    read = fastavro.schemaless_reader(io.BytesIO(value[10:]), fastavro.parse_schema(V2))
    assert isinstance(read, dict)
    assert read["order_id"] == order.order_id
    assert read["price"] == Decimal(order.price_cents).scaleb(-2)


def test_the_framings_look_as_their_specifications_say() -> None:
    fingerprint = fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(V2), "CRC-64-AVRO")
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
    codec = OrderCodec(SchemaStore(tmp_path), Registry(V2))
    assert codec.decode(LOCAL.encode_confluent(ORDER, 7)) == replace(ORDER, region="unknown")


def test_a_reader_with_a_later_version_fills_in_what_older_writers_do_not_tell(tmp_path: Path) -> None:
    for version in (1, 2):
        (tmp_path / f"order.v{version}.avsc").write_text(STORE.version(version).text)
    extra = {"name": "channel", "type": "string", "default": "web"}
    fields = [field | {"default": "nowhere"} if field["name"] == "region" else field for field in V2["fields"]]
    (tmp_path / "order.v3.avsc").write_text(json.dumps(V2 | {"fields": [extra, *fields]}))
    codec = OrderCodec(SchemaStore(tmp_path))
    assert codec.decode(LOCAL.encode(ORDER, version=1)) == replace(ORDER, region="nowhere")
    assert codec.decode(LOCAL.encode(ORDER, version=2)) == ORDER


@pytest.mark.parametrize("namespace", [{"namespace": "com.shop.sales"}, {"namespace": ""}, {"name": "com.shop.Order"}])
def test_the_namespace_of_the_writers_record_does_not_matter(namespace: dict[str, str]) -> None:
    schema = V2 | namespace
    assert codec_knowing(schema).decode(written(schema, datum())) == ORDER


def test_fields_may_come_in_another_order_and_there_may_be_more_of_them() -> None:
    schema = V2 | {
        "fields": [
            {"name": "tags", "type": {"type": "array", "items": "string"}},
            *reversed(V2["fields"]),
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
    (tmp_path / "order.v2.avsc").write_text(json.dumps(V2 | {"aliases": ["com.shop.Purchase"]}))
    theirs = V2 | {"name": "Purchase", "namespace": "org.example"}
    assert OrderCodec(SchemaStore(tmp_path), Registry(theirs)).decode(written(theirs, datum())) == ORDER


def test_an_own_name_goes_before_an_alias(tmp_path: Path) -> None:
    (tmp_path / "order.v2.avsc").write_text(json.dumps(with_field("customer_id", aliases=["buyer"])))
    theirs = V2 | {"fields": [{"name": "buyer", "type": "string"}, *V2["fields"]]}
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
    theirs = V2 | {"fields": [field for field in V2["fields"] if field["name"] != "product"]}
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


def test_a_time_that_is_no_date_is_refused() -> None:
    schema = with_field("created_at", type="long")
    value = written(schema, datum(created_at=2**63 - 1))
    assert reason_for(value, codec_knowing(schema)) == (
        "created_at is 9223372036854775807, outside of the years 1 to 9999"
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "value is null (a tombstone)"),
        (b"", "value is empty"),
        (b'{"order_id": 1}', "value begins with 0x7b: neither Avro single-object nor Confluent framing"),
        (b"\xc3\x02rest", "value begins with 0xc302: neither Avro single-object nor Confluent framing"),
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
        (LOCAL.encode(ORDER)[:-1], "truncated after 51 bytes, in region"),
        (BODY + b"\x09", "order_id has a negative length (-5)"),
        (BODY + b"\x02\xff", "order_id is not valid UTF-8"),
        (BODY + b"\xff" * 9 + b"\x02", "order_id is a number of more than 64 bits"),
        (BODY + b"\xff" * 30, "order_id is a number of more than 64 bits"),
        (BODY + b"\xfe" + b"\xff" * 8 + b"\x01", "truncated after 20 bytes, in order_id"),
        (BODY + b"\x00\x00\x00\x00", "price is a decimal of 0 bytes and scale 2"),
    ],
)
def test_a_broken_body_is_refused_with_the_field_and_the_reason(value: bytes, reason: str) -> None:
    assert reason_for(value) == reason


def test_a_schema_that_was_found_is_not_asked_for_again_and_one_that_was_not_is() -> None:
    registry = Registry(V2)
    codec = OrderCodec(STORE, registry)
    for _ in range(2):
        assert reason_for(b"\x00\x00\x00\x00\x2a", codec) == "unknown schema id 42"
        codec.decode(LOCAL.encode_confluent(ORDER, 7))
    assert registry.asked == [42, 7, 42]


def test_a_record_is_not_judged_while_the_registry_is_away() -> None:
    with pytest.raises(RegistryUnavailableError):
        OrderCodec(STORE, RegistryThatIsAway()).decode(LOCAL.encode_confluent(ORDER, 7))


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (V2 | {"name": "Payment"}, "schema id 7 cannot be read as an Order: its record is Payment, not Order"),
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


ARRAY_OF_NULLS = {"type": "array", "items": "null"}
HUGE_COUNT = b"\xfe" + b"\xff" * 8 + b"\x01"


def test_a_count_of_quintillions_of_nothing_is_passed_over_at_once() -> None:
    value = FRAME + HUGE_COUNT + b"\x00" + LOCAL.encode(ORDER)[10:]
    assert codec_knowing(with_extra_field(ARRAY_OF_NULLS)).decode(value) == ORDER


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ({"type": "array", "items": "string"}, HUGE_COUNT, "truncated after 15 bytes, in extra"),
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


def test_orders_within_orders_without_end_are_refused() -> None:
    schema = V2 | {"fields": [{"name": "extra", "type": ["null", "Order"]}, *V2["fields"]]}
    assert reason_for(FRAME + b"\x02" * 100_000, codec_knowing(schema)) == "its fields are nested too deeply"


@pytest.mark.parametrize("depth", [900, 100_000])
def test_a_schema_that_is_nested_too_deeply_is_refused(depth: int) -> None:
    kind = '{"type":"array","items":' * depth + '"null"' + "}" * depth
    text = json.dumps(with_extra_field("PLACE")).replace('"PLACE"', kind)
    value = FRAME + b"\x02" * (depth - 1) + b"\x00" * depth + LOCAL.encode(ORDER)[10:]
    assert "schema" in reason_for(value, codec_knowing(text)) or "nested" in reason_for(value, codec_knowing(text))


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
    put = data.draw(st.one_of(st.binary(max_size=4), st.just(HUGE_COUNT), st.just(b"\xff" * 12)))
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


def test_a_schemas_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere has no order.v1.avsc"):
        SchemaStore(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "order.v1.avsc cannot be used: it is no Avro schema"),
        (b"\xff\xfe", "order.v1.avsc cannot be read"),
        (b'"string"', "order.v1.avsc describes no Order: it is no record"),
        (
            json.dumps(with_field("price", type="double")).encode(),
            "order.v1.avsc describes no Order: price is of type double and must be a decimal",
        ),
    ],
)
def test_a_broken_schema_file_is_named_in_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "order.v1.avsc").write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        SchemaStore(tmp_path)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_version_that_is_not_in_the_folder_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "order.v1.avsc").write_text(STORE.version(1).text)
    with pytest.raises(SettingsError, match=r"no order\.v2\.avsc"):
        OrderCodec(SchemaStore(tmp_path)).encode(ORDER)


@pytest.mark.parametrize(
    "changed",
    [
        with_field("price", type={"type": "bytes", "logicalType": "decimal", "precision": 14, "scale": 4}),
        with_field("created_at", type={"type": "long", "logicalType": "timestamp-micros"}),
        with_extra_field("string"),
    ],
)
def test_a_schema_that_would_send_other_orders_than_ours_is_not_written(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    (tmp_path / "order.v2.avsc").write_text(json.dumps(changed))
    codec = OrderCodec(SchemaStore(tmp_path), Registry(changed))
    assert codec.decode(written(changed, datum(extra="x"))).order_id == "ORD-1"
    with pytest.raises(SettingsError, match=r"cannot be written as order\.v2\.avsc"):
        codec.encode(ORDER)


def test_a_schema_of_somebody_else_in_the_folder_is_found_by_its_fingerprint(tmp_path: Path) -> None:
    theirs = V2 | {"namespace": "com.shop", "fields": list(reversed(V2["fields"]))}
    (tmp_path / "order.v2.avsc").write_text(STORE.version(2).text)
    (tmp_path / "shop.avsc").write_text(json.dumps(theirs))
    fingerprint = fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(theirs), "CRC-64-AVRO")
    value = b"\xc3\x01" + bytes.fromhex(fingerprint) + written(theirs, datum())[5:]
    assert OrderCodec(SchemaStore(tmp_path)).decode(value) == ORDER


def test_every_field_of_every_schema_is_explained() -> None:
    for path in SCHEMAS.glob("*.avsc"):
        schema = json.loads(path.read_text())
        assert schema["doc"]
        assert all(field["doc"] for field in schema["fields"]), path
