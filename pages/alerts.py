"""Alerts: whether too much fails, the flow is held up or the disk runs full, and when that was so."""

from __future__ import annotations

import streamlit as st

from dashboard.alerts.state import draw_alerts, draw_rule
from dashboard.shared.exports import table_downloads
from dashboard.shared.shell import begin_page, live

begin_page("Alerts", ":material/notifications:")
now = st.container()
with st.container(border=True):
    st.markdown("**What raises an alert**")
    draw_rule()
with st.container(border=True):
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown("**Alerts so far**", width="content")
        table_downloads("alerts", None, key="alerts")
    listed = st.container()
live(lambda: draw_alerts(now, listed), (now, listed))
