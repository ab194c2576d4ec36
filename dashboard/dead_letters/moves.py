"""Links, and back and forward in the browser: the page becomes what its address says."""

from __future__ import annotations

from dashboard.dead_letters.address import see_address
from dashboard.dead_letters.columns_shown import take_fields_from_address
from dashboard.dead_letters.keyboard import watch_window
from dashboard.dead_letters.opened import take_opened_from_address
from dashboard.dead_letters.payload_columns import take_paths_from_address
from dashboard.dead_letters.query_box import take_query_from_address
from dashboard.dead_letters.table import take_page_from_address


def follow_address() -> None:
    """Takes what the address says when somebody comes to the page, and when they go back or forward on it."""
    if not watch_window(_move):
        _arrive()


def _arrive() -> None:
    see_address()
    take_query_from_address()
    take_page_from_address()
    take_opened_from_address()


def _move() -> None:
    _arrive()
    # Who comes by a link that names no columns keeps theirs.
    take_fields_from_address()
    take_paths_from_address()
