"""The groups of failures that look alike: choosing one narrows the query to it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard.dead_letters.group_states import state_column, week_column
from dashboard.dead_letters.query_box import choose
from dashboard.shared.imported import imported_badge
from dashboard.shared.session import RenewableKey, StateKey, selected_rows
from dashboard.shared.tables import draw_selectable_table, number_column, text_column, time_column
from pipeline.buffer.views import Rows

_GROUPS_SHOWN: StateKey[tuple[str, ...]] = StateKey("letters_groups_shown")
_GROUPS_TABLE = RenewableKey[object]("letters_groups_")
_ROWS_HIGH = 5


def groups_card(groups: Rows) -> None:
    """Draws the groups; choosing one narrows the query to it."""
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
            state_column(groups),
            text_column("title", "Failure", groups.column("title"), "large"),
            number_column("open", "Open", groups.column("open"), "small"),
            number_column("total", "Total", groups.column("total"), "small"),
            week_column(groups),
            text_column("source_topic", "Source topic", groups.column("source_topic"), "small"),
            time_column("last_seen", "Last seen", groups.column("last_seen_ms")),
        ]
        table = _GROUPS_TABLE.name
        draw_selectable_table(table, columns, _ROWS_HIGH, partial(_choose_group, table), "single-row")
        if groups.cut:
            st.caption(groups.cut)


def _choose_group(table: str) -> None:
    # A table of which nothing is selected any longer is told of too: only a row is a choice, and only of this table.
    rows, shown = selected_rows(table), _GROUPS_SHOWN.get_or(())
    if table != _GROUPS_TABLE.name or not rows or rows[0] >= len(shown):
        return
    choose("group", shown[rows[0]])
    # From here on the query tells which group is chosen, not the selection.
    _GROUPS_TABLE.renew()
