"""The keyboard's way through the page, and what only the browser knows of it.

Most keys are shortcuts of Streamlit's buttons, which do nothing while somebody types. Those know no punctuation and
cannot put the cursor into a box, and no server sees how wide a window is or that somebody went back. A component of
Streamlit's own kind, which draws nothing, does these things.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.shared.configuration import ASSETS
from dashboard.shared.session import StateKey

_WINDOW: StateKey[dict[str, object]] = StateKey("letters_window")
_SCRIPT = (ASSETS / "letters_keys.js").read_text()
_KEYS = (
    ("/", "to the query; Esc leaves it"),
    ("J", "read the next dead letter, or the first"),
    ("K", "read the one before"),
    ("Esc", "close what is open"),
    ("P", "replay what is selected or open, after a question"),
    ("D", "discard it, after a question"),
    ("O", "reopen it"),
    ("↑ ↓", "read the one above or below, once the table was clicked; Shift and Space selects it"),
    ("?", "this list"),
)


def is_narrow() -> bool:
    """Whether the page is shown in a window as narrow as a phone's, as far as the browser has told."""
    return bool((_WINDOW.get() or {}).get("narrow"))


def watch_window(on_move: Callable[[], None]) -> bool:
    """Listens in the browser. `on_move`: somebody went back, or forward, to another address of this page.

    Returns whether it has listened before: false when somebody has just come to the page.
    """
    listened = _WINDOW.is_set()
    component = st.components.v2.component("orderpulse_letters_keys", js=_SCRIPT)
    component(key=_WINDOW.name, on_narrow_change=_nothing, on_moved_change=on_move)
    return listened


def draw_help(query_help: str) -> None:
    """The popover with the keys and with what a query may hold."""
    with st.popover("", icon=":material/help:", type="tertiary", help="Keys and queries", key="letters_help"):
        st.markdown("**Keys**")
        st.markdown("\n".join(f"- `{key}` {means}" for key, means in _KEYS))
        st.markdown("**Queries**")
        st.markdown(query_help)


def _nothing() -> None:
    """The run that the change causes draws the page as it should be."""
