"""Jobs as they run, a way to cancel each, and the ledger of the one that somebody chose."""

from __future__ import annotations

import json

import pyarrow as pa
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard.shared.asking import refusal, tell
from dashboard.shared.badges import Badge, Badges
from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms, reader, viewer_zone, writer
from dashboard.shared.facts import draw_facts
from dashboard.shared.formats import moment, position_text
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
_ENDED = ("cancelled", "done", "failed")
_CHOSEN, _DRAWN = "jobs_chosen", "jobs_drawn"
_ROW_PIXELS = 35


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
    return _what_choice_shows(jobs) != st.session_state.get(_DRAWN)


def choose_job() -> JobView | None:
    """Draws the box to choose a job from; returns the chosen one, the newest until somebody chooses."""
    _take_job_of_link()
    jobs = {job.id: job for job in reader().jobs(LISTED)}
    st.session_state[_DRAWN] = _what_choice_shows(list(jobs.values()))
    if not jobs:
        return None
    linked = st.session_state.get(_CHOSEN)
    if linked is not None and linked not in jobs and (older := reader().job(linked)):
        jobs[linked] = older
    if linked not in jobs:
        st.session_state[_CHOSEN] = next(iter(jobs))
    chosen = st.selectbox("Job", list(jobs), format_func=lambda each: _title(jobs[each]), key=_CHOSEN, width=320)
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
    st.dataframe(
        _jobs_table(jobs),
        hide_index=True,
        placeholder="",
        height=_ROW_PIXELS * (min(len(jobs), 10) + 1) + 2,
        key="jobs_list",
        column_config=_job_columns(),
    )


def _cancel(job_id: int) -> None:
    try:
        with writer() as buffer:
            cancel(settings(), buffer, now_ms, job_id)
    except OrderPulseError as error:
        tell(str(error))


def _take_job_of_link() -> None:
    wanted = st.query_params.get(JOB_PARAMETER, "")
    if wanted.isascii() and wanted.isdecimal() and len(wanted) < 19:
        st.session_state[_CHOSEN] = int(wanted)
    if wanted:
        del st.query_params[JOB_PARAMETER]


def _what_choice_shows(jobs: list[JobView]) -> tuple[object, ...]:
    """What the part of the page that stands still depends on."""
    chosen = st.session_state.get(_CHOSEN)
    return tuple(job.id for job in jobs), next((job for job in jobs if job.id == chosen), None)


def _title(job: JobView) -> str:
    return f"{KIND_LABELS[job.kind]} job {job.id}"


def _share(job: JobView) -> float:
    return min(1.0, (job.done + job.failed) / job.total) if job.total else 0.0


def _how_far(job: JobView) -> str:
    parts = [f"{job.done:,} of {job.total:,} sent"]
    if job.failed:
        parts.append(f"{job.failed:,} failed")
    if job.kind == "replay":
        parts += [f"{job.recovered:,} recovered", f"{job.dead_again:,} dead again"]
    return ", ".join(parts)


def _jobs_table(jobs: list[JobView]) -> pa.Table:
    def whole(values: list[int | None]) -> pa.Array:
        return pa.array(values, pa.int64())

    def time(values: list[int | None]) -> pa.Array:
        return pa.array(values, pa.timestamp("ms", tz="UTC"))

    return pa.table(
        {
            "id": whole([job.id for job in jobs]),
            "kind": pa.array([KIND_LABELS[job.kind] for job in jobs], pa.string()),
            "state": pa.array([[STATES[job.state].label] for job in jobs], pa.list_(pa.string())),
            "progress": pa.array([_share(job) for job in jobs], pa.float64()),
            "done": whole([job.done for job in jobs]),
            "failed": whole([job.failed for job in jobs]),
            "total": whole([job.total for job in jobs]),
            "recovered": whole([job.recovered if job.kind == "replay" else None for job in jobs]),
            "dead_again": whole([job.dead_again if job.kind == "replay" else None for job in jobs]),
            "by": pa.array([job.requested_by for job in jobs], pa.string()),
            "asked_at": time([job.created_at_ms for job in jobs]),
            "ended_at": time([job.finished_at_ms for job in jobs]),
            "error": pa.array([job.error for job in jobs], pa.string()),
        }
    )


def _job_columns() -> dict[str, ColumnConfig]:
    config, zone, time = st.column_config, str(viewer_zone()), "YYYY-MM-DD HH:mm:ss"
    return {
        "id": config.NumberColumn("Job", format="%d", width=60),
        "kind": config.TextColumn("Kind", width=80),
        "state": config.MultiselectColumn(
            "State",
            options=[badge.label for badge in STATES.values()],
            color=[badge.color for badge in STATES.values()],
            width=100,
        ),
        "progress": config.ProgressColumn("Progress", min_value=0, max_value=1, format="percent", width=130),
        "done": config.NumberColumn("Done", format="localized", width=70),
        "failed": config.NumberColumn("Failed", format="localized", width=65),
        "total": config.NumberColumn("Total", format="localized", width=70),
        "recovered": config.NumberColumn("Recovered", format="localized", width=90),
        "dead_again": config.NumberColumn("Dead again", format="localized", width=95),
        "by": config.TextColumn("Requested by", width=110),
        "asked_at": config.DatetimeColumn("Asked at", format=time, timezone=zone, width=150),
        "ended_at": config.DatetimeColumn("Ended at", format=time, timezone=zone, width=150),
        "error": config.TextColumn("Error", width=240),
    }


def _draw_ledger(items: Rows, total: int) -> None:
    st.markdown("**Dead letters of this job**")
    st.dataframe(
        _ledger_table(items),
        hide_index=True,
        placeholder="",
        height=_ROW_PIXELS * (max(1, min(len(items.rows), 10)) + 1) + 2,
        key="jobs_ledger",
        column_config={
            "id": st.column_config.NumberColumn("Dead letter", format="%d", width=90),
            "state": st.column_config.TextColumn("Outcome", width=100),
            "order_id": st.column_config.TextColumn("Order ID", width=130),
            "reason": st.column_config.TextColumn("Reason", width=300),
            "sent_to": st.column_config.TextColumn("Sent to", width=180),
            "error": st.column_config.TextColumn("Error", width=240),
        },
    )
    if total > len(items.rows):
        st.caption(f"The first {len(items.rows):,} of {total:,} are shown.")


def _ledger_table(items: Rows) -> pa.Table:
    places = zip(items.column("topic"), items.column("partition"), items.column("offset"), strict=True)
    return pa.table(
        {
            "id": pa.array(items.column("dead_letter_id"), pa.int64()),
            "state": pa.array([state.replace("_", " ") for state in items.column("state")], pa.string()),
            "order_id": pa.array(items.column("order_id"), pa.string()),
            "reason": pa.array(items.column("reason"), pa.string()),
            "sent_to": pa.array([position_text(*place) for place in places], pa.string()),
            "error": pa.array(items.column("error"), pa.string()),
        }
    )
