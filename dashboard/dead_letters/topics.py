"""What people have said of the dead-letter topics, as the app knows it."""

from __future__ import annotations

import streamlit as st

from dashboard.shared.configuration import settings
from pipeline.dead_letters.topics_file import DeadLetterTopics, DeadLetterTopicsFile


def dead_letter_topics() -> DeadLetterTopics:
    """What the file says now, or said before a change that cannot be used.

    Raises DeadLettersFileError where it could not be used from the beginning.
    """
    file = _file()
    file.refresh()
    return file.content


@st.cache_resource(show_spinner=False)
def _file() -> DeadLetterTopicsFile:
    return DeadLetterTopicsFile(settings())
