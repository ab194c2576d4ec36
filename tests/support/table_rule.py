"""A rule with a table, as an example to copy: `tests/unit/orders/test_rules.py` tries it with those of the product."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from pipeline.orders.columns import Flags, OrderColumns
from pipeline.orders.rules import Rule, Seconds, seconds
from pipeline.records import Currency, Order

_ANY_AGE_S = 10**12
"""More than the age of any order: what a region that is not in the table allows."""


class AgeByRegion(Rule):
    """`created_at` is at most as long ago as the table allows the order's region; another region allows any age."""

    name = "age_by_region"
    may_be_off = True
    max_age_s_by_region: Annotated[dict[str, Seconds], Field(min_length=1)]

    def breaks(self, order: Order, now_ms: int, currency: Currency) -> str | None:
        max_age_s = self.max_age_s_by_region.get(order.region)
        age_ms = now_ms - order.created_at_ms
        if max_age_s is not None and age_ms > max_age_s * 1000:
            return f"created_at is {seconds(age_ms)} s ago, more than the {max_age_s} s allowed in {order.region!r}"
        return None

    def valid(self, orders: OrderColumns, now_ms: int, currency: Currency) -> Flags:
        max_ages_s = np.fromiter(
            (self.max_age_s_by_region.get(region, _ANY_AGE_S) for region in orders.texts["region"]),
            np.int64,
            len(orders),
        )
        return now_ms - orders.created_at_ms <= max_ages_s * 1000
