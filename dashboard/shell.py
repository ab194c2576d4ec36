"""How a page begins and how its live part ticks."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.context import settings, shown_errors

ENTRY = "streamlit_app.py"
_ENTERED = "entered"


def enter() -> None:
    """The entry script has run in this session: pages may."""
    st.session_state[_ENTERED] = True


def begin_page(title: str, icon: str) -> None:
    """The first call of every page. A page that was opened before the entry script ran goes there first."""
    # Until a session has run st.navigation, Streamlit runs pages/x.py by itself at /x, with no sidebar and no checks.
    if not st.session_state.get(_ENTERED):
        st.switch_page(ENTRY)
    st.title(f"{icon} {title}")


def live(render: Callable[[], None]) -> None:
    """Draws a part of the page now and again at every refresh. One a page: each costs the server a run of its own."""
    refresh_ms = settings().refresh_ms

    @st.fragment(run_every=refresh_ms / 1000 if refresh_ms else None)
    def tick() -> None:
        with shown_errors():
            render()

    tick()
