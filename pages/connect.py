"""Connect: says of a topic what in its records is an order, from a proposal to the mapping file."""

from __future__ import annotations

import streamlit as st

from dashboard.connect.editor import edit_section
from dashboard.connect.preview import draw_preview, draw_records
from dashboard.connect.questions import SAMPLE, TRIAL, has_news
from dashboard.connect.saving import draw_save
from dashboard.connect.topic import choose_topic, say_whether_read
from dashboard.shared.asking import refusal, show_notice
from dashboard.shared.context import reader
from dashboard.shared.imported import imported_folder
from dashboard.shared.questions import say_waiting
from dashboard.shared.refreshing import watch, whole_page
from dashboard.shared.shell import begin_page

begin_page("Connect", ":material/cable:")
show_notice()


def draw_topic(topic: str) -> None:
    """All about the chosen topic: its section and three records side by side, then what would come of it."""
    asked = SAMPLE.ask(topic, topic=topic)
    say_whether_read(topic)
    if asked.answer is None:
        say_waiting(asked, "Its newest records are looked at.")
        return
    section, records = st.columns([3, 2], gap="medium")
    with section, st.container(border=True):
        text = edit_section(topic, asked.number, asked.answer)
    with records, st.container(border=True):
        draw_records(asked.answer)
    trial = None
    with st.container(border=True):
        if text is not None:
            trial = TRIAL.ask(f"{asked.number} {text}", topic=topic, section=text)
            draw_preview(trial)
        draw_save(topic, text, trial)


with whole_page():
    # A buffer that is not there yet is not made by looking at this page.
    reader().totals()
    if refused := refusal():
        st.info(refused, icon=":material/lock:")
        st.caption("Nothing can be connected here.")
    elif imported_folder():
        st.caption("Nothing can be connected here.")
    elif chosen := choose_topic():
        draw_topic(chosen)
    watch(has_news, 500)
