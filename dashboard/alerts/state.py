"""Alerts: their rules, how things stand, and what became of earlier alerts."""

from __future__ import annotations

import re
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms
from dashboard.shared.formats import ago, number, plain, share
from dashboard.shared.snapshots import snapshots
from dashboard.shared.tables import draw_table, text_column, time_column
from pipeline.buffer import Reader
from pipeline.buffer.views import Rows
from pipeline.running.statusboard import read_roles
from pipeline.settings import variable_of
from pipeline.watching.alerts import LOST, TROUBLE

ALERTS_SHOWN = 200
CARD_WIDTH = 180
_ROWS_HIGH = 12
_SCHEME = re.compile(r"[A-Za-z0-9]{1,32}(?=://|$)")
_NOT_SENT = "not sent to "


@dataclass(frozen=True, slots=True)
class Watched:
    """The alerts, and what happened in the alert window."""

    alerts: Rows
    orders: int
    dead_letters: int


def draw_rule() -> None:
    """What raises an alert, as the settings say, and who is told."""
    known = settings()
    st.markdown(
        f"- **{known.alert_dead_letter_rate:.1%}** or more of the records in the last "
        f"**{_duration(known.alert_window_s)}** are dead letters, and at least "
        f"**{number(known.alert_min_records)}** records came in that time.\n"
        "- Kafka removed records before they were read, until `python -m pipeline check --accept-lost`.\n"
        f"- A role waits, fails, is held up or says nothing for **{number(known.alert_trouble_s)} s**.\n"
        f"- The disk of the buffer is **{known.alert_disk_share:.1%}** full.\n"
        f"{_group_rule(known.alert_groups)}\n"
        f"An alert ends when all has been well for **{_duration(known.alert_hold_s)}**; for dead letters that is below "
        f"**{known.alert_dead_letter_rate * known.alert_end_share:.1%}**."
    )
    names = ", ".join(
        f"`{variable_of(name)}`"
        for name in (
            "alert_dead_letter_rate",
            "alert_window_s",
            "alert_min_records",
            "alert_end_share",
            "alert_hold_s",
            "alert_trouble_s",
            "alert_disk_share",
            "alert_groups",
        )
    )
    told = plain(", ".join(sorted({url.partition("://")[0] for url in known.alert_urls})))
    st.caption(
        f"Set by {names}. "
        + (f"Told by {told}." if told else f"Nobody is told: `{variable_of('alert_urls')}` is empty.")
    )


def _group_rule(states: tuple[str, ...]) -> str:
    return f"- A group of dead letters is **{plain(' or '.join(states))}**.\n" if states else ""


def draw_alerts(now_place: DeltaGenerator, list_place: DeltaGenerator) -> None:
    """How things stand now, and all alerts."""
    now = now_ms()
    with now_place:
        _draw_watcher(now)
    watched = snapshots().get("alerts", _ask)
    with now_place:
        _draw_now(watched, now)
    with list_place:
        _draw_list(watched.alerts)


def _ask(source: Reader) -> Watched:
    return Watched(source.alerts(ALERTS_SHOWN), *source.alert_window(now_ms() - settings().alert_window_s * 1000))


def _draw_watcher(now: int) -> None:
    if not any(
        each.role == "worker" and each.state == "running" and not each.silent(now)
        for each in read_roles(settings().data_dir)
    ):
        st.warning("Nobody watches: no worker is running.", icon=":material/visibility_off:")


def _draw_now(watched: Watched, now: int) -> None:
    known = settings()
    firing = _firing(watched.alerts)
    for message, started_at_ms in firing:
        st.error(
            f"**Firing**, began {ago(started_at_ms, now)}: {plain(message)}", icon=":material/notifications_active:"
        )
    dead_letters, records = watched.dead_letters, watched.orders + watched.dead_letters
    with st.container(horizontal=True, key="alert_figures"):
        _card("State", "Firing" if firing else "Quiet", "Whether an alert is firing.")
        _card(
            "Dead-letter share",
            share(dead_letters, records),
            f"{number(dead_letters)} of {number(records)} records in the window.",
        )
        _card("Threshold", f"{known.alert_dead_letter_rate:.1%}", "The share from which on an alert is raised.")
        _card(
            "Records",
            number(records),
            f"Below {number(known.alert_min_records)} the share says too little and raises nothing.",
        )
        _card("Window", _duration(known.alert_window_s), "How far back records are counted.")


def _firing(alerts: Rows) -> list[tuple[str, int]]:
    if not alerts.rows:
        return []
    columns = (alerts.column(name) for name in ("state", "message", "started_at_ms"))
    return [
        (message, started_at_ms) for state, message, started_at_ms in zip(*columns, strict=True) if state == "firing"
    ]


def _card(label: str, value: str, explanation: str) -> None:
    st.metric(label, value, border=True, help=explanation, width=CARD_WIDTH)


def _draw_list(alerts: Rows) -> None:
    if not alerts.rows:
        st.caption(alerts.cut or "No alert was ever raised.")
        return
    columns = [
        text_column("state", "State", [state.capitalize() for state in alerts.column("state")], "small"),
        text_column("rule", "Rule", alerts.column("rule")),
        time_column("started", "Started", alerts.column("started_at_ms")),
        time_column("ended", "Ended", alerts.column("ended_at_ms")),
        text_column("worst", "Worst", _measures(alerts, "value"), "small", "The worst share, or the time it lasted."),
        text_column("threshold", "Threshold", _measures(alerts, "threshold"), "small"),
        text_column(
            "notice",
            "Notice",
            [_notice(notice) for notice in alerts.column("notice")],
            explanation="Whether those who should know were told.",
        ),
        text_column("message", "Message", alerts.column("message"), "large"),
    ]
    draw_table("alerts_table", columns, _ROWS_HIGH, nothing="–")
    if alerts.cut or len(alerts.rows) == ALERTS_SHOWN:
        st.caption(alerts.cut or f"The newest {ALERTS_SHOWN}; the export has all.")


def _measures(alerts: Rows, column: str) -> list[str]:
    """Shares in percent; of a role in trouble, seconds; of lost records, their number."""
    return [_measure(rule, value) for rule, value in zip(alerts.column("rule"), alerts.column(column), strict=True)]


def _measure(rule: str, value: float) -> str:
    if rule.startswith(TROUBLE):
        return f"{value:,.0f} s"
    return number(int(value)) if rule == LOST else f"{value:.1%}"


def _notice(notice: str | None) -> str:
    """Who was told. Of an address only its kind: what follows it may be a secret."""
    if notice is None:
        return "nobody to tell"
    if not notice.startswith(_NOT_SENT):
        return notice
    schemes = [found[0] for part in notice.removeprefix(_NOT_SENT).split(", ") if (found := _SCHEME.match(part))]
    return f"{_NOT_SENT}{', '.join(schemes)}"


def _duration(seconds: int) -> str:
    if seconds % 60 or seconds < 60:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds % 3600 else f"{seconds // 3600} h"
