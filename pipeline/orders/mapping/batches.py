"""Many records at once, column by column: orders of those that are plain, and which are passed over.

What is not plain is declined, not judged: `Recipe.order` says what is wrong with it. Of what is not declined both make
the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from types import NoneType
from typing import Any, NamedTuple, Protocol

import numpy as np

from pipeline.errors import UndecodableError
from pipeline.orders.columns import OrderColumns, columns_of, joined
from pipeline.orders.mapping.recipe import FieldRecipe, Recipe
from pipeline.orders.mapping.sources import Parts
from pipeline.orders.mapping.value_columns import (
    Column,
    Counted,
    Counts,
    Flags,
    Made,
    Numerals,
    Scaled,
    millis_of_instants,
    millis_of_numbers,
    millis_of_texts,
    minor_units,
    numbers_in_texts,
    numbers_of,
    plain_values,
)
from pipeline.orders.mapping.values import Amounts, Instant, JsonNumber, Times, ValueMismatchError


class Records(Protocol):
    """Records of one topic, as far as orders are made of them."""

    def __len__(self) -> int: ...

    def values(self) -> Sequence[bytes | None]:
        """The value of each."""

    def keys(self) -> Sequence[bytes | None]:
        """The key of each."""

    def headers(self, index: int) -> Sequence[tuple[str, bytes | None]] | None:
        """The headers of one; None where they cannot be read."""

    def times(self) -> Sequence[tuple[int, bool]]:
        """The timestamp of each, and whether it is when the broker wrote it."""

    def without_headers(self, names: frozenset[str]) -> Sequence[bool]:
        """Whether each has none of these headers, for certain."""


_HASHED = frozenset({str, int, float, Decimal, JsonNumber, Instant})
"""Types whose equal values become the same field, as long as a column has one of them only."""


class MadeOrders(NamedTuple):
    """What was made of a batch."""

    orders: OrderColumns
    passed_over: list[int]
    """Indexes of the records that are no orders, by the mapping."""


NONE_MADE = MadeOrders(columns_of([]), [])


def together(parts: Iterable[MadeOrders]) -> MadeOrders:
    """What was made of several parts of a batch."""
    made = list(parts)
    if len(made) == 1:
        return made[0]
    orders = joined([each.orders for each in made if len(each.orders)])
    return MadeOrders(orders, sorted(index for each in made for index in each.passed_over))


def make_orders(recipe: Recipe, records: Records, indexes: Sequence[int], columns: Sequence[Column]) -> MadeOrders:
    """Orders of the records with these indexes; `columns[i]` holds what path i leads to in each of them."""
    if not indexes:
        return NONE_MADE
    rows = _Rows(recipe, records, indexes, columns)
    passed_over, kept = rows.judged()
    fine = kept & rows.in_the_right_currency()
    texts, numbers = dict[str, list[str]](), dict[str, Counts]()
    for each in recipe.fields:
        if each.field.kind == "text":
            texts[each.field.name] = found = _texts(each, rows)
            if None in found:
                fine &= np.fromiter((text is not None for text in found), np.bool_, len(found))
        else:
            numbers[each.field.name], good = _numbers(each, rows)
            fine &= good
    orders = OrderColumns(np.array(indexes, np.int64), texts, numbers)
    return MadeOrders(orders.where(fine), passed_over)


class _Rows:
    """The records of a batch one by one, for what needs a record as a whole; made when first asked for."""

    def __init__(self, recipe: Recipe, records: Records, indexes: Sequence[int], columns: Sequence[Column]) -> None:
        self.columns = columns
        self._recipe = recipe
        self._records = records
        self._indexes = indexes
        self._parts: list[Parts] | None = None

    def __len__(self) -> int:
        return len(self._indexes)

    @property
    def parts(self) -> list[Parts]:
        """What each record is made of."""
        if self._parts is None:
            keys, times = self._records.keys(), self._records.times()
            values = zip(*map(plain_values, self.columns), strict=True) if self.columns else ((),) * len(self)
            self._parts = [
                Parts(list(row), keys[index], tuple(self._records.headers(index) or ()), *times[index])
                for index, row in zip(self._indexes, values, strict=True)
            ]
        return self._parts

    def judged(self) -> tuple[list[int], Flags]:
        """The records that are passed over, and which are kept; what `where` cannot judge is neither."""
        kept = np.ones(len(self), np.bool_)
        condition = self._recipe.condition
        if condition is None:
            return [], kept
        verdicts = [_verdict(condition, parts) for parts in self.parts]
        passed_over = [index for index, verdict in zip(self._indexes, verdicts, strict=True) if verdict is False]
        return passed_over, np.fromiter((verdict is True for verdict in verdicts), np.bool_, len(self))

    def in_the_right_currency(self) -> Flags:
        """Which records say the mapping's currency, where they have to say one."""
        check = self._recipe.check_currency
        if check is None:
            return np.ones(len(self), np.bool_)
        return np.fromiter((_passes(check, parts) for parts in self.parts), np.bool_, len(self))


