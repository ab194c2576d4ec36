"""Pages that hold still while somebody works on them: the live part decides when the rest is drawn again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from dashboard.shared.context import shown_errors
from dashboard.shared.shell import live
from pipeline.errors import OrderPulseError

_WHOLE_RUN, _WATCHED, _BROKEN = (f"page_{name}" for name in ("whole_run", "watched", "broken"))


@contextmanager
def whole_page() -> Iterator[None]:
    """The page around its live part. What could not be drawn is tried again at every refresh."""
    state = st.session_state
    state[_WHOLE_RUN], state[_WATCHED], state[_BROKEN] = True, False, False
    try:
        with shown_errors():
            try:
                yield
            except OrderPulseError:
                state[_BROKEN] = True
                raise
        if state[_BROKEN] and not state[_WATCHED]:
            live(lambda: draw_page_again_if(True))
    finally:
        state[_WHOLE_RUN] = False


def watch(render: Callable[[], bool]) -> None:
    """The page's live part. `render` returns whether the rest of the page has to be drawn again."""
    st.session_state[_WATCHED] = True
    live(lambda: draw_page_again_if(render() or st.session_state[_BROKEN]))


def draw_page_again_if(changed: bool) -> None:
    """Called by a live part: draws the whole page again, at most once a refresh."""
    # The run that draws the whole page draws its live part too: starting over from there would never end while
    # somebody writes.
    if changed and not st.session_state[_WHOLE_RUN]:
        st.rerun(scope="app")
