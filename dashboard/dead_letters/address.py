"""What the page's address says beside its name: the query, the page of the table, the opened dead letter."""

from __future__ import annotations

import streamlit as st

QUERY_PARAMETER, PAGE_PARAMETER, ROWS_PARAMETER, LETTER_PARAMETER = "q", "page", "rows", "id"


def address_says(parameter: str) -> str:
    """What stands there; nothing is an empty text."""
    return st.query_params.get(parameter, "")


def number_in_address(parameter: str) -> int | None:
    """A whole number from 1 up; None where there is none, whatever else stands there."""
    text = address_says(parameter)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 and int(text) else None


def note_in_address(parameter: str, text: str) -> None:
    """Puts it there; an empty text takes it out."""
    if text == address_says(parameter):
        return
    if text:
        st.query_params[parameter] = text
    else:
        del st.query_params[parameter]
