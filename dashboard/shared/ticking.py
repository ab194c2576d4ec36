"""The part of a page that the browser asks for again and again, and what a late question tells.

When a refresh arrives right behind the end of a page's run, Streamlit throws away what that run drew and has not sent
yet (findings/streamlit-unsent-run-lost.sh). The browser still shows the run before then, and asks for that run's part.
So the part has another id in each run: who asks by that of the run before has not seen this one, and gets it again.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.shared.session import StateKey

_RUNS: StateKey[int] = StateKey("page_runs")


def draw_ticking(draw: Callable[[], None], every_s: float | None) -> None:
    """Draws a part of the page now and again every so many seconds; None: only when somebody presses something in it.

    Who pressed something in the part of the run before gets the page again: what a press does belongs into the button's
    callback, which is called all the same.
    """
    run = _RUNS.get_or(0) + 1
    _RUNS.set(run)
    whole_run = True

    def part() -> None:
        draw()

    def part_of_run_before() -> None:
        if not whole_run:
            st.rerun(scope="app")

    _draw_fragment(part, run, every_s)
    _draw_fragment(part_of_run_before, run - 1, None)
    whole_run = False


def _draw_fragment(part: Callable[[], None], run: int, every_s: float | None) -> None:
    # Streamlit makes a fragment's id of its function's name and of the container that it is drawn in.
    part.__qualname__ = f"part_of_run_{run}"
    st.fragment(part, run_every=every_s)()
