"""Pages that hold still while somebody works on them: the live part decides when the rest is drawn again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from dashboard.shared.context import shown_errors
from dashboard.shared.session import StateKey
from dashboard.shared.shell import live
from pipeline.errors import OrderPulseError

_WHOLE_RUN: StateKey[bool] = StateKey("page_whole_run")
_WATCHED: StateKey[bool] = StateKey("page_watched")
_BROKEN: StateKey[bool] = StateKey("page_broken")


@contextmanager
def whole_page() -> Iterator[None]:
    """The page around its live part. What could not be drawn is tried again at every refresh."""
    _WHOLE_RUN.set(True)
    _WATCHED.set(False)
    _BROKEN.set(False)
    try:
        with shown_errors():
            try:
                yield
            except OrderPulseError:
                _BROKEN.set(True)
                raise
        if _BROKEN.get() and not _WATCHED.get():
            live(lambda: draw_page_again_if(True))
    finally:
        _WHOLE_RUN.set(False)


def watch(render: Callable[[], bool], longest_wait_ms: int | None = None) -> None:
    """The page's live part. `render` returns whether the rest of the page has to be drawn again.

    `longest_wait_ms` is as with `live`.
    """
    _WATCHED.set(True)
    live(lambda: draw_page_again_if(render() or bool(_BROKEN.get())), longest_wait_ms=longest_wait_ms)


def draw_page_again_if(changed: bool) -> None:
    """Called by a live part: draws the whole page again, at most once a refresh."""
    # The run that draws the whole page draws its live part too: starting over from there would never end while
    # somebody writes.
    if changed and not _WHOLE_RUN.get():
        st.rerun(scope="app")
