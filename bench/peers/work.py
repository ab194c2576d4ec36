"""What every peer does with an order: the shipped rules, row, figures and offsets, exactly once, in SQLite.

The tables have the same columns, keys and indexes as the buffer's, the pragmas are the same but for a larger page
cache, and a batch is one transaction, so that what differs is the framework and its way to hand out records.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

AHEAD_MS = 600_000
LAYOUT = """
CREATE TABLE partitions (partition INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL);
CREATE TABLE totals (orders INTEGER NOT NULL, revenue_cents INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0);
CREATE TABLE product_totals (product TEXT PRIMARY KEY, orders INTEGER NOT NULL, revenue_cents INTEGER NOT NULL);
CREATE TABLE orders (
    record_id INTEGER PRIMARY KEY, order_id TEXT, customer_id TEXT, product TEXT, region TEXT, price_cents INTEGER,
    created_at_ms INTEGER, processed_at_ms INTEGER, attempts INTEGER
);
CREATE INDEX by_order_id ON orders (order_id);
CREATE INDEX by_created_at ON orders (created_at_ms);
CREATE INDEX by_product ON orders (product, created_at_ms);
"""


class Order(NamedTuple):
    """What is made of a record."""

    order_id: str
    customer_id: str
    product: str
    region: str
    price_cents: int
    created_at_ms: int


class Work:
    """Takes batches and tells when so many orders are done."""

    def __init__(self, database: str, orders: int, decode: Callable[[bytes], Order]) -> None:
        """`decode` makes the order of a value."""
        self._connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        for pragma in ("page_size = 8192", "journal_mode = WAL", "synchronous = NORMAL", "cache_size = -64000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("PRAGMA wal_autocheckpoint = 8000")
        self._connection.executescript(LAYOUT)
        self._decode = decode
        self._orders = orders
        self._done = self._first = 0
        self._began = self._began_cpu = 0.0

    def take(self, records: Iterable[tuple[int, int, bytes]]) -> bool:
        """One batch of partition, offset, value; true when all orders are done, and their rate is printed."""
        now_ms = time.time_ns() // 1_000_000
        rows: list[tuple[object, ...]] = []
        ends: dict[int, int] = {}
        for partition, offset, value in records:
            ends[partition] = offset + 1
            order = self._decode(value)
            _check(order, now_ms)
            rows.append((partition << 40 | offset, *order, now_ms, 1))
        self._write(rows, ends)
        return self._count(len(rows))

    def _write(self, rows: list[tuple[object, ...]], ends: dict[int, int]) -> None:
        sold: Counter[str] = Counter(str(row[3]) for row in rows)
        revenue: Counter[str] = Counter()
        for row in rows:
            revenue[str(row[3])] += int(str(row[5]))
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._connection.execute(
            "UPDATE totals SET orders = orders + ?, revenue_cents = revenue_cents + ?", (len(rows), revenue.total())
        )
        self._connection.executemany(
            "INSERT INTO product_totals VALUES (?, ?, ?) ON CONFLICT (product) DO UPDATE SET "
            "orders = orders + excluded.orders, revenue_cents = revenue_cents + excluded.revenue_cents",
            [(product, count, revenue[product]) for product, count in sold.items()],
        )
        self._connection.executemany("INSERT OR REPLACE INTO partitions VALUES (?, ?)", list(ends.items()))
        self._connection.execute("COMMIT")

    def _count(self, orders: int) -> bool:
        self._done += orders
        if not self._first:
            self._first, self._began, self._began_cpu = self._done, time.perf_counter(), time.process_time()
        if self._done < self._orders:
            return False
        done = max(1, self._done - self._first)
        seconds, cpu = time.perf_counter() - self._began, time.process_time() - self._began_cpu
        print(json.dumps({"orders": self._done, "per_s": done / seconds, "cpu_us": cpu / done * 1e6}), flush=True)
        return True


def _check(order: Order, now_ms: int) -> None:
    named = order.order_id.strip() and order.customer_id.strip() and order.product.strip()
    if not (named and 1 <= order.price_cents <= 10_000_000 and order.created_at_ms - now_ms <= AHEAD_MS):
        raise ValueError(f"an order that breaks a rule: {order}")
