"""How a page begins and how its live part ticks."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared.autostart import pipeline_trouble
from dashboard.shared.configuration import settings
from dashboard.shared.context import shown_errors
from dashboard.shared.formats import plain
from dashboard.shared.imported import say_imported
from dashboard.shared.kept_files import begin_run, free_old_files
from dashboard.shared.session import StateKey
from dashboard.shared.sidebar import job_drawer
from dashboard.shared.ticking import draw_ticking

ENTRY = "streamlit_app.py"
_ENTERED: StateKey[bool] = StateKey("entered")
_LIVE: StateKey[bool] = StateKey("has_live_part")
_WANTED: StateKey[WantedPage] = StateKey("wanted_page")


class WantedPage(NamedTuple):
    """The page that an address named, and the address's query."""

    name: str
    query: dict[str, list[str]]


def enter() -> None:
    """The entry script has run in this session: pages may."""
    _ENTERED.set(True)
    _LIVE.set(False)
    begin_run()


def begin_page(title: str, icon: str) -> DeltaGenerator:
    """The first call of every page. A page that was opened before the entry script ran goes there first, and back.

    Returns the line of the title, for what may stand beside it.
    """
    # Streamlit may run a page's file before the entry script, which says who may enter and draws the sidebar.
    if not _ENTERED.get():
        name = urlsplit(st.context.url or "").path.rpartition("/")[2]
        # A name may be there several times.
        _WANTED.set(WantedPage(name, {each: st.query_params.get_all(each) for each in st.query_params}))
        st.switch_page(ENTRY)
    # A run that begins at the page, not at the entry script, has drawn nothing yet either.
    _LIVE.set(False)
    line = st.container(horizontal=True, vertical_alignment="center")
    line.title(f"{icon} {title}", width="content")
    say_imported()
    return line


def go_on_to_wanted_page(pages: Sequence[st.Page]) -> None:
    """After st.navigation: opens the page that somebody's address named before the entry script had run."""
    wanted = _WANTED.pop()
    if wanted is None or not wanted.name:
        return
    for page in pages:
        if page.url_path == wanted.name:
            st.switch_page(page, query_params=wanted.query)


def live(
    render: Callable[[], None], containers: Iterable[DeltaGenerator] = (), longest_wait_ms: int | None = None
) -> None:
    """Draws a part of the page now and again at every refresh, and the sidebar's job with it.

    One a page, as each costs the server a run of its own: raises RuntimeError at a second one. `containers` are those
    outside of it that `render` draws in; `longest_wait_ms` is for what people wait for with their eyes on it, and
    shortens the refresh of the settings. The last call of a page that draws: who has the live part has the rest, too.
    """
    if _LIVE.get():
        raise RuntimeError("the page has a live part already: draw in it, into containers where it has to be elsewhere")
    _LIVE.set(True)
    draw_job = job_drawer()

    def tick() -> None:
        drawn = False
        with shown_errors():
            _show_trouble()
            render()
            drawn = True
        if not drawn:
            # A later run may only draw in a container that this one has drawn in.
            for container in containers:
                container.empty()
        draw_job()
        free_old_files()

    draw_ticking(tick, refresh_every_s(settings().refresh_ms, longest_wait_ms))


def refresh_every_s(refresh_ms: int, longest_wait_ms: int | None = None) -> float | None:
    """Seconds between two refreshes; None where the settings ask for none."""
    shortened_ms = refresh_ms if longest_wait_ms is None else min(refresh_ms, longest_wait_ms)
    return shortened_ms / 1000 or None


def end_page() -> None:
    """The last call of the entry script: a page without a live part still shows how the sidebar's job goes."""
    if not _LIVE.get():
        live(lambda: None)
    _settle_memory()


def _show_trouble() -> None:
    trouble = pipeline_trouble()
    if trouble:
        st.error(plain(trouble), icon=":material/error:")


@st.cache_resource(show_spinner=False)
def _settle_memory() -> None:
    # Streamlit collects garbage after every run. What the imports made stays for good: looking through it again at
    # every tick would cost more than all else that a tick does.
    gc.collect()
    gc.freeze()
