"""The figures of each second and minute."""

from __future__ import annotations

import sqlite3

from pipeline.records import Currency

MINUTE_MS = 60_000
SECOND_MS = 1000


def currency_of(connection: sqlite3.Connection) -> Currency:
    """What all amounts are in."""
    return Currency(*connection.execute("SELECT currency, currency_digits FROM totals").fetchone())


def count_seconds_and_minutes(
    connection: sqlite3.Connection,
    now_ms: int,
    orders: int = 0,
    revenue_cents: int = 0,
    retries: int = 0,
    dead_letters: int = 0,
) -> None:
    """Adds to the figures of this second and this minute."""
    for table, column, length_ms in (
        ("flow_seconds", "second_ms", SECOND_MS),
        ("flow_minutes", "minute_ms", MINUTE_MS),
    ):
        connection.execute(
            f"INSERT INTO {table} ({column}, orders, revenue_cents, retries, dead_letters) VALUES (?, ?, ?, ?, ?) "
            f"ON CONFLICT ({column}) DO UPDATE SET "
            "orders = orders + excluded.orders, revenue_cents = revenue_cents + excluded.revenue_cents, "
            "retries = retries + excluded.retries, dead_letters = dead_letters + excluded.dead_letters",
            (now_ms - now_ms % length_ms, orders, revenue_cents, retries, dead_letters),
        )
