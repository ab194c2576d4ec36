"""What can be exported: the entities of the buffer and the columns of their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pipeline.orders.fields import DEAD_LETTER_FIELDS, SHOWN_FIELDS
from pipeline.records import OrderField

Entity = Literal[
    "orders", "dead_letters", "groups", "jobs", "job_items", "parked", "alerts", "events", "partitions", "products"
]
ColumnType = Literal["integer", "real", "text", "json", "exact_json", "plain", "bytes"]
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an export. Every type may be NULL.

    `json` is text that holds JSON; `exact_json` too, whose digits count; `plain` is a piece of plain data.
    """

    name: str
    type: ColumnType


def _columns_of(fields: tuple[OrderField, ...]) -> tuple[Column, ...]:
    return tuple(Column(field.name, "text" if field.kind == "text" else "integer") for field in fields)


ORDER_COLUMNS = _columns_of(SHOWN_FIELDS)
"""The fields of an order, as rows of `orders` have them."""

DEAD_LETTER_ORDER_COLUMNS = _columns_of(DEAD_LETTER_FIELDS)
"""The fields of an order that rows of `dead_letters` have: NULL where the value is no readable order."""
