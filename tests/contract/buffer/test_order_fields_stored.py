"""Every declared field of an order is stored, shown, filtered and exported, new buffers and older ones alike."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.buffer import (
    Batch,
    Buffer,
    Choice,
    OrderBlock,
    OrderFilter,
    OrderRow,
    Reader,
    open_buffer,
    record_id,
    stream,
)
from pipeline.buffer import columns_of as exported_columns
from pipeline.buffer.contract import Advance
from pipeline.buffer.filters import DeadLetterFilter
from pipeline.buffer.sqlite.connection import LAYOUT_VERSION
from pipeline.errors import UsageError
from pipeline.exports import export_all
from pipeline.orders.columns import columns_of
from pipeline.orders.fields import CHOICE_FIELDS, DEAD_LETTER_FIELDS, ORDER_FIELDS, SHOWN_FIELDS
from pipeline.records import Order, OrderField
from pipeline.search.query import Query, Text
from tests.support.buffer_rows import NOW_MS, collect, collector, dead_letter, processor
from tests.support.layout_dump import layout_file, load
from tests.support.order_values import distinct_order

RELEASED = range(1, LAYOUT_VERSION + 1)
ORDERS = [distinct_order(number) for number in range(7)]
by_name = pytest.mark.parametrize("field", ORDER_FIELDS, ids=lambda field: field.name)
by_choice = pytest.mark.parametrize("field", CHOICE_FIELDS, ids=lambda field: field.name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orderpulse.db"


@pytest.fixture
def buffer(path: Path) -> Iterator[Buffer]:
    """A buffer with ORDERS: four as a block, three as rows."""
    with open_buffer(path) as buffer:
        ref = processor(buffer).ref
        ids = [record_id(ref, offset) for offset in range(len(ORDERS))]
        rows = [OrderRow(ids[offset], ORDERS[offset], 2) for offset in (4, 5, 6)]
        block = OrderBlock(ids[:4], columns_of(ORDERS[:4]))
        buffer.flow.commit(Batch(NOW_MS, [Advance(ref, 0, len(ORDERS))], rows, [block]))
        yield buffer


def asked(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def columns(path: Path, table: str) -> dict[str, tuple[str, bool, str | None]]:
    """Type, NOT NULL and default of each column of a table or view."""
    rows = asked(path, f"SELECT name, type, \"notnull\", dflt_value FROM pragma_table_info('{table}')")
    return {name: (kind, bool(required), default) for name, kind, required, default in rows}


def fields_in(rows: list[dict[str, Any]]) -> list[Order]:
    """The orders in rows that have more columns."""
    return [Order(**{field.name: row[field.name] for field in ORDER_FIELDS}) for row in rows]


def made_of(path: Path, layout: int | None) -> Path:
    """A buffer that this layout's program has filled, brought forward; None: a new one."""
    if layout is not None:
        load(layout_file(layout).read_text(), path)
    open_buffer(path).close()
    return path


# -- the layout


def test_the_table_of_orders_has_the_declared_columns_and_no_others(buffer: Buffer, path: Path) -> None:
    others = {"record_id", "processed_at_ms", "attempts"}
    assert columns(path, "order_rows").keys() - others == {field.column for field in ORDER_FIELDS}


@pytest.mark.parametrize("layout", [None, *RELEASED])
@by_name
def test_a_field_is_stored_as_it_is_declared(path: Path, field: OrderField, layout: int | None) -> None:
    made_of(path, layout)
    kind, required, default = columns(path, "order_rows")[field.column]
    assert kind == ("TEXT" if field.kind == "text" and not field.names_table else "INTEGER")
    assert required, f"{field.column} is never NULL: schema.sql and migrations say NOT NULL"
    if default is not None:
        [(stored,)] = asked(path, f"SELECT {default}")
        if field.names_table:
            [(stored,)] = asked(path, f"SELECT {field.name} FROM {field.names_table} WHERE {field.column} = {default}")
        assert stored == field.default, f"{field.column} has another default than the one declared"


