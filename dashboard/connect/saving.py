"""Writes the section into the mapping file."""

from __future__ import annotations

import streamlit as st

from dashboard.shared.asking import requested_by, tell
from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms, reader, writer
from dashboard.shared.formats import plain
from dashboard.shared.questions import Asked
from dashboard.shared.session import StateKey
from pipeline.consuming.topic_choice import may_hold_orders
from pipeline.errors import OrderPulseError
from pipeline.jobs.requests import save_section

_SAVED: StateKey[tuple[str, str]] = StateKey("connect_saved")
_FAILED: StateKey[str] = StateKey("connect_save_failed")


def draw_save(topic: str, text: str | None, trial: Asked | None) -> None:
    """The button, what it did, and the section as it goes into the file."""
    ready = text is not None and trial is not None and trial.answer is not None
    accepted = trial.answer["trial"]["accepted"] if ready and trial is not None else 0
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Save",
            type="primary",
            icon=":material/save:",
            key="connect_save",
            disabled=not accepted,
            help=None if accepted else "Nothing of the sample would be accepted yet.",
            on_click=_save,
            args=(topic, text),
        )
        st.caption(f"Into {plain(str(settings().mapping_file))}; other sections stay as they are.")
    if failed := _FAILED.pop():
        st.error(plain(failed), icon=":material/error:")
    elif text is not None and _SAVED.get() == (topic, text):
        st.success(f"Saved. {plain(_goes_on(topic))}", icon=":material/check_circle:")
    if text is not None:
        with st.expander("The section as text", icon=":material/code:"):
            st.code(text, language="toml", wrap_lines=True)


def _goes_on(topic: str) -> str:
    if not may_hold_orders(settings(), topic):
        return "The topic is not read yet, see above."
    if topic not in reader().orders_topics():
        return "The processor follows by itself."
    command = f"python -m pipeline reread --topic {topic} --from earliest"
    return f"The processor follows by itself. What was read before is read again by {command}."


def _save(topic: str, text: str) -> None:
    try:
        with writer() as buffer:
            save_section(settings(), buffer, now_ms, topic, text, requested_by())
    except OrderPulseError as error:
        _FAILED.set(str(error))
        return
    _SAVED.set((topic, text))
    tell(f"The section of {topic} is saved")
