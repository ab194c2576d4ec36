"""Asking the pipeline for something: who asks, whether asking is allowed, and what is told afterwards."""

from __future__ import annotations

import streamlit as st

from dashboard.shared.configuration import settings
from dashboard.shared.formats import plain
from dashboard.shared.mapping import why_nothing_is_produced
from dashboard.shared.session import StateKey
from pipeline.settings import variable_of

_NOTICE: StateKey[str] = StateKey("notice")


def requested_by() -> str:
    """The user's e-mail where people log in, else the app."""
    return str(st.user.get("email") or "app")


def refusal() -> str | None:
    """Why nothing may be asked for here; None when it may. The pipeline's requests check it again."""
    return f"This OrderPulse is read-only ({variable_of('read_only')})." if settings().read_only else None


def invite_orders() -> None:
    """What to do where there is nothing to show yet."""
    if why_nothing_is_produced():
        how = f"Write to the topic {plain(str(settings().orders_topics))}."
    elif settings().demo:
        how = "Press **Produce orders** in the sidebar."
    else:
        how = f"Press **Produce orders** in the sidebar, or write to the topic {plain(str(settings().orders_topics))}."
    st.info(f"No orders yet. {how}", icon=":material/inbox:")


def tell(notice: str) -> None:
    """Keeps a line for the next run of the page: what a callback draws itself is gone with its run."""
    _NOTICE.set(notice)


def show_notice() -> None:
    """Shows the line that was kept, once."""
    notice = _NOTICE.pop()
    if notice is not None:
        st.toast(plain(notice), icon=":material/info:", duration="long")
