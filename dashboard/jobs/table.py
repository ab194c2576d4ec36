"""Jobs as they run, a way to cancel each, and the ledger of the one that somebody chose."""

from __future__ import annotations

import json

import streamlit as st

from dashboard.shared.asking import refusal, tell
from dashboard.shared.badges import Badge, Badges
from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms, reader, viewer_zone, writer
from dashboard.shared.facts import draw_facts
from dashboard.shared.formats import moment, progress
from dashboard.shared.session import RenewableKey, StateKey
from dashboard.shared.tables import (
    Column,
    badge_column,
    draw_table,
    number_column,
    positions,
    share_column,
    text_column,
    time_column,
)
from pipeline.buffer.views import JobView, Rows
from pipeline.errors import OrderPulseError
from pipeline.jobs.requests import cancel

JOB_PARAMETER = "job"
LISTED = 50
STATES: Badges = {
    "queued": Badge("Queued", "gray"),
    "running": Badge("Running", "blue"),
    "cancelling": Badge("Cancelling", "orange"),
    "cancelled": Badge("Cancelled", "gray"),
    "done": Badge("Done", "green"),
    "failed": Badge("Failed", "red"),
}
KIND_LABELS = {"produce": "Produce", "replay": "Replay"}
ChoiceShown = tuple[tuple[int, ...], JobView | None]
"""The jobs that one can choose from, and the chosen one."""
_ENDED = ("cancelled", "done", "failed")
_CHOSEN = RenewableKey[int]("jobs_chosen_")
_DRAWN: StateKey[ChoiceShown] = StateKey("jobs_drawn")
_ROWS_HIGH = 10


def watch_jobs() -> bool:
    """The live part: what runs, and all jobs newest first. True: the chosen job or the choice of jobs has changed."""
    jobs = reader().jobs(LISTED)
    for job in jobs:
        if job.state not in _ENDED:
            _draw_running(job)
    if jobs:
        _draw_list(jobs)
    else:
        st.caption("No jobs yet: what is produced or replayed is followed here.")
    return _what_choice_shows(jobs) != _DRAWN.get()


def choose_job() -> JobView | None:
    """Draws the box to choose a job from; returns the chosen one, the newest until somebody chooses."""
    _take_job_of_link()
    jobs = {job.id: job for job in reader().jobs(LISTED)}
    _DRAWN.set(_what_choice_shows(list(jobs.values())))
    if not jobs:
        return None
    linked = _CHOSEN.get()
    if linked is not None and linked not in jobs and (older := reader().job(linked)):
        jobs[linked] = older
    if linked not in jobs:
        _CHOSEN.set(next(iter(jobs)))
    chosen = st.selectbox("Job", list(jobs), format_func=lambda each: _title(jobs[each]), key=_CHOSEN.name, width=320)
    return jobs[chosen]


def draw_job(job: JobView) -> None:
    """Everything about one job, and the ledger of a replay."""
    zone = viewer_zone()
    facts = [
        ("State", STATES[job.state].label),
        ("Sent", f"{job.done:,} of {job.total:,}" + (f", {job.failed:,} failed" if job.failed else "")),
        ("Requested by", job.requested_by),
        ("Asked at", moment(job.created_at_ms, zone)),
        ("Started at", moment(job.started_at_ms, zone)),
        ("Ended at", moment(job.finished_at_ms, zone)),
    ]
    if job.kind == "replay":
        facts += [("Recovered", f"{job.recovered:,}"), ("Dead again", f"{job.dead_again:,}")]
    draw_facts(facts + [_setting(name, value) for name, value in json.loads(job.params).items()])
    if job.error:
        st.code(job.error, language=None, wrap_lines=True)
    if job.kind == "replay":
        _draw_ledger(reader().job_items(job.id), job.total)


def _setting(name: str, value: object) -> tuple[str, str]:
    """What was asked for, in words."""
    label = name.replace("_", " ").capitalize()
    if isinstance(value, bool):
        return label, "yes" if value else "no"
    if name == "rate":
        return label, f"{value:,.10g}/s" if value else "as fast as possible"
    if isinstance(value, float):
        return label, f"{value:.1%}"
    return label, str(value)


