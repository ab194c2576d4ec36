"""What happened to the record and its dead letter, and the way to other lives and to jobs."""

from __future__ import annotations

import streamlit as st

from dashboard.dead_letters.opened import open_letter
from dashboard.dead_letters.statuses import STATUSES
from dashboard.shared.context import reader
from dashboard.shared.tables import Column, draw_table, number_column, positions, text_column, time_column
from pipeline.buffer.views import DeadLetterDetail, DeadLetterView, Rows
from pipeline.dead_letters.letter.timeline import timeline

MOST_LINKS = 20


def draw_history(detail: DeadLetterDetail, dead_lettered_at_ms: int | None) -> None:
    """The timeline, the replays and the other lives."""
    row = detail.row
    lives, replays = reader().lives(row.id), reader().replays_of(row.id)
    moments = timeline(detail, lives, replays, dead_lettered_at_ms)
    columns = [
        time_column("at", "When", [each.at_ms for each in moments], 150),
        text_column("what", "What", [each.what for each in moments], 210),
        text_column("more", "More", [each.more for each in moments], 300),
    ]
    draw_table("letter_timeline", columns, nothing="not told")
    if replays.rows:
        st.markdown("**Replays**")
        draw_table("letter_replays", _replay_columns(replays))
        _link_jobs(replays)
    elif row.imported and row.replays:
        st.caption("The jobs of its replays are in its own buffer.")
    else:
        st.caption("Never replayed.")
    if len(lives) > 1:
        st.markdown("**The same record's dead letters, oldest first**")
        draw_table("letter_lives", _life_columns(lives))
        _link_lives(lives, row.id)


def _link_jobs(replays: Rows) -> None:
    with st.container(horizontal=True):
        for job_id in dict.fromkeys(replays.column("job_id")[:MOST_LINKS]):
            st.page_link(
                "pages/jobs.py",
                label=f"Job {job_id}",
                icon=":material/checklist:",
                query_params={"job": str(job_id)},
            )


def _link_lives(lives: list[DeadLetterView], identifier: int) -> None:
    with st.container(horizontal=True):
        for life in [each for each in lives if each.id != identifier][-MOST_LINKS:]:
            st.button(
                f"Dead letter {life.id}",
                icon=":material/mark_email_unread:",
                type="tertiary",
                on_click=open_letter,
                args=(life.id,),
                key=f"letter_life_{life.id}",
            )


def _replay_columns(replays: Rows) -> list[Column]:
    return [
        number_column("job", "Job", replays.column("job_id"), 60, "%d"),
        text_column("state", "Outcome", [state.replace("_", " ") for state in replays.column("state")], 100),
        text_column("sent_to", "Sent to", positions(replays), 180),
        time_column("asked_at", "Asked at", replays.column("created_at_ms")),
        text_column("by", "By", replays.column("requested_by"), 120),
        text_column("error", "Error", replays.column("error")),
    ]


def _life_columns(lives: list[DeadLetterView]) -> list[Column]:
    return [
        number_column("id", "Id", [life.id for life in lives], 60, "%d"),
        text_column("status", "Status", [STATUSES[life.status].label for life in lives], 100),
        time_column("failed_at", "Failed at", [life.failed_at_ms for life in lives]),
        text_column("reason", "Reason", [life.reason for life in lives], 400),
    ]
