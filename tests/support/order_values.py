"""Orders for tests that ask for every field that is declared: different in each, at the bounds of each kind."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pipeline.orders.avro import CENTS_LIMIT, FIRST_MS, LAST_MS
from pipeline.orders.fields import ORDER_FIELDS
from pipeline.records import Order, OrderField, OrderFieldKind

NOW_MS = 1_700_000_000_000
BOUNDS: dict[OrderFieldKind, tuple[Any, ...]] = {
    "text": ("", " ", "\0", "a" * 63, "a" * 64, "é", "é" * 40, "Grüße, 東京 🛒", "x" * 8192),
    # 1 to 6 bytes as decimals, the greatest and the smallest of each length.
    "cents": (
        *(0, 1, -1, CENTS_LIMIT - 1, 1 - CENTS_LIMIT),
        *(sign * 2**bits + more for bits in (7, 15, 23, 31, 39) for sign in (1, -1) for more in (-1, 0)),
    ),
    "millis": (0, -1, 63, 64, -64, -65, NOW_MS, FIRST_MS, FIRST_MS + 1, LAST_MS - 1, LAST_MS),
}
_ANY: dict[OrderFieldKind, st.SearchStrategy[Any]] = {
    "text": st.text(max_size=40),
    "cents": st.integers(1 - CENTS_LIMIT, CENTS_LIMIT - 1),
    "millis": st.integers(FIRST_MS, LAST_MS),
}


def any_order() -> st.SearchStrategy[Order]:
    """Orders with any value in any field, often one at its bounds."""
    values = {each.name: st.sampled_from(BOUNDS[each.kind]) | _ANY[each.kind] for each in ORDER_FIELDS}
    return st.builds(Order, **values)


def distinct_order(number: int) -> Order:
    """An order whose every cell is there only once among all such orders, so that none can be taken for another."""
    return Order(*(distinct_value(each, number) for each in ORDER_FIELDS))


def distinct_value(field: OrderField, number: int) -> Any:
    """What the order of that number has in this field."""
    if field.kind == "text":
        return f"{field.name} {number}"
    slot = ORDER_FIELDS.index(field)
    return (slot + 1) * 1_000_000 + number + (NOW_MS if field.kind == "millis" else 0)
