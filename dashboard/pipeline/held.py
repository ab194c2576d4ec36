"""Topics that are not read, since they may hold copies of what was read: why, and from where on they are to be read."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboard.shared.asking import refusal, requested_by, tell
from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms, writer
from dashboard.shared.formats import ago, money, number, plain
from dashboard.shared.mapping import wording
from dashboard.shared.session import StateKey
from pipeline.buffer import HeldTopic, TakenOrders
from pipeline.errors import OrderPulseError
from pipeline.jobs.requests import orders_taken_out, read_on

TIME_WIDTH = 220


@dataclass(frozen=True, slots=True)
class Question:
    """A topic that somebody wants to have read from the earliest on, and what that takes out first."""

    held_id: int
    taken: TakenOrders


_ASKED: StateKey[Question] = StateKey("pipeline_held_asked")
_LATEST = "What the topic holds by now is not read, and what was read stays."
_EARLIEST = (
    "Orders that were read from the other cluster go out of rows and figures, and all that the topic holds is read. "
    "Dead letters stay."
)
_TIME = "Read on from the first records of this time or later; UTC, where no zone is given."


def draw_held(topics: list[HeldTopic], now: int) -> None:
    """Each topic that is held, with the three ways to go on; those that are about to be read again, too."""
    for each in topics:
        if each.state != "held":
            st.info(plain(str(each)), icon=":material/restart_alt:")
            continue
        st.error(
            f"{plain(str(each))}, since {ago(each.held_at_ms or now, now)}. Say from where on it is read.",
            icon=":material/content_copy:",
        )
        question = _ASKED.get()
        if question is not None and question.held_id == each.id:
            _draw_question(each, question.taken)
        else:
            _draw_choices(each)


def _draw_choices(held: HeldTopic) -> None:
    refused = refusal()
    time_key: StateKey[str] = StateKey(f"pipeline_held_time_{held.id}")
    with st.container(horizontal=True, vertical_alignment="bottom", key=f"pipeline_held_{held.id}"):
        for start, label, explanation, on_click in (
            ("latest", "Only what comes from now on", _LATEST, lambda: _read_on(held, "latest")),
            ("earliest", "All that it holds, again", _EARLIEST, lambda: _ask(held)),
        ):
            st.button(
                label,
                key=f"pipeline_held_{start}_{held.id}",
                disabled=refused is not None,
                help=refused or explanation,
                on_click=on_click,
            )
        st.text_input("From a time on", key=time_key.name, placeholder="2026-03-01T12:00:00Z", width=TIME_WIDTH)
        st.button(
            "From this time",
            key=f"pipeline_held_at_{held.id}",
            disabled=refused is not None,
            help=refused or _TIME,
            on_click=lambda: _read_on(held, time_key.get_or("")),
        )


def _ask(held: HeldTopic) -> None:
    """Asks for a second click, since what goes does not come back but from Kafka."""
    try:
        with writer() as buffer:
            _ASKED.set(Question(held.id, orders_taken_out(buffer, held)))
    except OrderPulseError as error:
        tell(str(error))


def _draw_question(held: HeldTopic, taken: TakenOrders) -> None:
    goes = "order goes" if taken.orders == 1 else "orders go"
    st.warning(
        f"{number(taken.orders)} {goes} out of rows and figures, with a revenue of "
        f"{plain(money(taken.revenue_cents, wording().currency))}; then all that {plain(held.topic)} holds is read. "
        "Dead letters stay.",
        icon=":material/restart_alt:",
    )
    with st.container(horizontal=True, key=f"pipeline_held_{held.id}"):
        st.button("Cancel", key=f"pipeline_held_cancel_{held.id}", on_click=_ask_no_more)
        st.button(
            "Read it again",
            key=f"pipeline_held_confirm_{held.id}",
            type="primary",
            on_click=_read_on,
            args=(held, "earliest"),
        )


def _ask_no_more() -> None:
    _ASKED.pop()


def _read_on(held: HeldTopic, start: str) -> None:
    try:
        with writer() as buffer:
            read_on(settings(), buffer, now_ms, held.id, start, requested_by())
        _ask_no_more()
    except OrderPulseError as error:
        tell(str(error))
