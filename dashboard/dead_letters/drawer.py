"""The side drawer in which one dead letter is read: over the right of the page, over all of a narrow window.

It is one of Streamlit's dialogs: Escape closes it, and what is done in it draws it again and not the page.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.dead_letters.detail import draw_detail
from dashboard.dead_letters.opened import close_letter, neighbour, note_opened_in_address, open_letter, opened_id
from dashboard.dead_letters.payloads import ask_for_schemas
from dashboard.dead_letters.replay_dialog import propose, replay_is_proposed
from dashboard.dead_letters.table import current_snapshot
from dashboard.dead_letters.triage import discard_is_proposed, propose_discard, settle
from dashboard.shared.asking import refusal, show_notice
from dashboard.shared.context import reader, shown_errors
from pipeline.buffer import DeadLetterFilter

_WIDTH_PIXELS = 640


@st.dialog("Dead letter", width=_WIDTH_PIXELS, position="right", icon=":material/drafts:", on_dismiss=close_letter)
def draw_drawer() -> None:
    """The drawer of the opened dead letter."""
    identifier = opened_id()
    if identifier is None or replay_is_proposed() or discard_is_proposed():
        # Closed, or about to ask a question, by the click that started this run.
        st.rerun()
    note_opened_in_address()
    show_notice()
    with shown_errors():
        _draw_bar(identifier)
        if reader().dead_letter(identifier) is None:
            st.info(f"There is no dead letter {identifier}, or none any longer.", icon=":material/info:")
        draw_detail(identifier)
    ask_for_schemas()


def _draw_bar(identifier: int) -> None:
    """The ways to the dead letters before and after it, and what can be done with it."""
    snapshot = current_snapshot()
    ids = snapshot.ids if snapshot is not None else ()
    before, after = neighbour(ids, -1), neighbour(ids, 1)
    refused = refusal()
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        _button("previous", "Previous", ":material/keyboard_arrow_up:", "K", lambda: _go(before), before is None)
        _button("next", "Next", ":material/keyboard_arrow_down:", "J", lambda: _go(after), after is None)
        _button("replay", "Replay", ":material/replay:", "P", lambda: _replay(identifier), refused is not None)
        _button("discard", "Discard", ":material/delete:", "D", lambda: _discard(identifier), refused is not None)
        _button("reopen", "Reopen", ":material/undo:", "O", lambda: _reopen(identifier), refused is not None)


def _button(name: str, label: str, icon: str, key: str, act: Callable[[], None], disabled: bool) -> None:
    st.button(label, icon=icon, disabled=disabled, on_click=act, shortcut=key, key=f"letter_{name}")


def _go(identifier: int | None) -> None:
    if identifier is not None:
        open_letter(identifier)


def _replay(identifier: int) -> None:
    propose(DeadLetterFilter(ids=(identifier,)))


def _discard(identifier: int) -> None:
    propose_discard((identifier,))


def _reopen(identifier: int) -> None:
    # The table keeps its rows, for who goes on to the next one.
    settle((identifier,), "open")
