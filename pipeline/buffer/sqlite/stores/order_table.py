"""Inserts the orders of a batch, many rows a statement, and says what was sales."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import numpy as np

from pipeline.buffer.contract import Batch, OrderBlock, OrderRow
from pipeline.buffer.sqlite.bulk_insert import BulkInsert
from pipeline.orders.columns import Integers

REMEMBERED_NAMES = 10_000
_ORDER_ROWS = BulkInsert("order_rows", 9)


@dataclass(slots=True)
class _Columns:
    """Orders as the table wants them, but for the names, which are still text."""

    record_ids: list[int]
    order_ids: list[str]
    customer_ids: list[str]
    products: list[str]
    regions: list[str]
    prices_cents: Integers
    created_at_ms: Integers
    attempts: Iterable[int]


class SalesDelta:
    """Orders and revenue of each product, by its reference."""

    def __init__(self) -> None:
        self._products: dict[int, tuple[int, int]] = {}

    def add(self, product_refs: Integers, prices_cents: Integers) -> None:
        """So many orders more; sums are of integers."""
        refs, places = np.unique(product_refs, return_inverse=True)
        revenue_cents = np.zeros(len(refs), np.int64)
        np.add.at(revenue_cents, places, prices_cents)
        counts = np.bincount(places, minlength=len(refs))
        for ref, orders, cents in zip(refs.tolist(), counts.tolist(), revenue_cents.tolist(), strict=True):
            orders_before, cents_before = self._products.get(ref, (0, 0))
            self._products[ref] = (orders_before + orders, cents_before + cents)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Product, orders and revenue in cents of each."""
        return ((ref, orders, cents) for ref, (orders, cents) in self._products.items())

    @property
    def orders(self) -> int:
        """Orders of all products."""
        return sum(orders for orders, _ in self._products.values())

    @property
    def revenue_cents(self) -> int:
        """Revenue of all products."""
        return sum(cents for _, cents in self._products.values())


class OrderTable:
    """The table of accepted orders."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._products = _Names("products", "product")
        self._regions = _Names("regions", "region")

    def insert(self, batch: Batch) -> SalesDelta:
        """Inserts the orders, inside the caller's transaction; `committed` is to be called after it."""
        columns = [_columns_of_block(block) for block in batch.blocks]
        if batch.orders:
            columns.append(_columns_of_rows(batch.orders))
        products = self._products.refs(self._connection, set().union(*(each.products for each in columns)))
        regions = self._regions.refs(self._connection, set().union(*(each.regions for each in columns)))
        sales = SalesDelta()
        rows: list[Iterable[tuple[Any, ...]]] = []
        for each in columns:
            product_refs = np.fromiter(map(products.__getitem__, each.products), np.int64, len(each.products))
            row_of_each = zip(
                each.record_ids,
                each.order_ids,
                each.customer_ids,
                product_refs.tolist(),
                map(regions.__getitem__, each.regions),
                each.prices_cents.tolist(),
                each.created_at_ms.tolist(),
                repeat(batch.now_ms),
                each.attempts,
                strict=False,
            )
            rows.append(row_of_each)
            sales.add(product_refs, each.prices_cents)
        _ORDER_ROWS.insert(self._connection, chain.from_iterable(rows))
        return sales

    def committed(self) -> None:
        """The transaction came to its end: only now may its names be remembered."""
        self._products.remember()
        self._regions.remember()


def _columns_of_block(block: OrderBlock) -> _Columns:
    orders = block.orders
    return _Columns(
        block.record_ids,
        orders.order_ids,
        orders.customer_ids,
        orders.products,
        orders.regions,
        orders.prices_cents,
        orders.created_at_ms,
        repeat(1),
    )


def _columns_of_rows(rows: Sequence[OrderRow]) -> _Columns:
    orders = [row.order for row in rows]
    return _Columns(
        [row.record_id for row in rows],
        [order.order_id for order in orders],
        [order.customer_id for order in orders],
        [order.product for order in orders],
        [order.region for order in orders],
        np.array([order.price_cents for order in orders], np.int64),
        np.array([order.created_at_ms for order in orders], np.int64),
        [row.attempts for row in rows],
    )


class _Names:
    """Names that repeat in every order, by the small integer that stands for them."""

    def __init__(self, table: str, column: str) -> None:
        self._table = table
        self._column = column
        self._known: dict[str, int] = {}
        self._new: dict[str, int] = {}

    def refs(self, connection: sqlite3.Connection, names: set[str]) -> dict[str, int]:
        """The integers of these names, made where there are none; to be remembered once they are committed."""
        reference = f"{self._column}_ref"
        self._new = {}
        for name in names - self._known.keys():
            connection.execute(f"INSERT INTO {self._table} ({self._column}) VALUES (?) ON CONFLICT DO NOTHING", (name,))
            (self._new[name],) = connection.execute(
                f"SELECT {reference} FROM {self._table} WHERE {self._column} = ?", (name,)
            ).fetchone()
        return self._known | self._new if self._new else self._known

    def remember(self) -> None:
        """What was made is committed."""
        if len(self._known) + len(self._new) > REMEMBERED_NAMES:
            self._known = {}
        self._known |= self._new
        self._new = {}
