"""The question before a replay: what will be sent, where to, and what is left out. Confirmed once, it is one job."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import streamlit as st

from dashboard.dead_letters.table import show_newest
from dashboard.dead_letters.topics import dead_letter_topics
from dashboard.shared.asking import requested_by, tell
from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms, reader, shown_errors, writer
from dashboard.shared.formats import plain
from dashboard.shared.session import StateKey
from dashboard.shared.tables import draw_table, number_column, text_column
from pipeline.buffer import OPEN_STATUSES, DeadLetterFilter, ReplayPreview
from pipeline.errors import OrderPulseError
from pipeline.jobs.requests import new_request_id, request_replay, why_left_out
from pipeline.orders.sample_requests import MAX_RATE

LISTED = 200
ROWS_HIGH = 8
LAST_JOB: StateKey[int] = StateKey("letters_last_job")
_PROPOSAL: StateKey[Proposal] = StateKey("replay_proposal")
_PLANS: StateKey[dict[bool, Plan]] = StateKey("replay_plans")
_ERROR: StateKey[str] = StateKey("replay_error")
_RATE: StateKey[float] = StateKey("replay_rate")
_FORCE: StateKey[bool] = StateKey("replay_force")
_WHY_LEFT_OUT = {
    "replaying": "already on the way",
    "replayed": "sent already, outcome not known yet",
    "recovered": "recovered already",
    "discarded": "discarded",
    "open": "open",
    "dead_again": "dead again",
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody is asked to confirm. The request's id is made here, so that two clicks are one request."""

    which: DeadLetterFilter
    request_id: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay would do: how many it sends, the first of them, and what it leaves out by reason."""

    total: int
    first: tuple[ReplayPreview, ...]
    left_out: tuple[tuple[int, str], ...]
    force_helps: bool


def propose(which: DeadLetterFilter) -> None:
    """Opens the dialog at the next run."""
    _PROPOSAL.set(Proposal(which, new_request_id()))
    _PLANS.set({})
    for left_over in (_ERROR, _FORCE, _RATE):
        left_over.pop()


def replay_is_proposed() -> bool:
    """Whether the dialog is open."""
    return _PROPOSAL.is_set()


def _close() -> None:
    _PROPOSAL.pop()
    _PLANS.pop()


@st.dialog("Replay dead letters", width="large", icon=":material/replay:", on_dismiss=_close)
def draw_replay_dialog() -> None:
    """The dialog: drawn by every run as long as it is open, it outlives those that redraw the page."""
    proposal = _PROPOSAL.get()
    if proposal is None:
        # Confirmed or cancelled by the click that started this run.
        st.rerun()
    with shown_errors():
        _ask(proposal)


def _ask(proposal: Proposal) -> None:
    plan = _plan(proposal, bool(_FORCE.get()))
    if plan.total:
        _list(plan)
    else:
        st.info("Nothing to send.", icon=":material/info:")
    _tell_left_out(plan)
    if plan.force_helps or _FORCE.get():
        st.checkbox("Send them all the same", key=_FORCE.name)
    st.number_input(
        "Records a second",
        min_value=0.0,
        max_value=MAX_RATE,
        value=0.0,
        step=10.0,
        format="%.10g",
        key=_RATE.name,
        help="0 sends as fast as the pipeline allows.",
        width=220,
    )
    if error := _ERROR.get():
        st.error(plain(error), icon=":material/error:")
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Cancel", on_click=_close, key="replay_cancel")
        st.button(
            f"Replay {plan.total:,} dead letter{'' if plan.total == 1 else 's'}",
            icon=":material/replay:",
            type="primary",
            disabled=plan.total == 0,
            on_click=_confirm,
            key="replay_confirm",
        )


def _confirm() -> None:
    proposal = _PROPOSAL.get()
    if proposal is None:
        return  # the second of two clicks
    rate, force = float(_RATE.get() or 0.0), bool(_FORCE.get())
    try:
        with writer() as buffer:
            job_id = request_replay(
                settings(),
                buffer,
                now_ms,
                proposal.which,
                requested_by(),
                request_id=proposal.request_id,
                rate=rate,
                force=force,
                source_of=dead_letter_topics().source_of,
            )
    except OrderPulseError as error:
        _ERROR.set(str(error))
        _PLANS.set({})
        return
    _close()
    show_newest()
    LAST_JOB.set(job_id)
    tell(f"Replay job {job_id} is queued")


def _list(plan: Plan) -> None:
    goes = "goes back to where it came from" if plan.total == 1 else "go back to where they came from"
    st.markdown(f"**{plan.total:,}** {goes}:")
    columns = [
        number_column("id", "Id", [each.dead_letter_id for each in plan.first], 70, "%d"),
        text_column("order_id", "Order ID", [each.order_id for each in plan.first], 130),
        text_column("reason", "Reason", [each.reason for each in plan.first], 280),
        text_column("topic", "Where to", [each.topic for each in plan.first], 140),
    ]
    draw_table("replay_list", columns, ROWS_HIGH)
    if plan.total > len(plan.first):
        st.caption(f"The first {len(plan.first)} are listed, {plan.total - len(plan.first):,} more follow.")


def _tell_left_out(plan: Plan) -> None:
    if plan.left_out:
        parts = "; ".join(f"{count:,} {why}" for count, why in plan.left_out)
        st.caption(f":material/block: Left out: {parts}.")


def _plan(proposal: Proposal, force: bool) -> Plan:
    """The plan, made once a proposal: a long list is not read again at every key stroke."""
    plans = _PLANS.get() or {}
    if force not in plans:
        plans[force] = _make_plan(proposal.which, force)
        _PLANS.set(plans)
    return plans[force]


def _make_plan(which: DeadLetterFilter, force: bool) -> Plan:
    limit = None if force else settings().replay_limit
    taken = _taken_statuses(which, force)
    source_of = dead_letter_topics().source_of
    with writer() as buffer:
        preview = buffer.jobs.preview_replay(which, limit, source_of)
        first = tuple(islice(preview, LISTED))
        total = len(first) + sum(1 for _ in preview)
        cannot = buffer.jobs.count_left_out(which.with_status(*taken), limit, source_of)
    counts = reader().count_by_status(which)
    left_out = [(counts[status], why) for status, why in _WHY_LEFT_OUT.items() if _leaves(status, taken, counts)]
    left_out += why_left_out(settings(), cannot)
    # Ids that somebody picked are taken whatever became of them; a filter only means what is open.
    picked = bool(which.ids) and any(
        counts.get(status) for status in _WHY_LEFT_OUT if status not in ("open", "replaying")
    )
    return Plan(total, first, tuple(left_out), not force and bool(cannot.beyond_limit or picked))


def _taken_statuses(which: DeadLetterFilter, force: bool) -> tuple[str, ...]:
    if which.query.names("status") or (which.ids and force):
        return tuple(_WHY_LEFT_OUT)
    return OPEN_STATUSES


def _leaves(status: str, taken: tuple[str, ...], counts: dict[str, int]) -> bool:
    return counts.get(status, 0) > 0 and (status == "replaying" or status not in taken)
