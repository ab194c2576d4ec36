"""Many records at once, column by column: orders of those that are plain, and which are passed over.

What is not plain is declined, not judged: `Recipe.order` says what is wrong with it. Of what is not declined both make
the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import NoneType
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UndecodableError
from pipeline.orders.avro import FIRST_MS, LAST_MS
from pipeline.orders.columns import OrderColumns, columns_of, joined
from pipeline.orders.fields import NUMBER_FIELDS, TEXT_FIELDS
from pipeline.orders.mapping.recipe import FieldRecipe, Recipe
from pipeline.orders.mapping.sources import Parts
from pipeline.orders.mapping.values import Instant, JsonNumber, ValueMismatchError


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


@dataclass(frozen=True, slots=True)
class Scaled:
    """Numbers that count 10^-scale each."""

    counts: NDArray[np.int64]
    scale: int

    def __len__(self) -> int:
        return len(self.counts)

    def values(self) -> list[Decimal]:
        """Each as a number."""
        return [_decimal(count, self.scale) for count in self.counts.tolist()]


@dataclass(frozen=True, slots=True)
class Counted:
    """Times that count so many units a second, in UTC."""

    counts: NDArray[np.int64]
    per_second: int

    def __len__(self) -> int:
        return len(self.counts)

    def values(self) -> list[Instant]:
        """Each as a time."""
        return [Instant(count, self.per_second) for count in self.counts.tolist()]


Column = Sequence[Any] | Scaled | Counted
"""What one path leads to in each record."""
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
    found = {each.field.name: _column(each, rows) for each in recipe.fields}
    fine = kept & rows.in_the_right_currency()
    for column in found.values():
        if isinstance(column, np.ndarray):
            fine &= (column >= FIRST_MS) & (column <= LAST_MS)
        elif None in column:
            fine &= np.fromiter((value is not None for value in column), np.bool_, len(indexes))
    orders = OrderColumns(
        np.array(indexes, np.int64),
        {each.name: found[each.name] for each in TEXT_FIELDS},
        {each.name: _numbers(found[each.name]) for each in NUMBER_FIELDS},
    )
    return MadeOrders(orders.where(fine), passed_over)


def _numbers(column: Any) -> NDArray[np.int64]:
    if isinstance(column, np.ndarray):
        return column
    return np.array([0 if value is None else value for value in column], np.int64)


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
            values = zip(*map(_plain, self.columns), strict=True) if self.columns else ((),) * len(self)
            self._parts = [
                Parts(list(row), keys[index], tuple(self._records.headers(index) or ()), *times[index])
                for index, row in zip(self._indexes, values, strict=True)
            ]
        return self._parts

    def judged(self) -> tuple[list[int], NDArray[np.bool_]]:
        """The records that are passed over, and which are kept; what `where` cannot judge is neither."""
        kept = np.ones(len(self), np.bool_)
        condition = self._recipe.condition
        if condition is None:
            return [], kept
        verdicts = [_verdict(condition, parts) for parts in self.parts]
        passed_over = [index for index, verdict in zip(self._indexes, verdicts, strict=True) if verdict is False]
        return passed_over, np.fromiter((verdict is True for verdict in verdicts), np.bool_, len(self))

    def in_the_right_currency(self) -> NDArray[np.bool_]:
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


def _plain(column: Column) -> Sequence[Any]:
    """A column as values of ours."""
    return column.values() if isinstance(column, Scaled | Counted) else column


def _decimal(count: int, scale: int) -> Any:
    return Decimal(count).scaleb(-scale)


# ---- one field of all records


def _column(recipe: FieldRecipe, rows: _Rows) -> Any:
    """The field of each record: an array of epoch milliseconds, or a list that has None for what is declined."""
    if recipe.is_constant:
        return [recipe.fallback] * len(rows)
    if recipe.slot is None:
        return _row_by_row(recipe, rows)
    column = rows.columns[recipe.slot]
    if isinstance(column, Counted) and recipe.field.kind == "millis":
        return column.counts // (column.per_second // 1000)
    if isinstance(column, Scaled):
        return _scaled_column(recipe, column)
    return _values_column(recipe, _plain(column))


def _scaled_column(recipe: FieldRecipe, column: Scaled) -> list[Any]:
    # Prices repeat from order to order.
    counts, which = np.unique(column.counts, return_inverse=True)
    known = [_converted(recipe, value) for value in Scaled(counts, column.scale).values()]
    return [known[index] for index in which.tolist()]


def _values_column(recipe: FieldRecipe, values: Sequence[Any]) -> Any:
    kinds, is_text = set(map(type, values)), recipe.field.kind == "text"
    if is_text and kinds == {str}:
        return values
    if is_text and kinds == {str, NoneType}:
        return [recipe.fallback if value is None else value for value in values]
    if len(kinds) == 1 and kinds <= _HASHED and not is_text:
        known = {value: _converted(recipe, value) for value in set(values)}
        return list(map(known.__getitem__, values))
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
