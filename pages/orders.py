"""Orders: find accepted orders, and watch them come."""

from __future__ import annotations

import streamlit as st

from dashboard.orders.explorer import choose_view, draw_orders, filter_card
from dashboard.shared.asking import invite_orders
from dashboard.shared.exports import table_downloads
from dashboard.shared.shell import begin_page, live
from dashboard.shared.snapshots import totals
from pipeline.errors import OrderPulseError

begin_page("Orders", ":material/receipt_long:")


def explorer() -> None:
    """Filters, choices, exports, and the live table below them."""
    which = filter_card()
    with st.container(border=True, key="orders_card"):
        with st.container(horizontal=True, vertical_alignment="center"):
            view = choose_view(which)
            table_downloads("orders", which, key="orders")
        live(lambda: draw_orders(view))


def empty() -> None:
    """What to do where there is nothing to show yet."""
    if totals().orders:
        st.rerun()
    invite_orders()


def ready() -> bool:
    """Whether there is an order to lay the page out for."""
    try:
        return totals().orders > 0
    except OrderPulseError:
        return False  # the live part says why


if ready():
    explorer()
else:
    live(empty)