@by_choice
def test_a_name_that_repeats_has_a_table_of_its_own(buffer: Buffer, path: Path, field: OrderField) -> None:
    assert list(columns(path, field.names_table).items())[1:] == [(field.name, ("TEXT", True, None))]
    assert list(columns(path, field.names_table))[0] == field.column
    assert len(asked(path, f"SELECT * FROM {field.names_table} WHERE {field.name} = '{field.name} 1'")) == 1


@pytest.mark.parametrize("layout", [None, *RELEASED])
@by_choice
def test_a_name_is_in_its_table_once(path: Path, field: OrderField, layout: int | None) -> None:
    made_of(path, layout)
    unique = asked(path, f"SELECT name FROM pragma_index_list('{field.names_table}') WHERE \"unique\"")
    indexed = [asked(path, f"SELECT name FROM pragma_index_info('{name}')") for (name,) in unique]
    assert [(field.name,)] in indexed, f"{field.names_table}: schema.sql and migrations say UNIQUE"


def test_the_view_of_orders_has_every_field_by_its_name(buffer: Buffer, path: Path) -> None:
    found = columns(path, "orders")
    assert {field.name for field in ORDER_FIELDS} <= found.keys()
    for field in ORDER_FIELDS:
        assert found[field.name][0] == ("TEXT" if field.kind == "text" else "INTEGER")


def test_dead_letters_have_the_fields_that_are_declared_for_them(buffer: Buffer, path: Path) -> None:
    found = columns(path, "dead_letters")
    assert {field.name for field in ORDER_FIELDS} & found.keys() == {field.name for field in DEAD_LETTER_FIELDS}
    for field in DEAD_LETTER_FIELDS:
        assert found[field.name] == ("TEXT" if field.kind == "text" else "INTEGER", False, None)


def test_the_first_layout_is_as_it_was_released(path: Path) -> None:
    load(layout_file(1).read_text(), path)
    assert " ".join(columns(path, "order_rows")) == (
        "record_id order_id customer_id product_ref region_ref price_cents created_at_ms processed_at_ms attempts"
    )


@pytest.mark.parametrize("layout", RELEASED)
def test_no_order_of_an_older_buffer_is_lost_or_changed(tmp_path: Path, layout: int) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    load(layout_file(layout).read_text(), old)
    made_of(new, layout)
    known = [name for name in columns(old, "orders") if name != "record_id"]
    names = ", ".join(f'"{name}"' for name in (*known, "record_id"))
    before = asked(old, f"SELECT {names} FROM orders ORDER BY record_id")
    assert before
    assert asked(new, f"SELECT {names} FROM orders ORDER BY record_id") == before
    for field in ORDER_FIELDS:
        if field.name not in known:
            assert asked(new, f"SELECT DISTINCT {field.name} FROM orders") == [(field.default,)]


@pytest.mark.parametrize("layout", RELEASED)
def test_an_older_buffer_takes_new_orders(path: Path, layout: int) -> None:
    made_of(path, layout)
    with open_buffer(path) as buffer:
        ref = processor(buffer).ref
        rows = [OrderRow(record_id(ref, offset), order, 1) for offset, order in enumerate(ORDERS)]
        buffer.flow.commit(Batch(NOW_MS, [Advance(ref, 0, len(rows))], rows))
    with Reader(path) as reader:
        found = reader.orders(OrderFilter(text=ORDERS[3].order_id))
        assert fields_in([dict(zip(found.columns, row, strict=True)) for row in found.rows]) == [ORDERS[3]]


# -- what was written is what is read


def test_rows_come_back_with_every_field_in_its_own_column(buffer: Buffer, path: Path) -> None:
    with Reader(path) as reader:
        found = reader.orders(OrderFilter(), "order_id", descending=False)
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    assert fields_in(rows) == ORDERS
    assert [row["attempts"] for row in rows] == [1, 1, 1, 1, 2, 2, 2]
    assert [row["offset"] for row in rows] == list(range(len(ORDERS)))


