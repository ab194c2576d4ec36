"""A group by itself: what its dead letters have in common, and what people say of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
import streamlit as st

from dashboard.dead_letters.group_states import GROUP_STATES
from dashboard.shared.asking import refusal, requested_by, show_notice, tell
from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms, reader, shown_errors, viewer_zone, writer
from dashboard.shared.facts import draw_facts
from dashboard.shared.formats import moment, number, plain
from dashboard.shared.session import RenewableKey, StateKey
from dashboard.shared.tables import draw_table, number_column, text_column, time_column
from pipeline.buffer import CONTAINING
from pipeline.buffer.views import GroupDetail
from pipeline.errors import OrderPulseError
from pipeline.jobs.requests import GroupChange, change_groups

OTHERS_OFFERED = 200
_BARS = "#14908a"
"""Told apart from the background in both modes."""
_HOUR_MS = 3_600_000
_IGNORED_FOR = {"an hour": 1, "a day": 24, "a week": 168, "30 days": 720}
_FIELDS = {
    "reason": "Reason",
    "stacktrace": "Stack trace",
    "error_class": "Error class",
    "topic": "Dead-letter topic",
    "source_topic": "Source topic",
}
_OPENED: StateKey[str] = StateKey("letters_group_opened")
_IGNORE = RenewableKey[str]("letters_group_ignore_")
_NOTE = RenewableKey[str]("letters_group_note_")
_MERGE = RenewableKey[str]("letters_group_merge_")
_SPLIT_FIELD = RenewableKey[str]("letters_group_split_field_")
_SPLIT_VALUE = RenewableKey[str]("letters_group_split_value_")
_TYPED: tuple[RenewableKey[str], ...] = (_IGNORE, _NOTE, _MERGE, _SPLIT_FIELD, _SPLIT_VALUE)


def draw_group_popover(fingerprint: str) -> None:
    """How the group stands that the query asks for, and behind it what can be said of it."""
    rows = reader().groups(now_ms(), limit=1, only=fingerprint).dicts()
    if not rows:
        return
    row, refused = rows[0], refusal()
    badge = GROUP_STATES[row["state"]]
    with st.popover(f"Group: {badge.label}", icon=":material/category:", type="tertiary", key="letters_group_menu"):
        settled = row["state"] in ("resolved", "ignored")
        if not settled:
            _button("Resolve", ":material/check_circle:", lambda changes: changes.resolve(fingerprint), refused)
        if settled or row["state"] in ("new", "regressed"):
            label = "Reopen" if settled else "Acknowledge"
            _button(label, ":material/undo:", lambda changes: changes.reopen(fingerprint), refused)
        st.button(
            "More on this group",
            icon=":material/more_horiz:",
            on_click=_open,
            args=(fingerprint,),
            key="letters_group_more",
        )


def group_is_open() -> bool:
    """Whether the dialog is open."""
    return _OPENED.is_set()


def _open(fingerprint: str) -> None:
    _OPENED.set(fingerprint)
    for key in _TYPED:
        key.renew()


def _close() -> None:
    _OPENED.pop()


@st.dialog("Group", width="large", icon=":material/category:", on_dismiss=_close)
def draw_group_dialog() -> None:
    """The dialog: drawn by every run as long as it is open, it outlives those that redraw the page."""
    show_notice()
    with shown_errors():
        group = reader().group(_OPENED.get_or(""), now_ms())
        if group is None:
            st.info("Nothing is left of this group.", icon=":material/info:")
            return
        _draw(group, refusal())


def _draw(group: GroupDetail, refused: str | None) -> None:
    row, badge = group.row, GROUP_STATES[group.row["state"]]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(badge.label, color=badge.color)
        st.text(row["title"])
    if group.moving:
        st.caption(":material/hourglass_top: Dead letters are still being moved between groups.")
    draw_facts(_facts(group))
    _draw_chart(row)
    _draw_spread(group)
    _draw_notes(group, refused)
    with st.expander("Ignore for a while"):
        _draw_ignoring(row["fingerprint"], refused)
    with st.expander("Merge", expanded=bool(group.merged)):
        _draw_merging(group, refused)
    with st.expander("Split", expanded=bool(group.splits or group.made_by)):
        _draw_splitting(group, refused)


def _facts(group: GroupDetail) -> list[tuple[str, str]]:
    row, zone, spread = group.row, viewer_zone(), group.spread
    of = "" if spread.is_exact else f" of the newest {number(spread.looked_at)}"
    facts = [
        ("First seen", moment(row["first_seen_ms"], zone)),
        ("Last seen", moment(row["last_seen_ms"], zone)),
        ("Dead letters", number(row["total"])),
        ("Open", number(row["open"])),
        ("Different keys", f"{number(spread.keys)}{of}"),
    ]
    if row["said_by"]:
        facts.append(("State set by", f"{row['said_by']}, {moment(row['said_at_ms'], zone)}"))
    if row["until_ms"]:
        facts.append(("Ignored until", moment(row["until_ms"], zone)))
    if row["regressed_at_ms"]:
        facts.append(("Came back", moment(row["regressed_at_ms"], zone)))
    return facts


def _draw_chart(row: dict[str, Any]) -> None:
    """The last week by six hours, on the viewer's clock."""
    zone, points = viewer_zone(), row["chart"]
    times = [row["chart_from_ms"] + point * row["chart_step_ms"] for point in range(len(points))]
    # Without its zone a moment is drawn as it stands.
    clock = [datetime.fromtimestamp(at_ms / 1000, zone).replace(tzinfo=None) for at_ms in times]
    table = pa.table({"at": clock, "Dead letters": points})
    st.bar_chart(table, x="at", y="Dead letters", x_label="", y_label="", color=_BARS, height=130)


