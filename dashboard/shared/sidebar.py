"""The sidebar: produce orders, and the job that runs."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared.configuration import ICON, settings
from dashboard.shared.context import now_ms, writer
from dashboard.shared.formats import plain, progress
from dashboard.shared.mapping import why_nothing_is_produced
from dashboard.shared.session import StateKey
from dashboard.shared.snapshots import newest_job
from pipeline.buffer.views import JobView
from pipeline.errors import OrderPulseError
from pipeline.jobs.requests import cancel, new_request_id, request_produce
from pipeline.orders.sample_requests import MAX_COUNT, MAX_RATE, ProduceRequest
from pipeline.settings import variable_of

REQUESTED_BY = "app"
OUTCOME_SHOWN_MS = 60_000
_REQUEST_ID: StateKey[str] = StateKey("produce_request_id")
_ANSWER: StateKey[str] = StateKey("sidebar_answer")
_JOB_CONTAINER: StateKey[DeltaGenerator] = StateKey("job_container")
_ENDS = {
    "done": (":material/check_circle:", "sent"),
    "cancelled": (":material/cancel:", "sent before it was cancelled"),
    "failed": (":material/error:", "sent before it failed"),
}


def sidebar() -> None:
    """Everything in the sidebar below the pages; the running job's container is filled by `draw_job`."""
    with st.sidebar:
        st.logo(str(ICON), size="large")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**OrderPulse**", width="content")
            if settings().demo:
                st.badge("demo cluster", icon=":material/science:", color="green")
        if settings().read_only:
            st.caption(f":material/lock: Read-only ({variable_of('read_only')}): nothing can be produced or cancelled.")
        _produce_form()
        _show_answer()
        _JOB_CONTAINER.set(st.container(key="job"))


def job_drawer() -> Callable[[], None]:
    """What draws the newest job into its container in the sidebar; call it in the page's live part."""
    container = _JOB_CONTAINER.get()

    def draw() -> None:
        if container is not None:
            # A fragment may draw in a container outside of itself when it does so in every run.
            with container:
                try:
                    draw_job(newest_job())
                except OrderPulseError:
                    # The page says so itself; the container must be written all the same, or later runs may not.
                    st.empty()

    return draw


def draw_job(job: JobView | None) -> None:
    """The progress of a job with a button to cancel it, or for a minute how it ended."""
    if job is None:
        st.empty()
    elif job.state in _ENDS:
        _draw_outcome(job)
    else:
        st.progress(progress(job.done + job.failed, job.total), text=_progress_line(job))
        st.button(
            "Cancel",
            key=f"cancel_job_{job.id}",
            icon=":material/cancel:",
            width="stretch",
            disabled=settings().read_only or job.state == "cancelling",
            on_click=_cancel,
            args=(job.id,),
        )


def _progress_line(job: JobView) -> str:
    verb = {"produce": "Producing", "replay": "Replaying"}[job.kind]
    failed = f", {job.failed:,} failed" if job.failed else ""
    match job.state:
        case "queued":
            return f"Job {job.id} is queued: {job.total:,} to send"
        case "cancelling":
            return f"Cancelling job {job.id}: {job.done:,} of {job.total:,} sent{failed}"
        case _:
            return f"{verb}: {job.done:,} of {job.total:,} sent{failed}"


def _draw_outcome(job: JobView) -> None:
    if now_ms() - (job.finished_at_ms or 0) > OUTCOME_SHOWN_MS:
        st.empty()
        return
    icon, how = _ENDS[job.state]
    failed = f", {job.failed:,} failed" if job.failed else ""
    error = f": {plain(job.error)}" if job.error else ""
    st.caption(f"{icon} Job {job.id}: {job.done:,} of {job.total:,} {how}{failed}{error}")


def _produce_form() -> None:
    # The id stands for this rendering of the form. It is in the button's key too: a second click on the same rendering
    # is the same request, and one that arrives after the next rendering belongs to a button that is no more.
    request_id = _REQUEST_ID.get() or new_request_id()
    _REQUEST_ID.set(request_id)
    why_not = why_nothing_is_produced()
    if why_not:
        st.caption(f":material/block: Nothing can be produced: {plain(why_not)}.")
    locked = settings().read_only or bool(why_not)
    with st.form("produce", border=False):
        count, rate = st.columns(2)
        count.number_input(
            "Orders",
            min_value=1,
            max_value=MAX_COUNT,
            value=1000,
            key="produce_count",
            disabled=locked,
        )
        rate.number_input(
            "Per second",
            min_value=0.0,
            max_value=MAX_RATE,
            value=50.0,
            step=10.0,
            format="%.0f",
            key="produce_rate",
            help="0 is as fast as the flow allows.",
            disabled=locked,
        )
        with st.expander("Faults and seed", icon=":material/tune:"):
            _share_input("Invalid, %", "produce_invalid", 4.0, "Orders that break a rule: dead letters.", locked)
            _transient_input(locked)
            _share_input("Malformed, %", "produce_malformed", 1.0, "Records whose bytes are no order.", locked)
            st.number_input(
                "Seed",
                min_value=0,
                value=1,
                key="produce_seed",
                help="The same seed makes the same orders.",
                disabled=locked,
            )
        st.form_submit_button(
            "Produce orders",
            key=f"produce_{request_id}",
            type="primary",
            icon=":material/play_arrow:",
            width="stretch",
            on_click=_produce,
            args=(request_id,),
            disabled=locked,
        )


def _transient_input(locked: bool) -> None:
    explanation = "Orders that are accepted after retries."
    if settings().demo:
        _share_input("Transient, %", "produce_transient", 6.0, explanation, locked)
        return
    _share_input("Transient, %", "produce_transient", 0.0, explanation, locked=True)
    st.caption(f"Only the demo cluster's handler simulates failures; {variable_of('bootstrap_servers')} is set.")


def _share_input(label: str, key: str, default: float, explanation: str, locked: bool) -> None:
    st.number_input(
        label,
        min_value=0.0,
        max_value=100.0,
        value=default,
        step=1.0,
        format="%.1f",
        key=key,
        help=explanation,
        disabled=locked,
    )


def _produce(request_id: str) -> None:
    state = st.session_state
    request = ProduceRequest(
        count=state.produce_count,
        rate=state.produce_rate,
        seed=state.produce_seed,
        invalid_share=state.produce_invalid / 100,
        transient_share=state.produce_transient / 100,
        malformed_share=state.produce_malformed / 100,
    )

    def ask() -> None:
        with writer() as buffer:
            request_produce(settings(), buffer, now_ms, request, REQUESTED_BY, request_id)
        _REQUEST_ID.set(new_request_id())

    _answer(ask)


def _cancel(job_id: int) -> None:
    def ask() -> None:
        with writer() as buffer:
            cancel(settings(), buffer, now_ms, job_id)

    _answer(ask)


def _answer(ask: Callable[[], None]) -> None:
    """Does what was asked for; what speaks against it is shown by the run that follows."""
    _ANSWER.pop()
    try:
        ask()
    except OrderPulseError as error:
        _ANSWER.set(str(error))


def _show_answer() -> None:
    problem = _ANSWER.pop()
    if problem:
        st.error(plain(problem), icon=":material/error:")