def test_exports_have_every_field_in_its_own_column(buffer: Buffer, path: Path) -> None:
    names = [column.name for column in exported_columns("orders")]
    assert [name for name in names if name in {field.name for field in ORDER_FIELDS}] == [
        field.name for field in SHOWN_FIELDS
    ]
    streamed = [dict(zip(names, row, strict=True)) for chunk in stream(path, "orders", None, None) for row in chunk]
    jsonl, parquet, table = io.BytesIO(), io.BytesIO(), io.BytesIO()
    export_all(path, "orders", None, "jsonl", jsonl)
    export_all(path, "orders", None, "parquet", parquet)
    export_all(path, "orders", None, "csv", table)
    for rows in (
        streamed,
        [json.loads(line) for line in jsonl.getvalue().splitlines()],
        pq.read_table(io.BytesIO(parquet.getvalue())).to_pylist(),
    ):
        assert sorted(fields_in(rows), key=lambda order: order.order_id) == ORDERS
    header, *lines = table.getvalue().decode().splitlines()
    assert header.split(",") == names
    for line in lines:
        cells = dict(zip(names, line.split(","), strict=True))
        [order] = [order for order in ORDERS if f'"{order.order_id}"' == cells["order_id"]]
        for field in ORDER_FIELDS:
            value = getattr(order, field.name)
            assert cells[field.name] == (f'"{value}"' if field.kind == "text" else str(value))


def test_a_dead_letter_has_the_fields_that_are_declared_for_it(buffer: Buffer, path: Path) -> None:
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0, order=ORDERS[5]), dead_letter(assignment.ref, 1))
    names = [column.name for column in exported_columns("dead_letters")]
    [newest, oldest] = [row for chunk in stream(path, "dead_letters", None, None) for row in chunk]
    first, without = dict(zip(names, oldest, strict=True)), dict(zip(names, newest, strict=True))
    for field in DEAD_LETTER_FIELDS:
        assert first[field.name] == getattr(ORDERS[5], field.name)
        assert without[field.name] is None
    with Reader(path) as reader:
        for field in DEAD_LETTER_FIELDS:
            found = reader.dead_letters(DeadLetterFilter(Query((Text(str(getattr(ORDERS[5], field.name)).upper()),))))
            assert [letter.id for letter in found] == ([1] if field.kind == "text" else [])


# -- filters


@by_choice
def test_a_choice_finds_its_orders_and_no_others(buffer: Buffer, path: Path, field: OrderField) -> None:
    chosen = [ORDERS[index] for index in (1, 4)]
    values = tuple(asdict(order)[field.name] for order in chosen)
    which = OrderFilter(choices=(Choice(field.name, values),))
    with Reader(path) as reader:
        found = reader.orders(which, "order_id", descending=False)
        assert found.column("order_id") == [order.order_id for order in chosen]
        assert reader.count_orders(which).rows == 2
        assert {getattr(order, field.name) for order in ORDERS} <= set(reader.order_values(field.name))
    assert sum(len(chunk) for chunk in stream(path, "orders", which, None)) == 2


def test_choices_narrow_together(buffer: Buffer, path: Path) -> None:
    all_of_one = tuple(Choice(field.name, (getattr(ORDERS[2], field.name),)) for field in CHOICE_FIELDS)
    first, *rest = all_of_one
    with Reader(path) as reader:
        assert reader.orders(OrderFilter(choices=all_of_one)).column("order_id") == [ORDERS[2].order_id]
        other = Choice(first.field, (getattr(ORDERS[3], first.field),))
        assert reader.count_orders(OrderFilter(choices=(other, *rest))).rows == 0


def test_only_what_repeats_can_be_chosen_by() -> None:
    with pytest.raises(UsageError, match="cannot be chosen by order_id"):
        OrderFilter(choices=(Choice("order_id", ("x",)),))
