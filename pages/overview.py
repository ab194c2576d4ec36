"""Overview: the figures that matter, and how they move."""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.overview.chart_export import download_popover, kind_table
from dashboard.overview.charts import KINDS, draw
from dashboard.overview.figures import draw_figures
from dashboard.shared.asking import invite_orders
from dashboard.shared.context import now_ms, viewer_zone
from dashboard.shared.formats import plain
from dashboard.shared.imported import imported_folder
from dashboard.shared.mapping import wording
from dashboard.shared.shell import begin_page, live
from dashboard.shared.snapshots import has_records, overview
from dashboard.shared.time_ranges import TIME_RANGES, TimeRange
from dashboard.shared.topics import chosen_topic
from pipeline.errors import OrderPulseError

begin_page("Overview", ":material/monitoring:")
if imported_folder():
    st.page_link("pages/dead_letters.py", label="What failed, and why", icon=":material/mark_email_unread:")
ZONE = str(viewer_zone())
FIRST_ORDERS_WITHIN_MS = 250
FIRST_TIME_RANGE = "5 min"


class Places(NamedTuple):
    """Where things stand, with orders and without: the browser then puts new figures in place of the old ones.

    Anywhere else, both would be there until the page's run ends.
    """

    live: DeltaGenerator
    choices: DeltaGenerator
    figures: DeltaGenerator


def places() -> Places:
    """The same for every run of the page, in this order."""
    return Places(
        st.container(), st.container(horizontal=True, vertical_alignment="center"), st.container(key="figures")
    )


def empty(place: Places) -> None:
    """What to do where there is nothing to show yet, and zero in every figure."""

    def render() -> None:
        if has_records():
            st.rerun()
        with place.choices:
            invite_orders()
        # What draws them takes a second to load, here and in the browser: it is there then when the first orders come.
        with place.figures:
            draw_figures(overview(TIME_RANGES[FIRST_TIME_RANGE], ZONE), now_ms())

    with place.live:
        live(render, (place.choices, place.figures), longest_wait_ms=FIRST_ORDERS_WITHIN_MS)


def full(place: Places, time_range: TimeRange, topic: str | None) -> None:
    """Figures and charts of all topics, or of this one.

    What people press stands outside of the live part, which draws into containers beside it.
    """
    charts = {}
    for row in (("orders", "revenue"), ("average", "failures"), ("products",)):
        for name, column in zip(row, st.columns(len(row)), strict=True):
            with column.container(border=True):
                # Not at the right edge: Streamlit's own toolbar appears there above a chart, and would be hit instead.
                with st.container(horizontal=True, vertical_alignment="center"):
                    st.markdown(f"**{plain(KINDS[name].title_in(time_range, wording()))}**", width="content")
                    download_popover(KINDS[name], time_range, ZONE, topic)
                charts[name] = st.container()

    def render() -> None:
        shown, said = overview(time_range, ZONE, topic), wording()
        with place.figures:
            draw_figures(shown, now_ms())
        for name, container in charts.items():
            with container:
                draw(KINDS[name], kind_table(KINDS[name], shown), ZONE, said)

    with place.live:
        live(render, (place.figures, *charts.values()))


def ready() -> bool:
    """Whether there is something to lay the page out for."""
    try:
        return has_records()
    except OrderPulseError:
        return False


HERE = places()
if ready():
    with HERE.choices:
        chosen = st.segmented_control(
            "TimeRange",
            list(TIME_RANGES),
            default=FIRST_TIME_RANGE,
            required=True,
            key="overview_window",
            label_visibility="collapsed",
        )
        topic = chosen_topic("overview_topic")
    full(HERE, TIME_RANGES[chosen], topic)
else:
    empty(HERE)
