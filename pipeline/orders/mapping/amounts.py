"""What `price` may say: a path, a product of paths, or the sum over the lines of an order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pipeline.orders.mapping.paths import Path, Step
from pipeline.orders.mapping.sources import RecordSource, Source, read_source
from pipeline.orders.mapping.values import Amounts, ValueMismatchError

MAXIMUM_FACTORS = 3
_SUM = re.compile(r"\s*sum\s*\(\s*(?P<inner>.*?)\s*\)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class AmountExpression:
    """A product of values, or with `is_sum` the sum of it over the items of one list."""

    factors: tuple[Source, ...]
    is_sum: bool = False

    def goes_through(self, list_steps: tuple[Step, ...]) -> bool:
        """Whether it has a value for each item of this list."""
        return all(isinstance(each, Path) and each.list_steps == list_steps for each in self.factors)

    def __str__(self) -> str:
        product = " * ".join(map(str, self.factors))
        return f"sum({product})" if self.is_sum else product


def parse_amount(text: Any) -> AmountExpression:
    """The expression that a text writes. Raises ValueError saying what is wrong with it."""
    if not isinstance(text, str):
        raise ValueError("must be a path or sum(…)")
    match = _SUM.fullmatch(text)
    factors = _factors(match["inner"] if match else text)
    lists = [isinstance(each, Path) and each.has_each for each in factors]
    if match:
        if not all(lists):
            raise ValueError(f"{text!r} adds up what is no path through a list, such as lines[].price")
        if len({each.list_steps for each in factors if isinstance(each, Path)}) != 1:
            raise ValueError(f"{text!r} goes through different lists")
    elif any(lists):
        raise ValueError(f"{text!r} goes through a list; sum(…) adds it up")
    return AmountExpression(factors, bool(match))


def _factors(text: str) -> tuple[Source, ...]:
    found, at = list[Source](), 0
    while len(found) < MAXIMUM_FACTORS:
        at, source = read_source(text, at)
        found.append(source)
        star = re.compile(r"\s*\*\s*").match(text, at)
        if star is None:
            break
        at = star.end()
    if at != len(text):
        raise ValueError(f"{text!r} goes wrong at character {at + 1}")
    if any(isinstance(each, RecordSource) and each.name == "timestamp" for each in found):
        raise ValueError("the record's timestamp is no amount")
    return tuple(found)


def products_of_lines(columns: Sequence[Sequence[Any]], amounts: Amounts, name: object) -> list[Decimal | None]:
    """For each line the product of its values, one column a factor; None where one is not there.

    `name` is for the error's words. Raises ValueMismatchError.
    """
    found: list[Decimal | None] = []
    for index, line in enumerate(zip(*columns, strict=True)):
        try:
            found.append(product(line, amounts))
        except ValueMismatchError as error:
            raise ValueMismatchError(f"{name} has {error} in line {index}; expected an amount") from error
    return found


def product(values: Sequence[Any], amounts: Amounts) -> Decimal | None:
    """The product of values, exactly; None where one is not there. Raises ValueMismatchError."""
    if None in values:
        return None
    found = amounts.exact(values[0])
    for value in values[1:]:
        found = amounts.times(found, value)
    return found
