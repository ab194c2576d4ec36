"""What a comparison means, as the least and the greatest number that it lets through."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.search.query import Age, Compared, Operator, Period

_TURNED: dict[Operator, Operator] = {":": ":", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""What stands so to an age stands so to the time that it means."""


class Span(NamedTuple):
    """Whole numbers from `least` up to `greatest`, both included; None where there is no end."""

    least: int | None
    greatest: int | None

    def holds(self, low: int, high: int) -> bool:
        """Whether all numbers from `low` up to `high` are in it."""
        return (self.least is None or self.least <= low) and (self.greatest is None or high <= self.greatest)

    def meets(self, low: int, high: int) -> bool:
        """Whether a number from `low` up to `high` may be in it."""
        return (self.least is None or self.least <= high) and (self.greatest is None or low <= self.greatest)


def span_of(leaf: Compared) -> Span:
    """The numbers that a comparison means."""
    value = leaf.value
    if isinstance(value, Age):
        return _span(_TURNED[leaf.operator], value.at_ms, value.at_ms)
    if isinstance(value, Period):
        return _span(leaf.operator, value.from_ms, value.to_ms - 1)
    return _span(leaf.operator, value.value, value.value)


def _span(operator: Operator, first: int, last: int) -> Span:
    if operator == ":":
        return Span(first, last)
    if operator in ("<", "<="):
        return Span(None, first - 1 if operator == "<" else last)
    return Span(last + 1 if operator == ">" else first, None)
