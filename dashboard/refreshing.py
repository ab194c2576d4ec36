"""Pages that hold still while somebody works on them: the live part decides when the rest is drawn again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from dashboard.context import shown_errors
from dashboard.shell import live
from pipeline.errors import BufferUnavailableError

_WHOLE_RUN = "whole_run"


@contextmanager
def whole_page() -> Iterator[None]:
    """The page around its live part. While there is no buffer, every refresh tries the whole page again."""
    st.session_state[_WHOLE_RUN] = True
    try:
        with shown_errors():
            try:
                yield
            except BufferUnavailableError:
                live(_try_again)
                raise
    finally:
        st.session_state[_WHOLE_RUN] = False


def draw_page_again_if(changed: bool) -> None:
    """Called by the live part: draws the whole page again, at most once a refresh."""
    # The run that draws the whole page draws its live part too: starting over from there would never end while
    # somebody writes.
    if changed and not st.session_state.get(_WHOLE_RUN, False):
        st.rerun(scope="app")


def _try_again() -> None:
    draw_page_again_if(True)
