"""Rows with named fields: the columns in a statement and the cells of its rows come from one list of names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import Any, Generic, TypeVar

from pipeline.headers.codec import headers_from_json, headers_to_json

Row = TypeVar("Row")


def names_of(kind: Any) -> tuple[str, ...]:
    """The names of a NamedTuple's or a dataclass's fields."""
    return tuple(kind._fields) if issubclass(kind, tuple) else tuple(field.name for field in fields(kind))


class RowsOf(Generic[Row]):
    """How objects of a NamedTuple or dataclass are stored: a column of its name for each field, `headers` as JSON.

    `expressions` are the SQL of fields that are no columns, or whose column has another name.
    """

    def __init__(self, kind: Callable[..., Row], **expressions: str) -> None:
        self.names = names_of(kind)
        """The columns, in the order of `cells`."""
        unknown = expressions.keys() - set(self.names)
        if unknown:
            raise TypeError(f"{kind} has no {', '.join(sorted(unknown))}")
        self.sql = ", ".join(expressions.get(name, name) for name in self.names)
        """What to select, for `read` and `read_all`."""
        self._kind = kind
        self._headers = self.names.index("headers") if "headers" in self.names else None

    def read(self, row: Sequence[Any]) -> Row:
        """The object in a row of a query that selects `sql`."""
        at = self._headers
        if at is None:
            return self._kind(*row)
        return self._kind(*row[:at], headers_from_json(row[at]), *row[at + 1 :])

    def read_all(self, rows: Iterable[Sequence[Any]]) -> list[Row]:
        """The object in each row."""
        return list(map(self.read, rows))

    def cells(self, row: Any) -> tuple[Any, ...]:
        """What is stored of an object, which is to be a NamedTuple."""
        at = self._headers
        return tuple(row) if at is None else (*row[:at], headers_to_json(row[at]), *row[at + 1 :])


def json_cells(kind: Any) -> dict[str, str]:
    """For `json_each` over a JSON array of such NamedTuples: the SQL of each field."""
    return {name: f"value ->> {index}" for index, name in enumerate(names_of(kind))}
