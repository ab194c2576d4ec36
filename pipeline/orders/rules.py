"""The rules an order must keep: a class for each rule, and `RULES`, in the order in which they are checked.

A rule is written twice: for one order, with the reason, and for the columns of many, for speed. The two must agree.
tests/unit/orders/test_rules.py tries every rule of `RULES` at and beside each of its limits.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from itertools import filterfalse
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pipeline.errors import RuleBrokenError
from pipeline.orders.columns import Flags, OrderColumns
from pipeline.orders.fields import TextFieldName
from pipeline.orders.mapping.currency import DEFAULT_CURRENCY, MAXIMUM_DIGITS
from pipeline.records import Currency, Order


def _to_amount(value: object) -> Decimal:
    """A price in the file, exactly. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("must be an amount such as 0.01")
    try:
        amount = Decimal(value)
    except InvalidOperation as error:
        raise ValueError(f"must be an amount such as 0.01, not {value!r}") from error
    if not amount.is_finite() or abs(amount) > 10**13 or amount != round(amount, MAXIMUM_DIGITS):
        raise ValueError(f"must be an amount with at most {MAXIMUM_DIGITS} digits after the point, not {value}")
    return amount


Amount = Annotated[Decimal, BeforeValidator(_to_amount)]
"""A price in the file, such as "0.01" or 5, in units of the currency, whichever that is."""
Seconds = Annotated[int, Field(ge=0, le=10**10)]


class Table(BaseModel):
    """A table of the rules file with fixed keys. Another key, or a value of another type, is refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Rule(Table, ABC):
    """One rule. Its fields are its keys in the rules file; a field of another name has the key as its alias."""

    name: ClassVar[str]
    """Names the rule in the header `orderpulse.rule` and in the rules file's comments."""
    may_be_off: ClassVar[bool] = False
    """Whether a file without any of its keys is complete, and switches the rule off."""

    @classmethod
    def file_keys(cls) -> tuple[str, ...]:
        """The keys of the rules file that the rule reads."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())

    @abstractmethod
    def breaks(self, order: Order, now_ms: int, currency: Currency) -> str | None:
        """Why the order, priced in this currency, breaks the rule at this time; None when it keeps it."""

    @abstractmethod
    def valid(self, orders: OrderColumns, now_ms: int, currency: Currency) -> Flags:
        """For each of many orders, whether it keeps the rule at this time: where `breaks` is None."""


class Required(Rule):
    """Each listed field holds more than blanks."""

    name = "required"
    required: list[TextFieldName]

    def breaks(self, order: Order, now_ms: int, currency: Currency) -> str | None:
        for field in self.required:
            if not getattr(order, field).strip():
                return f"{field} is empty"
        return None

    def valid(self, orders: OrderColumns, now_ms: int, currency: Currency) -> Flags:
        valid = np.ones(len(orders), np.bool_)
        for field in self.required:
            texts = orders.texts[field]
            # Most batches have no blank: this finds that without a Python step for each text.
            if next(filterfalse(str.strip, texts), None) is not None:
                valid &= np.fromiter((bool(text.strip()) for text in texts), np.bool_, len(orders))
        return valid


class Price(Rule):
    """The price is from the minimum to the maximum, both included."""

    name = "price"
    price_min: Amount
    price_max: Amount

    @model_validator(mode="after")
    def _minimum_is_not_above_maximum(self) -> Self:
        if self.price_min > self.price_max:
            raise ValueError("price_min is above price_max")
        return self

    def breaks(self, order: Order, now_ms: int, currency: Currency) -> str | None:
        price, unit = order.price_cents, 10**currency.digits
        if price < self.price_min * unit:
            return f"price {currency.text(price)} is below the minimum {money(self.price_min, currency)}"
        if price > self.price_max * unit:
            return f"price {currency.text(price)} is above the maximum {money(self.price_max, currency)}"
        return None

    def valid(self, orders: OrderColumns, now_ms: int, currency: Currency) -> Flags:
        # A limit may be finer than the currency is: 0.01 where there are no cents.
        unit: int = 10**currency.digits
        lowest, highest = math.ceil(self.price_min * unit), math.floor(self.price_max * unit)
        return (orders.prices_cents >= lowest) & (orders.prices_cents <= highest)


class Product(Rule):
    """The product is one of those listed."""

    name = "product"
    may_be_off = True
    products: Annotated[list[str], Field(min_length=1)]

    def breaks(self, order: Order, now_ms: int, currency: Currency) -> str | None:
        return None if order.product in self.products else f"product {order.product!r} is not a known product"

    def valid(self, orders: OrderColumns, now_ms: int, currency: Currency) -> Flags:
        known = frozenset(self.products)
        return np.fromiter(map(known.__contains__, orders.texts["product"]), np.bool_, len(orders))


class Ahead(Rule):
    """`created_at` is at most so far ahead of our clock."""

    name = "ahead"
    max_ahead_s: Seconds

    def breaks(self, order: Order, now_ms: int, currency: Currency) -> str | None:
        ahead_ms = order.created_at_ms - now_ms
        if ahead_ms > self.max_ahead_s * 1000:
            return f"created_at is {seconds(ahead_ms)} s ahead, more than the {self.max_ahead_s} s allowed"
        return None

    def valid(self, orders: OrderColumns, now_ms: int, currency: Currency) -> Flags:
        return orders.created_at_ms - now_ms <= self.max_ahead_s * 1000


class Age(Rule):
    """`created_at` is at most so long ago."""

    name = "age"
    may_be_off = True
    max_age_s: Seconds

    def breaks(self, order: Order, now_ms: int, currency: Currency) -> str | None:
        age_ms = now_ms - order.created_at_ms
        if age_ms > self.max_age_s * 1000:
            return f"created_at is {seconds(age_ms)} s ago, more than the {self.max_age_s} s allowed"
        return None

    def valid(self, orders: OrderColumns, now_ms: int, currency: Currency) -> Flags:
        return now_ms - orders.created_at_ms <= self.max_age_s * 1000


RULES: tuple[type[Rule], ...] = (Required, Price, Product, Ahead, Age)
"""Every rule there is, in the order in which they are checked: the first that an order breaks is named."""


class Rules:
    """The rules that one state of the file switches on."""

    def __init__(self, in_force: Sequence[Rule]) -> None:
        self.in_force = tuple(in_force)

    def check(self, order: Order, now_ms: int, currency: Currency = DEFAULT_CURRENCY) -> None:
        """Raises RuleBrokenError with the first rule that the order, priced in this currency, breaks at this time."""
        for rule in self.in_force:
            reason = rule.breaks(order, now_ms, currency)
            if reason is not None:
                raise RuleBrokenError(reason, rule.name)

    def valid_mask(self, orders: OrderColumns, now_ms: int, currency: Currency = DEFAULT_CURRENCY) -> Flags:
        """For each of many orders, whether it keeps every rule at this time: where `check` raises nothing."""
        mask = np.ones(len(orders), np.bool_)
        for rule in self.in_force:
            mask &= rule.valid(orders, now_ms, currency)
        return mask


def money(amount: Decimal, currency: Currency) -> str:
    """An amount of the file as a reason shows it: with the currency's digits, and more where it has more."""
    exponent = amount.normalize().as_tuple().exponent
    assert isinstance(exponent, int)  # it is finite
    return f"{amount:.{max(currency.digits, -exponent)}f}"


def seconds(millis: int) -> str:
    """Milliseconds as a reason shows them, in seconds: 600001 is "600.001"."""
    return f"{Decimal(millis) / 1000:f}"
