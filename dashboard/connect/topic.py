"""Which topic is meant, and whether it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.connect.questions import SAMPLE, TOPICS
from dashboard.shared.configuration import settings
from dashboard.shared.formats import number, plain
from dashboard.shared.mapping import mapping
from dashboard.shared.questions import say_waiting
from dashboard.shared.session import StateKey
from pipeline.consuming.topic_choice import may_hold_orders
from pipeline.kafka import SAMPLE_RECORDS
from pipeline.settings import variable_of

_TOPIC: StateKey[str] = StateKey("connect_topic")
Topics = Mapping[str, Mapping[str, Any]]


def choose_topic() -> str | None:
    """Draws the box to choose a topic from; returns the chosen one."""
    asked = TOPICS.ask("all")
    with st.container(border=True, key="connect_topics"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            topics = {each["name"]: each for each in asked.answer or []}
            chosen: str | None = st.selectbox(
                "Topic",
                list(topics),
                index=None,
                format_func=lambda name: _in_words(topics, name),
                placeholder="Search by name",
                key=_TOPIC.name,
                disabled=not topics,
            )
            st.button("Look again", icon=":material/refresh:", key="connect_list", on_click=_look_again)
        say_waiting(asked, "Nothing is known of the topics yet: the worker asks Kafka.")
        if asked.answer is not None and not topics:
            st.caption("No topic is there, or this account sees none.")
    if chosen is None and topics:
        _say_what_comes()
    return chosen


def _say_what_comes() -> None:
    """What this page does, for whoever has chosen no topic yet."""
    st.info(
        f"Choose the topic that holds your orders. Its newest {SAMPLE_RECORDS} records are looked at, and a proposal "
        "says where order, customer, price and time stand in them: you correct it, see what would come of the "
        "records, and save it. Nothing is written to Kafka.",
        icon=":material/arrow_upward:",
    )
    sections = mapping().mapped.mappings.sections
    if sections:
        st.caption(f"The mapping file has sections of: {plain(', '.join(sections))}.")


def _look_again() -> None:
    """Topics and records as they are by now."""
    TOPICS.forget()
    SAMPLE.forget()


def _in_words(topics: Topics, name: str) -> str:
    """A topic with what is known of it: plain text in a box."""
    told = topics.get(name, {})
    held = told.get("held")
    parts = [name, "" if held is None else f"{number(held)} records", told.get("format", "")]
    return "  ·  ".join(filter(None, parts))


def say_whether_read(topic: str) -> None:
    """What has to be set for a topic to be read at all."""
    known = settings()
    if may_hold_orders(known, topic):
        return
    if topic in known.collected_topics or topic in known.orders_topics:
        st.warning(
            f"{plain(topic)} holds dead letters or retries: it is never read as orders.", icon=":material/block:"
        )
        return
    st.warning(
        f"{plain(topic)} is not read yet: set {variable_of('orders_topic')} to {plain(_wanted(topic))} and start "
        "OrderPulse again. Its section can be saved before.",
        icon=":material/settings:",
    )


def _wanted(topic: str) -> str:
    # As a pattern: what is named plainly is read at once, as dead letters while it has no section.
    return f"{settings().orders_topic},^{re.escape(topic)}$"
