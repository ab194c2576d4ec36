"""The parts of the dead letters page around its table: how they stand now, and what can be done with them."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard.dead_letters.keyboard import is_narrow
from dashboard.dead_letters.letter.kafka import kafka_has_news
from dashboard.dead_letters.opened import open_letter, opened_id
from dashboard.dead_letters.payloads import schemas_came
from dashboard.dead_letters.replay_dialog import LAST_JOB, propose, replay_is_proposed
from dashboard.dead_letters.statuses import STATUSES
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
from dashboard.dead_letters.triage import discard_is_proposed, propose_discard, settle
from dashboard.shared.asking import refusal, tell
from dashboard.shared.context import reader
from dashboard.shared.imported import imported_badge
from pipeline.buffer import DeadLetterFilter, TriageStatus
from pipeline.errors import OrderPulseError


def watch_letters() -> bool:
    """The live part: dead letters by status, what is new since the table was drawn. True: the table is outdated."""
    snapshot = current_snapshot()
    counts = dict(marks().statuses)
    with st.container(horizontal=True, vertical_alignment="center", gap="xxsmall"):
        for status, badge in STATUSES.items():
            if counts.get(status, 0) or not is_narrow():
                st.badge(f"{badge.label} {counts.get(status, 0):,}", color=badge.color)
        imported_badge()
        if snapshot is not None and _refresh_button(count_new(snapshot)):
            st.rerun(scope="app")
    came = any((schemas_came(), kafka_has_news()))
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
    # While a drawer or a dialog is open, keys are its own; a narrow window has no room to tell them.
    keys = not (is_narrow() or opened_id() is not None or replay_is_proposed() or discard_is_proposed())
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.button(
            f"Replay selected ({len(selected)})" if selected else "Replay selected",
            icon=":material/replay:",
            type="primary",
            disabled=hint is not None,
            help=hint,
            on_click=_propose_selected,
            shortcut="P" if keys else None,
            key="letters_replay_selected",
        )
        st.button(
            "Replay all that match",
            icon=":material/playlist_play:",
            disabled=refused is not None or not snapshot.rows,
            help=refused,
            on_click=_propose_all,
            args=(snapshot.view.which.settled(snapshot.found.ids),),
            key="letters_replay_all",
        )
        _triage_button("Discard", ":material/delete:", "discarded", hint, "D" if keys else None)
        _triage_button("Reopen", ":material/undo:", "open", hint, "O" if keys else None)
        _triage_button("Mark recovered", ":material/check:", "recovered", hint)
        if not is_narrow():
            st.button(
                "Read",
                icon=":material/drafts:",
                type="tertiary",
                disabled=not snapshot.rows,
                on_click=_read,
                shortcut="J" if keys else None,
                key="letters_read",
            )


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


def _triage_button(label: str, icon: str, status: TriageStatus, hint: str | None, key: str | None = None) -> None:
    st.button(
        label,
        icon=icon,
        disabled=hint is not None,
        help=hint,
        on_click=_triage,
        args=(status,),
        shortcut=key,
        key=f"letters_to_{status}",
    )


def _read() -> None:
    # The first of the selected ones, else of all.
    snapshot = current_snapshot()
    ids = selected_ids() or (snapshot.ids if snapshot is not None else ())
    if ids:
        open_letter(ids[0])


def _propose_selected() -> None:
    # Asked for now, not when the button was drawn: rows may have been selected since.
    ids = selected_ids()
    if ids:
        propose(DeadLetterFilter(ids=ids))


def _propose_all(which: DeadLetterFilter) -> None:
    try:
        # Nobody has looked at what arrives from now on.
        propose(replace(which.replayable(), up_to_id=reader().newest_dead_letter()))
    except OrderPulseError as error:
        tell(str(error))


def _triage(status: TriageStatus) -> None:
    ids = selected_ids()
    if not ids:
        return
    if status == "discarded":
        propose_discard(ids)
    elif settle(ids, status):
        show_newest()
