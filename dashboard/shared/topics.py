"""The topics of which there are orders: people choose among them where there are several."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.shared.session import RenewableKey
from dashboard.shared.snapshots import snapshots
from pipeline.buffer.views import Totals
from pipeline.errors import OrderPulseError

ALL_TOPICS = "All topics"


def topic_totals() -> dict[str, Totals]:
    """The totals of each topic that has orders."""
    return snapshots().get("topic totals", lambda source: source.topic_totals())


def topic_box(key: RenewableKey[list[str]], on_change: Callable[[], None]) -> None:
    """A choice of some topics; nothing is drawn where all orders are of one."""
    topics = list(topic_totals())
    gone = [topic for topic in key.get() or () if topic not in topics]
    if len(topics) + len(gone) > 1:
        st.multiselect("Topic", [*topics, *gone], key=key.name, placeholder="All", width=200, on_change=on_change)


def chosen_topic(key: str) -> str | None:
    """A choice of one topic, or None for all; nothing is drawn where all orders are of one."""
    try:
        topics = list(topic_totals())
    except OrderPulseError:
        return None  # the live part says why
    if len(topics) < 2:
        return None
    chosen: str = st.selectbox("Topic", [ALL_TOPICS, *topics], key=key, label_visibility="collapsed", width=240)
    return None if chosen == ALL_TOPICS else chosen
