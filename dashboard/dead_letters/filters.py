"""The groups of failures that look alike, and the card that says which dead letters are meant."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, Literal

import streamlit as st

from dashboard.shared.badges import Badge, Badges
from dashboard.shared.context import reader, viewer_zone
from dashboard.shared.imported import imported_badge
from dashboard.shared.mapping import wording
from dashboard.shared.session import RenewableKey, StateKey, selected_rows
from dashboard.shared.tables import draw_selectable_table, number_column, text_column, time_column
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
_STATUS = RenewableKey[list[str]]("letters_status_")
_GROUP = RenewableKey[str]("letters_group_")
_SOURCE = RenewableKey[list[str]]("letters_source_")
_DIALECT = RenewableKey[list[str]]("letters_dialect_")
_TEXT = RenewableKey[str]("letters_text_")
_FROM = RenewableKey[datetime]("letters_from_")
_TO = RenewableKey[datetime]("letters_to_")
_FILTER: tuple[RenewableKey[Any], ...] = (_STATUS, _GROUP, _SOURCE, _DIALECT, _TEXT, _FROM, _TO)
_GROUPS_SHOWN: StateKey[tuple[str, ...]] = StateKey("letters_groups_shown")
_GROUPS_TABLE = RenewableKey[object]("letters_groups_")
_ROWS_HIGH = 5


def groups_card(groups: Rows) -> None:
    """Draws the groups; choosing one narrows the filter to it."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**Failures that look alike**", width="content")
            imported_badge()
        fingerprints = tuple(groups.column("fingerprint"))
        # A selection keeps its index when the rows move: another order is another table.
        if _GROUPS_SHOWN.get() != fingerprints:
            _GROUPS_SHOWN.set(fingerprints)
            _GROUPS_TABLE.renew()
        columns = [
            text_column("title", "Failure", groups.column("title"), "large"),
            number_column("open", "Open", groups.column("open"), "small"),
            number_column("total", "Total", groups.column("total"), "small"),
            text_column("source_topic", "Source topic", groups.column("source_topic"), "small"),
            time_column("last_seen", "Last seen", groups.column("last_seen_ms")),
        ]
        table = _GROUPS_TABLE.name
        draw_selectable_table(table, columns, _ROWS_HIGH, partial(_choose_group, table), "single-row")
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
                key=_STATUS.name,
            )
            st.button("Clear", icon=":material/filter_alt_off:", type="tertiary", on_click=_clear, key="letters_clear")
        text, group = st.columns(2)
        text.text_input("Text", key=_TEXT.name, placeholder=_looked_through())
        with group:
            _group_box(groups)
        narrowed = any(key.get() for key in (_SOURCE, _DIALECT, _FROM, _TO))
        with st.expander("Source, dialect and time", expanded=narrowed):
            source, dialect, failed_from, failed_to = st.columns(4)
            with source:
                _values_box("Source topic", "source_topic", _SOURCE)
            with dialect:
                _values_box("Dialect", "dialect", _DIALECT)
            failed_from.datetime_input("Failed from", value=None, key=_FROM.name)
            failed_to.datetime_input("Failed before", value=None, key=_TO.name)
    return _filter()


def _looked_through() -> str:
    """What a text is looked for in."""
    fields = (("order_id", "Order"), ("customer_id", "customer"), ("product", "product"))
    return ", ".join((*(wording().of(name, ours) for name, ours in fields), "reason"))


def _filter() -> DeadLetterFilter:
    return DeadLetterFilter(
        statuses=tuple(_STATUS.get() or ()),
        fingerprint=_GROUP.get(),
        source_topics=tuple(_SOURCE.get() or ()),
        dialects=tuple(_DIALECT.get() or ()),
        text=(_TEXT.get() or "").strip(),
        failed_from_ms=_epoch_ms(_FROM.get()),
        failed_to_ms=_epoch_ms(_TO.get()),
    )


def _epoch_ms(local: datetime | None) -> int | None:
    return None if local is None else int(local.replace(tzinfo=viewer_zone()).timestamp() * 1000)


def _group_box(groups: Rows) -> None:
    titles = dict(zip(groups.column("fingerprint"), groups.column("title"), strict=True))
    chosen = _GROUP.get()
    # A group out of a link may not be among those listed.
    options = list(titles) if chosen is None or chosen in titles else [*titles, chosen]
    st.selectbox(
        "Group",
        options,
        index=None,
        format_func=lambda fingerprint: titles.get(fingerprint, fingerprint),
        key=_GROUP.name,
        placeholder="All failures",
    )


def _values_box(label: str, column: ValueColumn, key: RenewableKey[list[str]]) -> None:
    known = _values(column)
    options = [*known, *(value for value in key.get() or () if value not in known)]
    st.multiselect(label, options, key=key.name, placeholder="All")


@st.cache_data(ttl=15, show_spinner=False)
def _values(column: ValueColumn) -> list[str]:
    # Looks at every dead letter, and hardly ever finds anything new.
    return reader().dead_letter_values(column)


def _take_group_of_link() -> None:
    if not _GROUP.is_set() and GROUP_PARAMETER in st.query_params:
        _GROUP.set(st.query_params[GROUP_PARAMETER])
        del st.query_params[GROUP_PARAMETER]


def _clear() -> None:
    for key in _FILTER:
        key.renew()


def _choose_group(table: str) -> None:
    # A table of which nothing is selected any longer is told of too: only a row is a choice, and only of this table.
    rows, shown = selected_rows(table), _GROUPS_SHOWN.get_or(())
    if table != _GROUPS_TABLE.name or not rows or rows[0] >= len(shown):
        return
    _GROUP.set(shown[rows[0]])
    # From here on the filter tells which group is chosen, not the selection.
    _GROUPS_TABLE.renew()
