"""Inserts the orders of a batch, many rows a statement, and says what was sales."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from pipeline.buffer.contract import Batch
from pipeline.buffer.sqlite.bulk_insert import BulkInsert
from pipeline.buffer.sqlite.connection import OFFSET_BITS
from pipeline.orders.fields import CHOICE_FIELDS, ORDER_FIELDS

if TYPE_CHECKING:
    from pipeline.orders.columns import Integers, OrderColumns

# Whoever opens the buffer imports this module, and only who writes orders needs numpy: 40 ms, where it is used.

REMEMBERED_NAMES = 10_000
_COLUMNS = ("record_id", *(field.column for field in ORDER_FIELDS), "processed_at_ms", "attempts")
_ORDER_ROWS = BulkInsert("order_rows", _COLUMNS)


Sales = tuple[int, int]
"""Orders, and the revenue that they make."""
NO_SALES: Sales = (0, 0)


def sales_by_partition(batch: Batch) -> dict[int, Sales]:
    """What each partition's orders in a batch make, by its reference."""
    found: dict[int, Sales] = {}
    for block in batch.blocks:
        ref = block.record_ids[0] >> OFFSET_BITS
        orders, revenue_cents = found.get(ref, NO_SALES)
        found[ref] = (
            orders + len(block.record_ids),
            revenue_cents + int(block.orders.prices_cents.sum()),
        )
    for row in batch.orders:
        ref = row.record_id >> OFFSET_BITS
        orders, revenue_cents = found.get(ref, NO_SALES)
        found[ref] = orders + 1, revenue_cents + row.order.price_cents
    return found


class SalesDelta:
    """Orders and revenue of each product, by its reference."""

    def __init__(self) -> None:
        self._products: dict[int, tuple[int, int]] = {}

    def add(self, product_refs: list[int], prices_cents: Integers) -> None:
        """So many orders more; sums are of integers."""
        import numpy as np

        refs, indexes = np.unique(np.array(product_refs, np.int64), return_inverse=True)
        revenue_cents = np.zeros(len(refs), np.int64)
        np.add.at(revenue_cents, indexes, prices_cents)
        counts = np.bincount(indexes, minlength=len(refs))
        for ref, orders, cents in zip(refs.tolist(), counts.tolist(), revenue_cents.tolist(), strict=True):
            orders_before, cents_before = self._products.get(ref, (0, 0))
            self._products[ref] = (orders_before + orders, cents_before + cents)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Product, orders and revenue in cents of each."""
        return ((ref, orders, cents) for ref, (orders, cents) in self._products.items())

    @property
    def orders(self) -> int:
        """Orders of all products."""
        return sum([orders for orders, _ in self._products.values()])  # a generator is called for each product

    @property
    def revenue_cents(self) -> int:
        """Revenue of all products."""
        return sum([cents for _, cents in self._products.values()])


class OrderTable:
    """The table of accepted orders."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._names = {field.name: _Names(field.names_table, field.name, field.column) for field in CHOICE_FIELDS}

    def insert(self, batch: Batch, topic_of: Mapping[int, str]) -> dict[str, SalesDelta]:
        """Inserts the orders, inside the caller's transaction; `committed` is to be called after it.

        Returns what was sold, by topic; `topic_of` knows those of the batch's partitions.
        """
        parts = list(_parts(batch, topic_of))
        refs = {
            name: names.refs(self._connection, set().union(*(orders.texts[name] for _, _, orders, _ in parts)))
            for name, names in self._names.items()
        }
        sales: defaultdict[str, SalesDelta] = defaultdict(SalesDelta)
        rows: list[Iterable[tuple[Any, ...]]] = []
        for topic, record_ids, orders, attempts in parts:
            cells = orders.cells()
            cells |= {name: list(map(known.__getitem__, cells[name])) for name, known in refs.items()}
            of_order = [cells[field.name] for field in ORDER_FIELDS]
            rows.append(zip(record_ids, *of_order, repeat(batch.now_ms), attempts, strict=False))
            sales[topic].add(cells["product"], orders.prices_cents)
        _ORDER_ROWS.insert(self._connection, chain.from_iterable(rows))
        return sales

    def committed(self) -> None:
        """The transaction came to its end: only now may its names be remembered."""
        for names in self._names.values():
            names.remember()


def _parts(batch: Batch, topic_of: Mapping[int, str]) -> Iterator[tuple[str, list[int], OrderColumns, Iterable[int]]]:
    """Topic, record ids, orders and attempts of each part of a batch."""
    for block in batch.blocks:
        yield topic_of[block.record_ids[0] >> OFFSET_BITS], block.record_ids, block.orders, repeat(1)
    if batch.orders:
        from pipeline.orders.columns import columns_of

        for topic in {topic_of[row.record_id >> OFFSET_BITS] for row in batch.orders}:
            rows = [row for row in batch.orders if topic_of[row.record_id >> OFFSET_BITS] == topic]
            record_ids, attempts = [row.record_id for row in rows], [row.attempts for row in rows]
            yield topic, record_ids, columns_of([row.order for row in rows]), attempts


class _Names:
    """Names that repeat in every order, by the small integer that stands for them."""

    def __init__(self, table: str, name: str, reference: str) -> None:
        self._table = table
        self._name = name
        self._reference = reference
        self._known: dict[str, int] = {}
        self._new: dict[str, int] = {}

    def refs(self, connection: sqlite3.Connection, names: set[str]) -> dict[str, int]:
        """The integers of these names, made where there are none; to be remembered once they are committed."""
        self._new = {}
        for name in names - self._known.keys():
            connection.execute(f"INSERT INTO {self._table} ({self._name}) VALUES (?) ON CONFLICT DO NOTHING", (name,))
            (self._new[name],) = connection.execute(
                f"SELECT {self._reference} FROM {self._table} WHERE {self._name} = ?", (name,)
            ).fetchone()
        return self._known | self._new if self._new else self._known

    def remember(self) -> None:
        """What was made is committed."""
        if len(self._known) + len(self._new) > REMEMBERED_NAMES:
            self._known = {}
        self._known |= self._new
        self._new = {}
