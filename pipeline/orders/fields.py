"""The fields of an order as `Order` declares them, and those of them that somebody asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields, replace
from typing import TYPE_CHECKING, Literal, get_type_hints

from pipeline.records import Order, OrderField


def _declared() -> Iterator[OrderField]:
    hints = get_type_hints(Order, include_extras=True)
    for each in fields(Order):
        (declared,) = hints[each.name].__metadata__
        default = None if each.default is MISSING else each.default
        yield replace(declared, name=each.name, avro_name=declared.avro_name or each.name, default=default)


ORDER_FIELDS = tuple(_declared())
"""All, in the order of the arguments of `Order`."""

TEXT_FIELDS = tuple(field for field in ORDER_FIELDS if field.kind == "text")
NUMBER_FIELDS = tuple(field for field in ORDER_FIELDS if field.kind != "text")

SHOWN_FIELDS = (*TEXT_FIELDS, *NUMBER_FIELDS)
"""All, in the order in which tables, pages and exports have them."""

CHOICE_FIELDS = tuple(field for field in ORDER_FIELDS if field.names_table)
"""Texts that repeat from order to order."""

DEAD_LETTER_FIELDS = tuple(field for field in ORDER_FIELDS if field.in_dead_letters)

# To mypy any text: it cannot know what is found only when this runs.
if TYPE_CHECKING:
    TextFieldName = str
else:
    TextFieldName = Literal[tuple(field.name for field in TEXT_FIELDS)]
