"""Pipeline: who does the work, how far it is, and what waits."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.pipeline.imported import draw_imports
from dashboard.pipeline.state import Containers, draw_state
from dashboard.shared.configuration import settings
from dashboard.shared.exports import table_downloads
from dashboard.shared.imported import imported_folder
from dashboard.shared.shell import begin_page, live
from pipeline.kafka import DEMO_LIMITS

begin_page("Pipeline", ":material/account_tree:")


def card(title: str, entity: str = "") -> DeltaGenerator:
    """A bordered card: downloads stand outside of the live part, which draws into the container returned."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{title}**", width="content")
            if entity:
                table_downloads(entity, None, key=f"pipeline_{entity}")
        return st.container()


def draw_pipeline() -> None:
    """The roles, and what the buffer knows of their work."""
    top = st.container()
    lag = card("Lag by partition")
    parked = card("Parked for a retry", "parked")
    events = card("Events", "events")
    read = card("Read so far", "partitions")
    if settings().demo:
        with st.expander("What the demo cluster cannot do", icon=":material/science:"):
            st.markdown("\n".join(f"- {limit}" for limit in DEMO_LIMITS.values()))
    containers = Containers(top, lag, parked, events, read)
    live(lambda: draw_state(containers), containers.all())


if imported_folder():
    live(draw_imports)
else:
    draw_pipeline()
