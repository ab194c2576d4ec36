"""The groups of failures that look alike: choosing one narrows the query to it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial

import streamlit as st

from dashboard.dead_letters.group_states import titles, week_column
from dashboard.dead_letters.keyboard import is_narrow
from dashboard.dead_letters.query_box import choose
from dashboard.shared.imported import imported_badge
from dashboard.shared.session import RenewableKey, StateKey, clicked_cell
from dashboard.shared.tables import draw_selectable_table, held, number_column, text_column
from pipeline.buffer.views import Rows
from pipeline.search.query import Query

_GROUPS_SHOWN: StateKey[tuple[tuple[str, ...], str | None]] = StateKey("letters_groups_shown")
_GROUPS_TABLE = RenewableKey[object]("letters_groups_")
_GROUPS_POPOVER = RenewableKey[object]("letters_groups_popover_")
_ROWS_HIGH, _ROW_PIXELS = 5, 70
"""As high as ten rows of dead letters; titles are wrapped."""


def draw_groups(groups: Rows, query: Query) -> None:
    """The groups, in a list that may be narrow, with the one that the query asks for marked. Choosing one narrows the
    query to it."""
    fingerprints = tuple(groups.column("fingerprint"))
    chosen = next((each for each in query.chosen("group") if each in fingerprints), None)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.markdown("**Groups**", width="content", help="Failures that look alike.")
        imported_badge()
        all_chosen = not query.chosen("group")
        st.button("All", type="tertiary", disabled=all_chosen, on_click=choose_all, key="letters_all_groups")
    # A selection keeps its index when the rows move: another order is another table.
    if _GROUPS_SHOWN.get() != (fingerprints, chosen):
        _GROUPS_SHOWN.set((fingerprints, chosen))
        _GROUPS_TABLE.renew()
    columns = [
        held(number_column("open", "Open", groups.column("open"), 56)),
        text_column("title", "Failure", titles(groups), 150),
        week_column(groups),
    ]
    # Beside the dead letters there is no room for the last week: what is said of the chosen group has it.
    shown = None if is_narrow() else ("open", "title")
    table = _GROUPS_TABLE.name
    draw_selectable_table(
        table,
        columns,
        _ROWS_HIGH,
        partial(_choose_group, table),
        ["single-cell"],
        shown,
        row_pixels=_ROW_PIXELS,
        chosen=_cursor(fingerprints, chosen),
    )
    if groups.cut:
        st.caption(groups.cut)


def groups_popover() -> AbstractContextManager[object]:
    """Where the groups are in a narrow window. It closes when one is chosen."""
    return st.popover("Groups", icon=":material/category:", width="content", key=_GROUPS_POPOVER.name)


def choose_all() -> None:
    """The query asks for no group any longer."""
    choose("group")


def _cursor(fingerprints: tuple[str, ...], chosen: str | None) -> tuple[int, str]:
    """The cell that marks the chosen group. Where none is, one that is no title: a table without a cursor would take
    its first cell for clicked as soon as the keyboard comes to it."""
    return (0, "open") if chosen is None else (fingerprints.index(chosen), "title")


def _choose_group(table: str) -> None:
    # A table of which nothing is selected any longer is told of too: only a cell is a choice, and only of this table.
    cell, shown = clicked_cell(table), _GROUPS_SHOWN.get()
    if table != _GROUPS_TABLE.name or cell is None or shown is None:
        return
    fingerprints, chosen = shown
    if cell == _cursor(fingerprints, chosen) or cell[0] >= len(fingerprints):
        return
    choose("group", fingerprints[cell[0]])
    # From here on the query tells which group is chosen, not the selection.
    _GROUPS_TABLE.renew()
    _GROUPS_POPOVER.renew()
