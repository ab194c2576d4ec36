"""What each rule is tried with: rows written by hand, and the edges of any settings. A new rule gets an entry here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from pipeline.orders import fields
from pipeline.orders.columns import OrderColumns
from pipeline.orders.rules import RULES, Rule, Rules
from pipeline.orders.rules_file import parse_rules
from pipeline.records import Order
from tests.support.orders_as_bytes import LOCAL
from tests.support.table_rule import AgeByRegion

NOW_MS = 1_700_000_000_000
ORDER = Order("ORD-1", "CUST-7", "Espresso beans", 1299, NOW_MS, "north")

Settings = Mapping[str, Any]
"""Keys of the rules file and their values, as TOML has them."""
Change = Mapping[str, Any]
"""Fields of an order that differ from ORDER."""

EVERY_RULE: tuple[type[Rule], ...] = (*RULES, AgeByRegion)
"""The rules of the product, and the example of one with a table."""
FEWEST: Settings = {"required": [], "price_min": "-10000000000", "price_max": "10000000000", "max_ahead_s": 10**10}
"""Settings under which every order that can be written is accepted."""


class Edge(NamedTuple):
    """The last order that a key's value accepts, and the first that it refuses: one cent or millisecond apart."""

    key: str
    accepted: Change
    refused: Change


class Row(NamedTuple):
    """An edge in plain figures: settings, both orders, and why the second is refused."""

    key: str
    settings: Settings
    accepted: Change
    refused: Change
    reason: str


@dataclass(frozen=True)
class Samples:
    """`rows` are checked as they stand. `settings` are drawn; `edges` says which orders stand at their edges."""

    rows: Sequence[Row]
    settings: st.SearchStrategy[Settings]
    edges: Callable[[Settings], Sequence[Edge]]


TEXT_FIELDS = tuple(field.name for field in fields.TEXT_FIELDS)
KEYS = {key for rule in EVERY_RULE for key in rule.file_keys()}
# A table's entry cannot be named as a key of the file: the loader takes it for a key in the wrong line.
NAMES = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=12).filter(lambda name: name not in KEYS)
SECONDS = st.integers(0, 10**7)


def amounts(minimum_cents: int = -(10**6), maximum_cents: int = 10**6) -> st.SearchStrategy[str]:
    """Prices as the rules file has them."""
    return st.integers(minimum_cents, maximum_cents).map(lambda cents: str(Decimal(cents) / 100))


def cents(amount: str) -> int:
    return int(Decimal(amount) * 100)


def required_edges(settings: Settings) -> list[Edge]:
    listed = settings["required"]
    blanks = [
        Edge("required", {field: f" {ORDER.order_id}"}, {field: blank}) for field in listed for blank in ("", " \t\x85")
    ]
    unlisted = [Edge("required", {field: ""}, {listed[0]: ""}) for field in TEXT_FIELDS if field not in listed]
    return blanks + unlisted


def price_edges(settings: Settings) -> list[Edge]:
    lowest, highest = cents(settings["price_min"]), cents(settings["price_max"])
    return [
        Edge("price_min", {"price_cents": lowest}, {"price_cents": lowest - 1}),
        Edge("price_max", {"price_cents": highest}, {"price_cents": highest + 1}),
    ]


def product_edges(settings: Settings) -> list[Edge]:
    listed = settings["products"]
    return [
        Edge("products", {"product": each}, {"product": other})
        for each in listed
        for other in (f"{each} ", each.swapcase(), "")
        if other not in listed
    ]


def ahead_edges(settings: Settings) -> list[Edge]:
    last_ms = NOW_MS + settings["max_ahead_s"] * 1000
    return [Edge("max_ahead_s", {"created_at_ms": last_ms}, {"created_at_ms": last_ms + 1})]


def age_edges(settings: Settings) -> list[Edge]:
    first_ms = NOW_MS - settings["max_age_s"] * 1000
    return [Edge("max_age_s", {"created_at_ms": first_ms}, {"created_at_ms": first_ms - 1})]


def age_by_region_edges(settings: Settings) -> list[Edge]:
    edges = []
    for region, max_age_s in settings["max_age_s_by_region"].items():
        oldest = {"region": region, "created_at_ms": NOW_MS - max_age_s * 1000}
        too_old = oldest | {"created_at_ms": oldest["created_at_ms"] - 1}
        edges.append(Edge("max_age_s_by_region", oldest, too_old))
        edges += [
            Edge("max_age_s_by_region", too_old | {"region": other}, too_old)
            for other in ("in no table", region.swapcase())
            if other not in settings["max_age_s_by_region"]
        ]
    return edges