def _draw_running(job: JobView) -> None:
    refused = refusal()
    with (
        st.container(border=True, key=f"job_card_{job.id}"),
        st.container(horizontal=True, vertical_alignment="center"),
    ):
        st.markdown(f"**{_title(job)}**", width="content")
        st.badge(STATES[job.state].label, color=STATES[job.state].color)
        st.progress(_share(job), text=_how_far(job))
        st.button(
            "Cancel",
            icon=":material/cancel:",
            key=f"jobs_cancel_{job.id}",
            disabled=refused is not None or job.state == "cancelling",
            help=refused,
            on_click=_cancel,
            args=(job.id,),
        )


def _draw_list(jobs: list[JobView]) -> None:
    draw_table("jobs_list", _job_columns(jobs), _ROWS_HIGH)


def _cancel(job_id: int) -> None:
    try:
        with writer() as buffer:
            cancel(settings(), buffer, now_ms, job_id)
    except OrderPulseError as error:
        tell(str(error))


def _take_job_of_link() -> None:
    wanted = st.query_params.get(JOB_PARAMETER, "")
    if wanted.isascii() and wanted.isdecimal() and len(wanted) < 19:
        _CHOSEN.set(int(wanted))
    if wanted:
        del st.query_params[JOB_PARAMETER]


def _what_choice_shows(jobs: list[JobView]) -> ChoiceShown:
    """What the part of the page that stands still depends on."""
    chosen = _CHOSEN.get()
    return tuple(job.id for job in jobs), next((job for job in jobs if job.id == chosen), None)


def _title(job: JobView) -> str:
    return f"{KIND_LABELS[job.kind]} job {job.id}"


def _share(job: JobView) -> float:
    return progress(job.done + job.failed, job.total)


def _how_far(job: JobView) -> str:
    parts = [f"{job.done:,} of {job.total:,} sent"]
    if job.failed:
        parts.append(f"{job.failed:,} failed")
    if job.kind == "replay":
        parts += [f"{job.recovered:,} recovered", f"{job.dead_again:,} dead again"]
    return ", ".join(parts)


def _job_columns(jobs: list[JobView]) -> list[Column]:
    return [
        number_column("id", "Job", [job.id for job in jobs], 60, "%d"),
        text_column("kind", "Kind", [KIND_LABELS[job.kind] for job in jobs], 80),
        badge_column("state", "State", [job.state for job in jobs], STATES, 100),
        share_column("progress", "Progress", [_share(job) for job in jobs], 130),
        number_column("done", "Done", [job.done for job in jobs], 70, "localized"),
        number_column("failed", "Failed", [job.failed for job in jobs], 65, "localized"),
        number_column("total", "Total", [job.total for job in jobs], 70, "localized"),
        number_column("recovered", "Recovered", [_of_replay(job, job.recovered) for job in jobs], 90, "localized"),
        number_column("dead_again", "Dead again", [_of_replay(job, job.dead_again) for job in jobs], 95, "localized"),
        text_column("by", "Requested by", [job.requested_by for job in jobs], 110),
        time_column("asked_at", "Asked at", [job.created_at_ms for job in jobs], 150),
        time_column("ended_at", "Ended at", [job.finished_at_ms for job in jobs], 150),
        text_column("error", "Error", [job.error for job in jobs], 240),
    ]


def _of_replay(job: JobView, count: int) -> int | None:
    return count if job.kind == "replay" else None


def _draw_ledger(items: Rows, total: int) -> None:
    st.markdown("**Dead letters of this job**")
    columns = [
        number_column("id", "Dead letter", items.column("dead_letter_id"), 90, "%d"),
        text_column("state", "Outcome", [state.replace("_", " ") for state in items.column("state")], 100),
        text_column("order_id", "Order ID", items.column("order_id"), 130),
        text_column("reason", "Reason", items.column("reason"), 300),
        text_column("sent_to", "Sent to", positions(items), 180),
        text_column("error", "Error", items.column("error"), 240),
    ]
    draw_table("jobs_ledger", columns, _ROWS_HIGH)
    if total > len(items.rows):
        st.caption(f"The first {len(items.rows):,} of {total:,} are shown.")
