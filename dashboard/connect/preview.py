"""Raw records of the sample, and what would come of all of it by the section as it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard.shared.context import viewer_zone
from dashboard.shared.formats import moment, number, plain
from dashboard.shared.questions import Asked, say_waiting
from dashboard.shared.tables import draw_table, number_column, text_column
from pipeline.orders.fields import ORDER_FIELDS

_ROWS_HIGH = 10
_REASONS_HIGH = 8
_TABS = ("Record 1", "Record 2", "Record 3")


def draw_records(answer: Mapping[str, Any]) -> None:
    """Three records, decoded."""
    st.markdown("**Records**")
    st.caption(
        f"{number(answer['records'])} of {number(answer['held'])} looked at, the newest. "
        f"{plain(_formats(answer['formats']))}. {plain(answer['cut'])}"
    )
    for reason, count in answer["unreadable"]:
        st.warning(f"{number(count)} cannot be read: {plain(reason)}", icon=":material/warning:")
    shown = answer["shown"]
    for tab, each in zip(st.tabs(_TABS[: len(shown)]), shown, strict=True):
        with tab:
            _draw_record(each)


def _formats(formats: Sequence[tuple[str, int]]) -> str:
    return ", ".join([f"{name} ({count:,})" for name, count in formats[:3]]) or "None could be read"


def _draw_record(each: Mapping[str, Any]) -> None:
    st.caption(f"{plain(each['position'])}, {moment(each['timestamp_ms'], viewer_zone())}")
    if each["reason"]:
        st.caption(plain(each["reason"]))
    st.code(each["value"], language="json" if each["format"] else None, height=420, wrap_lines=True)
    st.code(_key_and_headers(each), language=None, wrap_lines=True)


def _key_and_headers(each: Mapping[str, Any]) -> str:
    return "\n".join([f"key: {each['key']}", *(f"header:{name}: {value}" for name, value in each["headers"])])


def draw_preview(asked: Asked) -> None:
    """The first orders as they would come out, and how many records would become what."""
    st.markdown("**What would come of it**")
    if asked.answer is None:
        say_waiting(asked, "It is tried on the sample.")
        return
    trial = asked.answer["trial"]
    refused = trial["records"] - trial["accepted"] - trial["passed_over"]
    with st.container(horizontal=True, key="connect_figures"):
        for label, value, explanation in (
            ("Accepted", trial["accepted"], "Records of the sample that would be orders."),
            (
                "Passed over",
                trial["passed_over"],
                "Records that are no orders, by the condition: counted, and no failure.",
            ),
            ("Dead letters", refused, "Records that would be dead letters, for the reasons below."),
        ):
            st.metric(label, number(value), border=True, help=explanation, width=150)
    if trial["reasons"]:
        columns = [
            number_column("count", "Records", [count for count, _ in trial["reasons"]], 80, "localized"),
            text_column("reason", "Why they would be dead letters", [reason for _, reason in trial["reasons"]]),
        ]
        draw_table("connect_reasons", columns, _REASONS_HIGH)
    if trial["rows"]:
        rows = trial["rows"]
        shown = [
            text_column(each.avro_name, each.label, [row[each.avro_name] for row in rows]) for each in ORDER_FIELDS
        ]
        draw_table("connect_rows", shown, _ROWS_HIGH)
    else:
        st.caption("No record of the sample would be an order.")
