"""Headers, and texts of any length, each up to a limit that is said."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from dashboard.dead_letters.raw_bytes import in_a_line
from dashboard.shared.formats import number
from dashboard.shared.tables import draw_table, text_column
from pipeline.dead_letters.causes.stacks import fold
from pipeline.records import Headers

SHOWN_LETTERS = 20_000
SHOWN_HEADERS = 1_000
REASON_LETTERS, REASON_LINES, REASON_PIXELS = 700, 8, 220
_ROWS_HIGH = 14


def draw_long(
    text: str, wrap_lines: bool, most: int = SHOWN_LETTERS, height: int | Literal["content"] = "content"
) -> None:
    """A text of any length as it stands, of a long one the beginning. A code block, as it is no Markdown of ours."""
    st.code(text[:most], language=None, wrap_lines=wrap_lines, height=height)
    if len(text) > most:
        st.caption(f"The first {number(most)} of {number(len(text))} letters are shown; the export holds all.")


def draw_reason(reason: str) -> None:
    """Why it failed, whole; what is long scrolls, so that it pushes nothing out of sight."""
    is_long = len(reason) > REASON_LETTERS or reason.count("\n") > REASON_LINES
    draw_long(reason, wrap_lines=True, height=REASON_PIXELS if is_long else "content")


def draw_headers(headers: Headers, most: int = SHOWN_HEADERS) -> None:
    """Name and value of each, as what they are."""
    if not headers:
        st.caption("It has no headers.")
        return
    listed = headers[:most]
    shown = [in_a_line(name, value) for name, value in listed]
    columns = [
        text_column("name", "Name", [name for name, _ in listed], 240),
        text_column("value", "Value", [each.text for each in shown], 340),
        text_column("kind", "Shown as", [each.kind for each in shown], 80),
    ]
    draw_table("letter_headers", columns, _ROWS_HIGH)
    if len(headers) > most:
        st.caption(f"The first {number(most)} of {number(len(headers))} are shown; the export holds all.")


def draw_stack(stack: str | None) -> None:
    """The program's own frames, and the whole below them."""
    if not stack:
        st.caption("It came without a stack trace.")
        return
    folded = fold(stack)
    if not folded.libraries:
        draw_long(stack, wrap_lines=False)
        return
    if folded.own:
        st.caption(f"{number(folded.own)} of {number(folded.own + folded.libraries)} frames are the program's own.")
    else:
        st.caption(f"All of its {number(folded.libraries)} frames are of libraries.")
    draw_long(folded.text, wrap_lines=False)
    with st.expander("The whole stack trace", icon=":material/unfold_more:", key="letter_whole_stack"):
        draw_long(stack, wrap_lines=False)
