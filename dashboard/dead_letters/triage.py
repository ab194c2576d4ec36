"""Settling dead letters by hand. Discarding asks first: a key that was pressed by mistake changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.dead_letters.table import show_newest
from dashboard.shared.asking import tell
from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms, reader, shown_errors, writer
from dashboard.shared.session import StateKey
from dashboard.shared.tables import draw_table, number_column, text_column
from pipeline.buffer import DeadLetterFilter, TriageStatus
from pipeline.errors import OrderPulseError
from pipeline.jobs.requests import set_status

_ROWS_HIGH = 8
_PROPOSED: StateKey[tuple[int, ...]] = StateKey("letters_discard_proposed")
_DONE: dict[TriageStatus, str] = {"discarded": "discarded", "open": "opened again", "recovered": "taken for recovered"}


def settle(ids: Sequence[int], status: TriageStatus) -> bool:
    """Gives these dead letters the status, and tells how many took it. False where that could not be done."""
    try:
        with writer() as buffer:
            changed = set_status(settings(), buffer, now_ms, ids, status)
    except OrderPulseError as error:
        tell(str(error))
        return False
    left = len(ids) - changed
    tell(f"{changed} {_DONE[status]}" + (f", {left} left as they were" if left else ""))
    return True


def propose_discard(ids: tuple[int, ...]) -> None:
    """Opens the dialog at the next run."""
    _PROPOSED.set(ids)


def discard_is_proposed() -> bool:
    """Whether the dialog is open."""
    return _PROPOSED.is_set()


def _close() -> None:
    _PROPOSED.pop()


@st.dialog("Discard dead letters", icon=":material/delete:", on_dismiss=_close)
def draw_discard_dialog() -> None:
    """The dialog: drawn by every run as long as it is open."""
    ids = _PROPOSED.get()
    if ids is None:
        # Confirmed or cancelled by the click that started this run.
        st.rerun()
    with shown_errors():
        _list(ids)
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Cancel", on_click=_close, key="discard_cancel")
        st.button(
            f"Discard {len(ids):,} dead letter{'' if len(ids) == 1 else 's'}",
            icon=":material/delete:",
            type="primary",
            on_click=_confirm,
            key="discard_confirm",
        )


def _list(ids: tuple[int, ...]) -> None:
    st.markdown("They are in no replay until somebody reopens them.")
    rows = reader().dead_letters(DeadLetterFilter(ids=ids), limit=len(ids))
    columns = [
        number_column("id", "Id", [row.id for row in rows], 70, "%d"),
        text_column("reason", "Reason", [row.reason for row in rows], 340),
    ]
    draw_table("discard_list", columns, _ROWS_HIGH)


def _confirm() -> None:
    ids = _PROPOSED.pop()
    # None: the second of two clicks.
    if ids is not None and settle(ids, "discarded"):
        show_newest()