SAMPLES: dict[str, Samples] = {
    "required": Samples(
        rows=[
            Row("required", {"required": ["order_id"]}, {"order_id": "1"}, {"order_id": ""}, "order_id is empty"),
            Row("required", {"required": ["region"]}, {"order_id": ""}, {"region": " \t"}, "region is empty"),
        ],
        settings=st.fixed_dictionaries({"required": st.lists(st.sampled_from(TEXT_FIELDS), min_size=1, unique=True)}),
        edges=required_edges,
    ),
    "price": Samples(
        rows=[
            Row(
                "price_min",
                {"price_min": "0.01"},
                {"price_cents": 1},
                {"price_cents": 0},
                "price 0.00 is below the minimum 0.01",
            ),
            Row(
                "price_max",
                {"price_max": "25.00"},
                {"price_cents": 2500},
                {"price_cents": 2501},
                "price 25.01 is above the maximum 25.00",
            ),
        ],
        settings=st.fixed_dictionaries(
            {"price_min": amounts(maximum_cents=500), "price_max": amounts(minimum_cents=500)}
        ),
        edges=price_edges,
    ),
    "product": Samples(
        rows=[
            Row(
                "products",
                {"products": ["Tea", "Coffee"]},
                {"product": "Coffee"},
                {"product": "coffee"},
                "product 'coffee' is not a known product",
            ),
        ],
        settings=st.fixed_dictionaries({"products": st.lists(NAMES, min_size=1, max_size=4, unique=True)}),
        edges=product_edges,
    ),
    "ahead": Samples(
        rows=[
            Row(
                "max_ahead_s",
                {"max_ahead_s": 600},
                {"created_at_ms": NOW_MS + 600_000},
                {"created_at_ms": NOW_MS + 600_001},
                "created_at is 600.001 s ahead, more than the 600 s allowed",
            ),
        ],
        settings=st.fixed_dictionaries({"max_ahead_s": SECONDS}),
        edges=ahead_edges,
    ),
    "age": Samples(
        rows=[
            Row(
                "max_age_s",
                {"max_age_s": 3600},
                {"created_at_ms": NOW_MS - 3_600_000},
                {"created_at_ms": NOW_MS - 3_600_001},
                "created_at is 3600.001 s ago, more than the 3600 s allowed",
            ),
        ],
        settings=st.fixed_dictionaries({"max_age_s": SECONDS}),
        edges=age_edges,
    ),
    "age_by_region": Samples(
        rows=[
            Row(
                "max_age_s_by_region",
                {"max_age_s_by_region": {"north": 60, "far south": 120}},
                {"region": "far south", "created_at_ms": NOW_MS - 120_000},
                {"region": "far south", "created_at_ms": NOW_MS - 120_001},
                "created_at is 120.001 s ago, more than the 120 s allowed in 'far south'",
            ),
            Row(
                "max_age_s_by_region",
                {"max_age_s_by_region": {"north": 60}},
                {"region": "west", "created_at_ms": 0},
                {"region": "north", "created_at_ms": 0},
                "created_at is 1700000000 s ago, more than the 60 s allowed in 'north'",
            ),
        ],
        settings=st.fixed_dictionaries(
            {"max_age_s_by_region": st.dictionaries(NAMES, SECONDS, min_size=1, max_size=4)}
        ),
        edges=age_by_region_edges,
    ),
}
"""By the rule's name."""


def order_with(change: Change) -> Order:
    return replace(ORDER, **change)


def rules_of(settings: Settings, known: Sequence[type[Rule]] = EVERY_RULE) -> Rules:
    """What the loader makes of these settings; keys that are left out are as in FEWEST."""
    return parse_rules(toml_of({**FEWEST, **settings}).encode(), Path("rules.toml"), known)


def toml_of(settings: Settings) -> str:
    """The settings as a rules file, the tables below the other keys."""
    keys = [f"{key} = {toml_value(value)}\n" for key, value in settings.items() if not isinstance(value, dict)]
    tables = [
        f"[{key}]\n" + "".join(f"{_text(name)} = {toml_value(value)}\n" for name, value in table.items())
        for key, table in settings.items()
        if isinstance(table, dict)
    ]
    return "".join(keys + tables)


def toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_text(name)} = {toml_value(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    return value.isoformat() if isinstance(value, date) else _text(value)


def _text(value: Any) -> str:
    # JSON's texts are TOML's, but for one character that TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def columns_of(orders: Sequence[Order]) -> OrderColumns:
    """The orders as the processor reads them: from bytes."""
    columns = LOCAL.decode_many([LOCAL.encode(order) for order in orders])
    assert [columns.order(index) for index in range(len(columns))] == list(orders)
    return columns