def _draw_spread(group: GroupDetail) -> None:
    spread = group.spread
    told = [("came from", each) for each in spread.sources] + [("stand in", each) for each in spread.topics]
    columns = [
        text_column("side", "", [side for side, _ in told], 110),
        text_column("where", "Where", [name for _, (name, _) in told], "large"),
        number_column("count", "Dead letters", [count for _, (_, count) in told], 110),
    ]
    draw_table("letters_group_spread", columns, 4)
    if not spread.is_exact:
        st.caption(f"Keys, partitions and topics are those of the newest {number(spread.looked_at)} dead letters.")


def _draw_notes(group: GroupDetail, refused: str | None) -> None:
    if group.notes:
        columns = [
            text_column("note", "Note", [each.note for each in group.notes], "large"),
            text_column("by", "By", [each.written_by for each in group.notes], 120),
            time_column("at", "At", [each.written_at_ms for each in group.notes], 150),
        ]
        draw_table("letters_group_notes", columns, 5)
    st.text_area("Note", key=_NOTE.name, height=68, placeholder="What is known of it", disabled=refused is not None)
    fingerprint, note = group.row["fingerprint"], _NOTE.get_or("")
    _button("Add note", ":material/note_add:", lambda changes: changes.note(fingerprint, note), refused, _NOTE)


def _draw_ignoring(fingerprint: str, refused: str | None) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox("For", list(_IGNORED_FOR), key=_IGNORE.name, width=200)
        until_ms = now_ms() + _IGNORED_FOR[_IGNORE.get() or "an hour"] * _HOUR_MS
        _button("Ignore", ":material/visibility_off:", lambda changes: changes.ignore(fingerprint, until_ms), refused)


def _draw_merging(group: GroupDetail, refused: str | None) -> None:
    st.caption("Groups of one cause are one from here on, also for dead letters to come.")
    fingerprint = group.row["fingerprint"]
    others = {each["fingerprint"]: each["title"] for each in _others(fingerprint)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "With",
            list(others),
            index=None,
            format_func=lambda name: plain(f"{others[name]} ({name})"),
            key=_MERGE.name,
        )
        other = _MERGE.get()
        missing = None if other else "Choose a group first"
        _button(
            "Merge", ":material/merge:", lambda changes: changes.merge(fingerprint, [str(other)]), refused or missing
        )
    for each in group.merged:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.text(f"{each.fingerprint}: {each.title} ({each.total:,}), by {each.merged_by}")
            _button("Take out", ":material/call_split:", _unmerging(each.fingerprint), refused, name=each.fingerprint)


def _draw_splitting(group: GroupDetail, refused: str | None) -> None:
    st.caption("Dead letters that match are a group of their own, also those to come.")
    fingerprint = group.row["fingerprint"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox("By", list(_FIELDS), format_func=_FIELDS.__getitem__, key=_SPLIT_FIELD.name, width=200)
        field = _SPLIT_FIELD.get() or "reason"
        st.text_input("Contains" if field in CONTAINING else "Is", key=_SPLIT_VALUE.name)
        value = _SPLIT_VALUE.get_or("")
        _button("Split", ":material/call_split:", lambda changes: changes.split(fingerprint, field, value), refused)
    for each in (*group.splits, *group.made_by):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.text(f"{each.rule}, by {each.split_by}")
            _button("Take back", ":material/undo:", _unsplitting(each.number), refused, name=str(each.number))


def _unmerging(fingerprint: str) -> GroupChange:
    return lambda changes: changes.unmerge(fingerprint)


def _unsplitting(number_of_split: int) -> GroupChange:
    return lambda changes: changes.unsplit(number_of_split)


def _others(fingerprint: str) -> list[dict[str, Any]]:
    rows = reader().groups(now_ms(), limit=OTHERS_OFFERED).dicts()
    return [each for each in rows if each["fingerprint"] != fingerprint]


def _button(
    label: str,
    icon: str,
    change: GroupChange,
    hint: str | None,
    typed: RenewableKey[str] | None = None,
    name: str = "",
) -> None:
    st.button(
        label,
        icon=icon,
        disabled=hint is not None,
        help=hint,
        on_click=_say,
        args=(label, change, typed),
        key=f"letters_group_{label}_{name}",
    )


def _say(label: str, change: GroupChange, typed: RenewableKey[str] | None) -> None:
    try:
        with writer() as buffer:
            change(change_groups(settings(), buffer, now_ms, requested_by()))
    except OrderPulseError as error:
        tell(str(error))
        return
    if typed is not None:
        typed.renew()
    tell(f"{label}: done")
