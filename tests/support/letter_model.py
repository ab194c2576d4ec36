"""What a query means, said a second time and slowly: row by row, in Python alone."""

from __future__ import annotations

import operator
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from pipeline.search.fields import FIELDS_BY_NAME
from pipeline.search.query import Age, All, Compared, Either, Named, Not, Part, Period, Text

_SIGNS = {":": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_TURNED = {":": ":", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
Row = Mapping[str, Any]


def matches(row: Row, part: Part) -> bool:
    """Whether a dead letter is meant. `row` is that of the public table, with its group's `title` too."""
    if isinstance(part, Not):
        return not matches(row, part.part)
    if isinstance(part, All):
        return all(matches(row, each) for each in part.parts)
    if isinstance(part, Either):
        return any(matches(row, each) for each in part.parts)
    if isinstance(part, Text):
        return any(_same(part.text) in _same(cell) for cell in _texts(row))
    cell = row[FIELDS_BY_NAME[part.field].column]  # type: ignore[union-attr]
    if cell is None:
        return False
    if isinstance(part, Named):
        return _named(row, cell, part)
    assert isinstance(part, Compared)
    return _compared(cell, part)


def _named(row: Row, cell: Any, part: Named) -> bool:
    kind, wanted = FIELDS_BY_NAME[part.field].kind, _same(part.text)
    if kind == "status":
        return bool(cell == part.text)
    if kind == "group":
        return bool(cell == part.text) if part.text in row["fingerprints"] else wanted in _same(row["title"])
    if kind == "class":
        return wanted in (_same(cell), _same(cell.rpartition(".")[2]))
    if kind == "text":
        return wanted in _same(cell)
    return _same(cell) == wanted


def _compared(cell: int, part: Compared) -> bool:
    value, sign = part.value, part.operator
    if isinstance(value, Age):
        return bool(_SIGNS[_TURNED[sign]](cell, value.at_ms))
    if isinstance(value, Period):
        inside = value.from_ms <= cell < value.to_ms
        before, after = cell < value.from_ms, cell >= value.to_ms
        return {":": inside, "<": before, "<=": before or inside, ">": after, ">=": after or inside}[sign]
    return bool(_SIGNS[sign](cell, value.value))


def _texts(row: Row) -> Iterable[Any]:
    named = ("reason", "error_class", "order_id", "customer_id", "product", "key", "dead_letter_id")
    return (row[name] for name in named if row[name] is not None)


@lru_cache(maxsize=100_000)
def _same(cell: str | bytes) -> str:
    text = cell.decode(errors="replace") if isinstance(cell, bytes) else cell
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
