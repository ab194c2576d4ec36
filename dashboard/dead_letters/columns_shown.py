"""Which columns the table has beside status, time and reason, and how much of a reason it shows."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboard.dead_letters.address import address_lists, address_says, note_in_address
from dashboard.shared.formats import plain
from dashboard.shared.mapping import wording
from dashboard.shared.session import RenewableKey, StateKey

FIELDS_PARAMETER, WRAPPED_PARAMETER = "fields", "wrap"
_FIELDS = {
    "order_id": "Order ID",
    "product": "Product",
    "price": "Price",
    "created_at": "Timestamp",
    "attempts": "Attempts",
    "source": "Source",
    "id": "Id",
}
_CHOICE: StateKey[TableChoice] = StateKey("letters_table_choice")
_FIELDS_BOX = RenewableKey[list[str]]("letters_fields_box_")
_WRAPPED_BOX = RenewableKey[bool]("letters_wrapped_box_")


@dataclass(frozen=True, slots=True)
class TableChoice:
    """The fields that have a column, and whether reasons are shown over several lines."""

    fields: tuple[str, ...]
    wrapped: bool


def table_choice() -> TableChoice:
    """What is chosen, as the address of the page has it at first."""
    if not _CHOICE.is_set():
        take_fields_from_address()
    return _CHOICE.get_or(TableChoice((), False))


def take_fields_from_address() -> None:
    """What the address says is chosen."""
    named = address_lists(FIELDS_PARAMETER)
    fields = tuple(dict.fromkeys(field for field in named if field in _FIELDS))
    _CHOICE.set(TableChoice(fields, address_says(WRAPPED_PARAMETER) == "1"))
    _FIELDS_BOX.renew()
    _WRAPPED_BOX.renew()


def draw_table_choice() -> None:
    """The boxes in which it is chosen."""
    choice, said = table_choice(), wording()
    st.multiselect(
        "Columns",
        list(_FIELDS),
        # The browser knows nothing of a box in a popover that was never opened: it is not asked what is chosen.
        default=choice.fields,
        format_func=lambda field: plain(said.of(field, _FIELDS[field])),
        key=_FIELDS_BOX.name,
        on_change=_take_choice,
        placeholder="Status, failed at and reason",
    )
    st.toggle("Reasons over three lines", choice.wrapped, key=_WRAPPED_BOX.name, on_change=_take_choice)
    note_in_address(WRAPPED_PARAMETER, "1" if choice.wrapped else "")
    note_in_address(FIELDS_PARAMETER, *choice.fields)


def _take_choice() -> None:
    fields, wrapped = _FIELDS_BOX.get_or([]), _WRAPPED_BOX.get_or(False)
    _CHOICE.set(TableChoice(tuple(fields), wrapped))
