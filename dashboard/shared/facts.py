"""Named values beside each other, as many a row as the window has room for."""

from __future__ import annotations

import streamlit as st

from dashboard.shared.formats import beginning, plain

Facts = list[tuple[str, str]]
VALUE_LETTERS = 300
_WIDTH = 150


def draw_facts(facts: Facts) -> None:
    """Each value under its name. Values are plain text: what came with a record is no Markdown of ours."""
    with st.container(horizontal=True, gap="small"):
        for name, value in facts:
            with st.container(width=_WIDTH, gap=None):
                st.caption(plain(name))
                st.text(beginning(value, VALUE_LETTERS))
