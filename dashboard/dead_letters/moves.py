"""Back and forward in the browser: the page becomes what its address says."""

from __future__ import annotations

from dashboard.dead_letters.opened import take_opened_from_address
from dashboard.dead_letters.query_box import take_query_from_address
from dashboard.dead_letters.table import take_page_from_address


def take_from_address() -> None:
    """Takes all that the address says, in place of what the page has shown."""
    take_query_from_address()
    take_page_from_address()
    take_opened_from_address()
