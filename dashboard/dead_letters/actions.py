"""The parts of the dead letters page around its table: how they stand now, and what can be done with them."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard.dead_letters.filters import STATUSES
from dashboard.dead_letters.payloads import schemas_came
from dashboard.dead_letters.replay_dialog import LAST_JOB, propose, replay_is_proposed
from dashboard.dead_letters.table import (
    NEW_CAP,
    Snapshot,
    count_new,
    current_snapshot,
    marks,
    outdated,
    selected_ids,
    show_newest,
)
from dashboard.shared.asking import refusal, tell
from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms, reader, writer
from dashboard.shared.imported import imported_badge
from pipeline.buffer import DeadLetterFilter, TriageStatus
from pipeline.errors import OrderPulseError
from pipeline.jobs.requests import set_status

_DONE: dict[TriageStatus, str] = {"discarded": "discarded", "open": "opened again", "recovered": "taken for recovered"}


def watch_letters() -> bool:
    """The live part: dead letters by status, what is new since the table was drawn. True: the table is outdated."""
    snapshot = current_snapshot()
    counts = dict(marks().statuses)
    with st.container(horizontal=True, vertical_alignment="center"):
        for status, badge in STATUSES.items():
            st.badge(f"{badge.label} {counts.get(status, 0):,}", color=badge.color)
        imported_badge()
        if snapshot is not None and _refresh_button(count_new(snapshot)):
            st.rerun(scope="app")
    came = schemas_came()
    return snapshot is not None and not replay_is_proposed() and (outdated(snapshot) or came)


def _refresh_button(new: int) -> bool:
    # Always there, so that nothing on the page moves when something arrives.
    amount = f"{new}+" if new >= NEW_CAP else str(new)
    label = f"{amount} new – refresh" if new else "Up to date"
    return st.button(
        label,
        icon=":material/refresh:",
        type="tertiary",
        disabled=not new,
        on_click=show_newest,
        key="letters_refresh",
    )


def draw_actions(snapshot: Snapshot) -> None:
    """What can be done with the selected dead letters, or with all that match."""
    refused, selected = refusal(), selected_ids()
    hint = refused or (None if selected else "Select rows first")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            f"Replay selected ({len(selected)})" if selected else "Replay selected",
            icon=":material/replay:",
            type="primary",
            disabled=hint is not None,
            help=hint,
            on_click=_propose_selected,
            key="letters_replay_selected",
        )
        st.button(
            "Replay all that match",
            icon=":material/playlist_play:",
            disabled=refused is not None or not snapshot.rows,
            help=refused,
            on_click=_propose_all,
            args=(snapshot.view.which,),
            key="letters_replay_all",
        )
        _triage_button("Discard", ":material/delete:", "discarded", hint)
        _triage_button("Reopen", ":material/undo:", "open", hint)
        _triage_button("Mark recovered", ":material/check:", "recovered", hint)


def draw_last_job() -> None:
    """The way to the job that was asked for last, and to what became of it."""
    job_id = LAST_JOB.get()
    if job_id is not None:
        st.page_link(
            "pages/jobs.py",
            label=f"Follow replay job {job_id}",
            icon=":material/checklist:",
            query_params={"job": str(job_id)},
        )


def _triage_button(label: str, icon: str, status: TriageStatus, hint: str | None) -> None:
    st.button(
        label,
        icon=icon,
        disabled=hint is not None,
        help=hint,
        on_click=_triage,
        args=(status,),
        key=f"letters_to_{status}",
    )


def _propose_selected() -> None:
    # Asked for now, not when the button was drawn: rows may have been selected since.
    ids = selected_ids()
    if ids:
        propose(DeadLetterFilter(ids=ids))


def _propose_all(which: DeadLetterFilter) -> None:
    try:
        # Nobody has looked at what arrives from now on.
        propose(replace(which, up_to_id=reader().newest_dead_letter()))
    except OrderPulseError as error:
        tell(str(error))


def _triage(status: TriageStatus) -> None:
    ids = selected_ids()
    if not ids:
        return
    try:
        with writer() as buffer:
            changed = set_status(settings(), buffer, now_ms, ids, status)
    except OrderPulseError as error:
        tell(str(error))
        return
    left = len(ids) - changed
    tell(f"{changed} {_DONE[status]}" + (f", {left} left as they were" if left else ""))
    show_newest()
