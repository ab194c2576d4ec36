"""The groups of failures that look alike, and the card that says which dead letters are meant."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import pyarrow as pa
import streamlit as st

from dashboard.shared.badges import Badge, Badges
from dashboard.shared.context import reader, viewer_zone
from pipeline.buffer import DeadLetterFilter
from pipeline.buffer.views import Rows

STATUSES: Badges = {
    "open": Badge("Open", "red"),
    "replaying": Badge("Replaying", "blue"),
    "replayed": Badge("Replayed", "violet"),
    "recovered": Badge("Recovered", "green"),
    "dead_again": Badge("Dead again", "orange"),
    "discarded": Badge("Discarded", "gray"),
}
ValueColumn = Literal["source_topic", "dialect"]
GROUP_PARAMETER = "group"
_STATUS, _GROUP, _SOURCE, _DIALECT, _TEXT, _FROM, _TO = (
    f"letters_{name}" for name in ("status", "group", "source", "dialect", "text", "from", "to")
)
_GROUPS_SHOWN = "letters_groups_shown"
_GROUPS_TURN = "letters_groups_turn"
_ROWS_HIGH = 5
_ROW_PIXELS = 35


def groups_card(groups: Rows) -> None:
    """Draws the groups; choosing one narrows the filter to it."""
    with st.container(border=True):
        st.markdown("**Failures that look alike**")
        fingerprints = tuple(groups.column("fingerprint"))
        # The mark of a row stays at its place when the rows move: another order is another table.
        if st.session_state.get(_GROUPS_SHOWN) != fingerprints:
            st.session_state[_GROUPS_SHOWN] = fingerprints
            _turn_groups()
        st.dataframe(
            _groups_table(groups),
            hide_index=True,
            placeholder="",
            height=_ROW_PIXELS * (min(len(fingerprints), _ROWS_HIGH) + 1) + 2,
            key=_groups_key(),
            on_select=_choose_group,
            selection_mode="single-row",
            column_config={
                "title": st.column_config.TextColumn("Failure", width="large"),
                "open": st.column_config.NumberColumn("Open", width="small"),
                "total": st.column_config.NumberColumn("Total", width="small"),
                "source_topic": st.column_config.TextColumn("Source topic", width="small"),
                "last_seen": st.column_config.DatetimeColumn(
                    "Last seen", format="YYYY-MM-DD HH:mm:ss", timezone=str(viewer_zone())
                ),
            },
        )
        if groups.cut:
            st.caption(groups.cut)


def filter_card(groups: Rows) -> DeadLetterFilter:
    """Draws the filters and returns what they mean."""
    _take_group_of_link()
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
            st.pills(
                "Status",
                list(STATUSES),
                selection_mode="multi",
                format_func=lambda status: STATUSES[status].label,
                key=_STATUS,
            )
            st.button("Clear", icon=":material/filter_alt_off:", type="tertiary", on_click=_clear, key="letters_clear")
        text, group = st.columns(2)
        text.text_input("Text", key=_TEXT, placeholder="Order, customer, product, reason")
        with group:
            _group_box(groups)
        narrowed = any(st.session_state.get(key) for key in (_SOURCE, _DIALECT, _FROM, _TO))
        with st.expander("Source, dialect and time", expanded=narrowed):
            source, dialect, failed_from, failed_to = st.columns(4)
            with source:
                _values_box("Source topic", "source_topic", _SOURCE)
            with dialect:
                _values_box("Dialect", "dialect", _DIALECT)
            failed_from.datetime_input("Failed from", value=None, key=_FROM)
            failed_to.datetime_input("Failed before", value=None, key=_TO)
    return _filter()


def _filter() -> DeadLetterFilter:
    state = st.session_state
    return DeadLetterFilter(
        statuses=tuple(state.get(_STATUS) or ()),
        fingerprint=state.get(_GROUP),
        source_topics=tuple(state.get(_SOURCE) or ()),
        dialects=tuple(state.get(_DIALECT) or ()),
        text=(state.get(_TEXT) or "").strip(),
        failed_from_ms=_epoch_ms(state.get(_FROM)),
        failed_to_ms=_epoch_ms(state.get(_TO)),
    )


def _epoch_ms(local: datetime | None) -> int | None:
    return None if local is None else int(local.replace(tzinfo=viewer_zone()).timestamp() * 1000)


def _group_box(groups: Rows) -> None:
    titles = dict(zip(groups.column("fingerprint"), groups.column("title"), strict=True))
    chosen = st.session_state.get(_GROUP)
    # A group out of a link may not be among those listed.
    options = list(titles) if chosen is None or chosen in titles else [*titles, chosen]
    st.selectbox(
        "Group",
        options,
        index=None,
        format_func=lambda fingerprint: titles.get(fingerprint, fingerprint),
        key=_GROUP,
        placeholder="All failures",
    )


def _values_box(label: str, column: ValueColumn, key: str) -> None:
    known = _values(column)
    options = [*known, *(value for value in st.session_state.get(key) or () if value not in known)]
    st.multiselect(label, options, key=key, placeholder="All")


@st.cache_data(ttl=15, show_spinner=False)
def _values(column: ValueColumn) -> list[str]:
    # Looks at every dead letter, and hardly ever finds anything new.
    return reader().dead_letter_values(column)


def _take_group_of_link() -> None:
    if _GROUP not in st.session_state and GROUP_PARAMETER in st.query_params:
        st.session_state[_GROUP] = st.query_params[GROUP_PARAMETER]
        del st.query_params[GROUP_PARAMETER]


def _clear() -> None:
    for key in (_SOURCE, _DIALECT, _STATUS):
        st.session_state[key] = []
    for key in (_GROUP, _FROM, _TO):
        st.session_state[key] = None
    st.session_state[_TEXT] = ""


def _choose_group() -> None:
    rows = st.session_state[_groups_key()]["selection"]["rows"]
    shown = st.session_state[_GROUPS_SHOWN]
    if rows and rows[0] < len(shown):
        st.session_state[_GROUP] = shown[rows[0]]
    # From here on the filter tells which group is chosen, not the mark.
    _turn_groups()


def _groups_key() -> str:
    return f"letters_groups_{st.session_state[_GROUPS_TURN]}"


def _turn_groups() -> None:
    st.session_state[_GROUPS_TURN] = st.session_state.get(_GROUPS_TURN, 0) + 1


def _groups_table(groups: Rows) -> pa.Table:
    return pa.table(
        {
            "title": pa.array(groups.column("title"), pa.string()),
            "open": pa.array(groups.column("open"), pa.int64()),
            "total": pa.array(groups.column("total"), pa.int64()),
            "source_topic": pa.array(groups.column("source_topic"), pa.string()),
            "last_seen": pa.array(groups.column("last_seen_ms"), pa.timestamp("ms", tz="UTC")),
        }
    )
