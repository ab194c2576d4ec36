"""The fields of an order: schemas hold what `Order` declares, and all readers and writers make the same of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.errors import UndecodableError
from pipeline.orders.avro import PRICE_SCALE, decimal_bytes, written_long
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.columns import columns_of, filled_columns
from pipeline.orders.fields import CHOICE_FIELDS, NUMBER_FIELDS, ORDER_FIELDS, TEXT_FIELDS
from pipeline.orders.rules import Required, Rules
from pipeline.orders.sample_requests import ProduceRequest
from pipeline.orders.samples import SampleOrders
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order, OrderField, OrderFieldKind
from pipeline.settings import PROJECT_DIR
from tests.support.order_values import BOUNDS, NOW_MS, any_order, distinct_order

SCHEMAS = PROJECT_DIR / "schemas"
STORE = SchemaStore(SCHEMAS)
CODEC = OrderCodec(STORE)
VERSIONS = range(1, STORE.latest_version + 1)
AVRO_TYPES: dict[OrderFieldKind, Any] = {
    "text": "string",
    "cents": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": PRICE_SCALE},
    "millis": {"type": "long", "logicalType": "timestamp-millis"},
}
by_name = pytest.mark.parametrize("field", ORDER_FIELDS, ids=lambda field: field.name)


def schema_of(version: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(STORE.version(version).text)
    return found


def names_of(version: int) -> list[str]:
    return [each["name"] for each in schema_of(version)["fields"]]


# -- the declaration


@by_name
def test_a_kind_is_that_of_the_fields_type_and_its_unit_is_in_its_name(field: OrderField) -> None:
    annotated = Order.__annotations__[field.name]
    assert ("str" if field.kind == "text" else "int") in re.split(r"\W+", annotated)
    unit = {"text": "", "cents": "_cents", "millis": "_ms"}[field.kind]
    assert field.name == field.avro_name + unit


@by_name
def test_only_text_that_repeats_has_a_table_of_names(field: OrderField) -> None:
    assert not field.names_table or field.kind == "text"
    assert field.label


@pytest.mark.parametrize("attribute", ["name", "avro_name", "label", "column"])
def test_no_two_fields_are_called_the_same(attribute: str) -> None:
    called = [getattr(field, attribute) for field in ORDER_FIELDS]
    assert len(set(called)) == len(called)
    assert len({field.names_table for field in CHOICE_FIELDS}) == len(CHOICE_FIELDS)


# -- schemas


def test_versions_are_counted_from_1_without_a_gap() -> None:
    assert len(list(SCHEMAS.glob("order.v*.avsc"))) == STORE.latest_version
    assert all(STORE.version(version) for version in VERSIONS)


@pytest.mark.parametrize(("version", "fingerprint"), [(1, "3d52ab7b16e2eef5"), (2, "5e1f60e16a295982")])
def test_a_released_schema_is_never_changed(version: int, fingerprint: str) -> None:
    # Records on topics name it by its fingerprint.
    assert STORE.version(version).fingerprint().hex() == fingerprint


def test_all_versions_are_of_one_record() -> None:
    assert {(schema_of(version)["namespace"], schema_of(version)["name"]) for version in VERSIONS} == {
        (schema_of(1)["namespace"], "Order")
    }


def test_each_field_is_explained_by_words_of_its_own() -> None:
    explained = [each["doc"] for each in schema_of(STORE.latest_version)["fields"]]
    assert all(explained)
    assert len(set(explained)) == len(explained)


def test_the_newest_schema_has_the_declared_fields() -> None:
    assert names_of(STORE.latest_version) == [field.avro_name for field in ORDER_FIELDS]


@by_name
def test_a_field_has_the_declared_type_and_default_in_the_newest_schema(field: OrderField) -> None:
    [found] = [each for each in schema_of(STORE.latest_version)["fields"] if each["name"] == field.avro_name]
    expected = {"name": field.avro_name, "type": AVRO_TYPES[field.kind], "doc": found["doc"]}
    if field.default is not None:
        in_json = decimal_bytes(int(field.default)).decode("latin-1") if field.kind == "cents" else field.default
        expected["default"] = in_json
    assert found == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_only_adds_fields_and_what_it_lacks_has_a_default(version: int) -> None:
    if version > 1:
        assert schema_of(version)["fields"][: len(names_of(version - 1))] == schema_of(version - 1)["fields"]
    lacking = [field for field in ORDER_FIELDS if field.avro_name not in names_of(version)]
    assert all(field.default is not None for field in lacking)
    order = distinct_order(1)
    read = CODEC.decode(CODEC.encode(order, version))
    for field in ORDER_FIELDS:
        assert getattr(read, field.name) == (field.default if field in lacking else getattr(order, field.name))


def test_the_readme_says_of_each_version_what_is_new_in_it() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", (SCHEMAS / "README.md").read_text(), re.MULTILINE)
    assert [int(version) for version, _ in rows] == list(VERSIONS)
    for version, text in rows:
        before = names_of(int(version) - 1) if int(version) > 1 else []
        for name in [name for name in names_of(int(version)) if name not in before]:
            assert re.search(rf"\b{name}\b", text), f"schemas/README.md: version {version} has {name}"


# -- readers and writers


def all_alike(orders: list[Order], version: int | None = None) -> None:
    """Both writers make the same bytes of these orders, and both readers the same orders of the bytes."""
    values = [CODEC.encode(order, version) for order in orders]
    assert CODEC.encode_many(columns_of(orders), version) == values
    read = CODEC.decode_many(values)
    assert read.indexes.tolist() == list(range(len(orders)))
    assert read.orders() == [CODEC.decode(value) for value in values]
    assert read.orders() == [read.order(index) for index in range(len(orders))]
    if version is None:
        assert read.orders() == orders


@given(st.lists(any_order(), max_size=20))
@settings(deadline=None)
@example([distinct_order(number) for number in range(20)])
def test_both_readers_and_both_writers_agree_on_every_field(orders: list[Order]) -> None:
    all_alike(orders)


@pytest.mark.parametrize("version", VERSIONS)
@given(orders=st.lists(any_order(), max_size=20))
@settings(deadline=None)
def test_they_agree_on_every_version(version: int, orders: list[Order]) -> None:
    all_alike(orders, version)


@by_name
def test_they_agree_at_the_bounds_of_each_field(field: OrderField) -> None:
    all_alike([replace(distinct_order(1), **{field.name: bound}) for bound in BOUNDS[field.kind]])


@pytest.mark.parametrize("bound", [min(BOUNDS["millis"]) - 1, max(BOUNDS["millis"]) + 1])
@pytest.mark.parametrize(
    "field", [field for field in ORDER_FIELDS if field.kind == "millis"], ids=lambda field: field.name
)
def test_neither_reads_a_time_beyond_the_first_or_the_last(field: OrderField, bound: int) -> None:
    value = CODEC.encode(replace(distinct_order(1), **{field.name: bound}))
    assert len(CODEC.decode_many([value])) == 0
    with pytest.raises(UndecodableError, match=field.avro_name):
        CODEC.decode(value)


def written_by_hand(order: Order, decimal_size: int) -> bytes:
    """The order as our newest schema has it, decimals of so many bytes."""
    parts = [CODEC.encode(order)[:10]]
    for field in ORDER_FIELDS:
        cell = getattr(order, field.name)
        if field.kind == "millis":
            parts.append(written_long(cell))
        else:
            raw = cell.encode() if field.kind == "text" else cell.to_bytes(decimal_size, "big", signed=True)
            parts += [written_long(len(raw)), raw]
    return b"".join(parts)


@pytest.mark.parametrize("cents", [0, 1, -1, max(BOUNDS["cents"]), min(BOUNDS["cents"])])
@pytest.mark.parametrize("size", [6, 8, 9])
def test_a_decimal_may_be_longer_than_it_has_to_be(cents: int, size: int) -> None:
    changes = {field.name: cents for field in ORDER_FIELDS if field.kind == "cents"}
    order = replace(distinct_order(1), **changes)
    value = written_by_hand(order, size)
    assert CODEC.decode(value) == order
    # What is longer than a machine word is left to the strict reader.
    assert CODEC.decode_many([value]).orders() == ([order] if size <= 8 else [])


# -- what else follows


def test_columns_that_are_not_given_have_the_default() -> None:
    whole = columns_of([distinct_order(1), distinct_order(2)])
    given_ = [field.name for field in ORDER_FIELDS if field.default is None]
    filled = filled_columns(
        whole.indexes,
        {name: whole.texts[name] for name in given_ if name in whole.texts},
        {name: whole.numbers[name] for name in given_ if name in whole.numbers},
    )
    for field in ORDER_FIELDS:
        expected = whole.cells()[field.name] if field.default is None else [field.default] * 2
        assert filled.cells()[field.name] == expected
    with pytest.raises(ValueError, match=f"has to have {given_[0]}"):
        filled_columns(whole.indexes, {}, {})


def test_sample_orders_have_every_field() -> None:
    made = SampleOrders(ProduceRequest(count=50), 1, "request", "orders", CODEC, lambda: NOW_MS).between(1, 50)
    orders = [CODEC.decode(each.value) for each in made]
    assert len(orders) == 50
    assert all(order.order_id and order.price_cents and order.created_at_ms for order in orders)


@pytest.mark.parametrize("field", TEXT_FIELDS, ids=lambda field: field.name)
def test_a_rule_may_require_every_text(field: OrderField) -> None:
    rules = Rules([Required(required=[field.name])])
    empty = replace(distinct_order(1), **{field.name: " "})
    assert rules.valid_mask(columns_of([empty, distinct_order(1)]), NOW_MS).tolist() == [False, True]


@pytest.mark.parametrize("field", NUMBER_FIELDS, ids=lambda field: field.name)
def test_a_rule_cannot_require_a_number(field: OrderField) -> None:
    with pytest.raises(ValueError, match="required"):
        Required(required=[field.name])