def _verdict(condition: Callable[[Parts], bool], parts: Parts) -> bool | None:
    try:
        return condition(parts)
    except ValueMismatchError:
        return None


def _passes(check: Callable[[Parts], None], parts: Parts) -> bool:
    try:
        check(parts)
    except UndecodableError:
        return False
    return True


# ---- one field of all records


def _texts(recipe: FieldRecipe, rows: _Rows) -> Any:
    """The field of each record, None for what is declined."""
    if recipe.is_constant:
        return [recipe.fallback] * len(rows)
    if recipe.slot is None:
        return _row_by_row(recipe, rows)
    column = rows.columns[recipe.slot]
    if isinstance(column, Numerals):
        return column.texts()
    values = plain_values(column)
    kinds = set(map(type, values))
    if kinds == {str}:
        return values
    if kinds == {str, NoneType}:
        return [recipe.fallback if value is None else value for value in values]
    return _one_by_one(recipe, values)  # equal ones need not have the same text


def _numbers(recipe: FieldRecipe, rows: _Rows) -> Made:
    """The field of each record, and which of them are not declined."""
    if recipe.is_constant:
        return np.full(len(rows), recipe.fallback, np.int64), np.ones(len(rows), np.bool_)
    if recipe.slot is None:
        return _as_array(_row_by_row(recipe, rows))
    column = rows.columns[recipe.slot]
    made = _at_once(recipe.plain, column)
    if made is None:
        return _as_array(_each_once(recipe, plain_values(column)))
    if not bool(made[1].all()):
        _mend(made, recipe, plain_values(column))
    return made


def _at_once(plain: Amounts | Times | None, column: Column) -> Made | None:
    """What is made of all values at once; None where that cannot be."""
    if isinstance(plain, Amounts):
        numbers = _scaled(column)
        return None if numbers is None else minor_units(plain, numbers)
    if plain is None:
        return None
    if isinstance(column, Counted):
        return millis_of_instants(column)
    if isinstance(column, list) and set(map(type, column)) == {str}:
        return millis_of_texts(column)
    numbers = _scaled(column)
    return None if numbers is None else millis_of_numbers(plain, numbers)


def _scaled(column: Column) -> Scaled | None:
    if isinstance(column, Scaled):
        return column
    if isinstance(column, Numerals):
        return column.scaled
    if isinstance(column, Counted):
        return None
    kinds = set(map(type, column))
    if kinds == {int}:
        return numbers_of(column)
    return numbers_in_texts(column) if kinds == {str} else None


def _mend(made: Made, recipe: FieldRecipe, values: Sequence[Any]) -> None:
    """Makes by themselves those that could not be made with the others."""
    numbers, good = made
    others = np.flatnonzero(~good)
    found, fine = _as_array(_each_once(recipe, [values[index] for index in others.tolist()]))
    numbers[others], good[others] = found, fine


def _as_array(found: list[Any]) -> Made:
    numbers = np.array([0 if value is None else value for value in found], np.int64)
    return numbers, np.fromiter((value is not None for value in found), np.bool_, len(found))


def _each_once(recipe: FieldRecipe, values: Sequence[Any]) -> list[Any]:
    kinds = set(map(type, values))
    if len(kinds) == 1 and kinds <= _HASHED:
        known = {value: _converted(recipe, value) for value in set(values)}
        return list(map(known.__getitem__, values))
    return _one_by_one(recipe, values)


def _one_by_one(recipe: FieldRecipe, values: Sequence[Any]) -> list[Any]:
    return [recipe.fallback if value is None else _converted(recipe, value) for value in values]


def _converted(recipe: FieldRecipe, value: Any) -> Any:
    try:
        return recipe.convert(value)
    except ValueMismatchError:
        return None


def _row_by_row(recipe: FieldRecipe, rows: _Rows) -> list[Any]:
    made = []
    for parts in rows.parts:
        try:
            made.append(recipe.make(parts))
        except UndecodableError:
            made.append(None)
    return made
