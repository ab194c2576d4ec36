"""What the page's address says beside its name: the query, the page of the table, what is open, the columns.

People go back and forward in it, so it is written only while it is what this page has last seen or written. Else
somebody has gone to another one, and the browser is about to say so; or it is an old one, of a refresh that was on its
way, and what is missing is written by the next run.
"""

from __future__ import annotations

import streamlit as st

from dashboard.shared.session import StateKey

QUERY_PARAMETER, PAGE_PARAMETER, ROWS_PARAMETER, LETTER_PARAMETER = "q", "page", "rows", "id"
_SEEN: StateKey[dict[str, list[str]]] = StateKey("letters_address")


def address_says(parameter: str) -> str:
    """What stands there; nothing is an empty text."""
    return st.query_params.get(parameter, "")


def address_lists(parameter: str) -> list[str]:
    """All that stands there under this name."""
    return st.query_params.get_all(parameter)


def number_in_address(parameter: str) -> int | None:
    """A whole number from 1 up; None where there is none, whatever else stands there."""
    text = address_says(parameter)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 and int(text) else None


def see_address() -> None:
    """The page is about to become what the address says now."""
    _SEEN.set(_whole())


def note_in_address(parameter: str, *texts: str) -> None:
    """Puts these there, an empty one and none take it out."""
    wanted = [text for text in texts if text]
    if _SEEN.get() != _whole() or wanted == address_lists(parameter):
        return
    if wanted:
        st.query_params[parameter] = wanted
    else:
        del st.query_params[parameter]
    see_address()


def _whole() -> dict[str, list[str]]:
    return {name: st.query_params.get_all(name) for name in st.query_params}
