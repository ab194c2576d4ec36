"""The table of dead letters: a snapshot that holds still, so that what somebody selects is what they act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import streamlit as st

from dashboard.dead_letters.address import PAGE_PARAMETER, ROWS_PARAMETER, note_in_address, number_in_address
from dashboard.dead_letters.columns_shown import TableChoice
from dashboard.dead_letters.keyboard import is_narrow
from dashboard.dead_letters.opened import open_letter, opened_id
from dashboard.dead_letters.payloads import read_value, schemas_known
from dashboard.dead_letters.reasons import reason_in_line
from dashboard.dead_letters.statuses import STATUSES
from dashboard.shared.context import reader
from dashboard.shared.formats import plain
from dashboard.shared.mapping import wording
from dashboard.shared.session import RenewableKey, StateKey, clicked_cell, put_cursor, selected_rows
from dashboard.shared.tables import (
    ROW_PIXELS,
    WRAPPED_ROW_PIXELS,
    Column,
    badge_column,
    draw_selectable_table,
    held,
    money_column,
    number_column,
    text_column,
    time_column,
)
from pipeline.buffer import DeadLetterFilter
from pipeline.buffer.views import Count, DeadLetterView, FacetValue, Found
from pipeline.search.query import Compared, Number

PAGE_SIZES = (50, 100, 200)
NEW_CAP = 100
_SNAPSHOT: StateKey[Snapshot] = StateKey("letters_snapshot")
_TABLE = RenewableKey[object]("letters_table_")
_SIZE: StateKey[int] = StateKey("letters_page_size")
_ASKED_PAGE: StateKey[int] = StateKey("letters_asked_page")
_PAGES = RenewableKey[int]("letters_pages_")
_ROWS_HIGH = 10
_PAGINATION_PIXELS = 300
_REASON_ALONE_PIXELS, _REASON_PIXELS = 75, 300
"""At least, since it grows: alone it never makes a table wider than its window; beside others it can still be read."""
_CURSOR: StateKey[tuple[str, tuple[int, str]]] = StateKey("letters_cursor")
_FIRST_CELL = (0, "status")
_SHOWN, _SHOWN_NARROW = ("status", "failed_at", "reason"), ("status", "reason")


@dataclass(frozen=True, slots=True)
class Marks:
    """What tells that dead letters have changed."""

    newest_id: int
    statuses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class View:
    """Which dead letters, and which page of them; pages begin at 1."""

    which: DeadLetterFilter
    page: int
    page_size: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the table shows. Nothing that arrived after `up_to_id` is on any of its pages."""

    view: View
    up_to_id: int
    found: Found
    facets: dict[str, list[FacetValue]]
    rows: tuple[DeadLetterView, ...]
    marks: Marks
    schemas: int
    """Which schemas were known when values were looked into."""

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of the rows, in the order of the table."""
        return tuple(row.id for row in self.rows)


def marks() -> Marks:
    """How the dead letters stand; costs next to nothing while nobody writes."""
    return _marks_at(reader().data_version())


@st.cache_resource(max_entries=4, show_spinner=False)
def _marks_at(version: tuple[object, ...]) -> Marks:
    return Marks(reader().newest_dead_letter(), tuple(reader().status_counts().items()))


def current_snapshot() -> Snapshot | None:
    """What the table shows just now."""
    return _SNAPSHOT.get()


def _holds_still() -> bool:
    """Whether somebody is at work on the very rows that are shown."""
    return bool(selected_ids()) or opened_id() is not None


def selected_ids() -> tuple[int, ...]:
    """The selected dead letters, taken from the very rows that were on screen when they were selected."""
    snapshot = current_snapshot()
    if snapshot is None:
        return ()
    ids = snapshot.ids
    return tuple(ids[row] for row in selected_rows(_TABLE.name) if row < len(ids))


def show_newest() -> None:
    """Lets go of the selection and takes the newest dead letters at the next run."""
    _SNAPSHOT.pop()
    _TABLE.renew()


def take_snapshot(which: DeadLetterFilter) -> Snapshot:
    """The page of dead letters to show. While some are selected or one is open, the same with their newest status."""
    before = current_snapshot()
    view = _wanted_view(which, before)
    if before is not None and before.view == view and _holds_still():
        snapshot = replace(before, rows=_again(before.ids), marks=marks())
    else:
        snapshot = _read(view, before)
        # A selection keeps its index when rows move. Another table forgets it, and a click under way goes nowhere.
        if before is not None and before.ids != snapshot.ids:
            _TABLE.renew()
    _SNAPSHOT.set(snapshot)
    return snapshot


def count_new(snapshot: Snapshot) -> int:
    """How many dead letters of the filter arrived since, counted up to `NEW_CAP`."""
    newest_id = marks().newest_id
    if newest_id <= snapshot.up_to_id:
        return 0
    return _count_between(snapshot.view.which, snapshot.up_to_id, newest_id)


@st.cache_data(max_entries=100, show_spinner=False)
def _count_between(which: DeadLetterFilter, after_id: int, up_to_id: int) -> int:
    # Only what is new is looked at, and once, not at every refresh.
    newer = Compared("id", ">", Number(str(after_id), after_id))
    found = reader().find(replace(which, query=which.query.narrowed(newer), up_to_id=up_to_id), read_value)
    return min(len(found.ids), NEW_CAP)


def outdated(snapshot: Snapshot) -> bool:
    """Whether the table must be drawn again: any change, but while it holds still only a change of those shown."""
    if marks() == snapshot.marks:
        return False
    return not _holds_still() or _again(snapshot.ids) != snapshot.rows


def draw_table(snapshot: Snapshot, choice: TableChoice, picked: Sequence[Column] = ()) -> None:
    """The rows. The reason has the width that columns which somebody has picked leave to it."""
    narrow = is_narrow()
    others = (*choice.fields, *(column.name for column in picked))
    columns = [*_columns(snapshot.rows, _REASON_PIXELS if others else _REASON_ALONE_PIXELS), *picked]
    table = _TABLE.name
    if (_CURSOR.get() or ("", None))[0] != table:
        _CURSOR.set((table, _FIRST_CELL))
    draw_selectable_table(
        table,
        columns,
        _ROWS_HIGH,
        partial(_take_click, table),
        ["multi-row", "single-cell"],
        [*(_SHOWN_NARROW if narrow else _SHOWN), *others],
        WRAPPED_ROW_PIXELS if narrow or choice.wrapped else ROW_PIXELS,
        _FIRST_CELL,
    )


def _take_click(table: str) -> None:
    cell, snapshot = clicked_cell(table), current_snapshot()
    # Of a row that was selected the table tells too, with the cursor where it was.
    if cell is None or snapshot is None or table != _TABLE.name or _CURSOR.get() == (table, cell):
        return
    row, column = cell
    if row < len(snapshot.ids):
        open_letter(snapshot.ids[row])
    # Beside the cell, which can be clicked again then. A table without a cursor would take the first cell for
    # clicked as soon as the drawer gives the keyboard back to it.
    cursor = (row, "reason" if column == "status" else "status")
    _CURSOR.set((table, cursor))
    put_cursor(table, cursor)


def draw_pages(snapshot: Snapshot) -> None:
    """Which part of all that match is shown, and the way to the other parts."""
    first = (snapshot.view.page - 1) * snapshot.view.page_size + 1
    last = first + len(snapshot.rows) - 1
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(f"{first:,}–{last:,} of {snapshot.found.count}", width="content")
        st.pagination(
            _pages(snapshot.found.count, snapshot.view.page_size),
            default=snapshot.view.page,
            max_visible_pages=5,
            # One as wide as its content may take itself for too narrow to show all pages.
            width=_PAGINATION_PIXELS,
            key=_PAGES.name,
        )
        st.selectbox(
            "Rows a page",
            PAGE_SIZES,
            key=_SIZE.name,
            format_func="{} rows".format,
            label_visibility="collapsed",
            width=120,
        )


def draw_how_far(found: Found) -> None:
    """Where the search ended before its end, and what of it took time."""
    for icon, told in (("content_cut", found.cut), ("manage_search", found.note)):
        if told:
            st.caption(f":material/{icon}: {plain(told[:1].upper() + told[1:])}.")


def take_page_from_address() -> None:
    """The next run shows the page that the address names."""
    size = number_in_address(ROWS_PARAMETER)
    _SIZE.set(size if size in PAGE_SIZES else PAGE_SIZES[0])
    _ASKED_PAGE.set(number_in_address(PAGE_PARAMETER) or 1)


def note_page_in_address(view: View) -> None:
    """The address names the page that is shown."""
    note_in_address(PAGE_PARAMETER, "" if view.page == 1 else str(view.page))
    note_in_address(ROWS_PARAMETER, "" if view.page_size == PAGE_SIZES[0] else str(view.page_size))


def _wanted_view(which: DeadLetterFilter, before: Snapshot | None) -> View:
    if not _SIZE.is_set():
        # The box was not drawn by the run before, as when nothing matched.
        take_page_from_address()
    size = _SIZE.get() or PAGE_SIZES[0]
    if (asked := _ASKED_PAGE.pop()) is not None:
        _PAGES.renew()
        return View(which, asked, size)
    same = before is not None and before.view.which == which and before.view.page_size == size
    if not same:
        _PAGES.renew()
    return View(which, _PAGES.get_or(1), size)


def _read(view: View, before: Snapshot | None) -> Snapshot:
    seen, schemas = marks(), schemas_known()
    # Later pages go on from the first one as it was, or rows would slip from page to page while somebody reads.
    up_to_id = before.up_to_id if before is not None and view.page > 1 else seen.newest_id
    same = before is not None and (before.view.which, before.marks, before.up_to_id) == (view.which, seen, up_to_id)
    if before is not None and same and (before.schemas == schemas or not view.which.query.apart()[1].parts):
        found, facets = before.found, before.facets
    else:
        found = reader().find(replace(view.which, up_to_id=up_to_id), read_value)
        facets = reader().facets(found)
    page = min(view.page, _pages(found.count, view.page_size))
    if page != view.page:
        _PAGES.renew()
        view = replace(view, page=page)
    first = (page - 1) * view.page_size
    rows = _again(found.ids[first : first + view.page_size])
    return Snapshot(view, up_to_id, found, facets, rows, seen, schemas)


def _again(ids: tuple[int, ...]) -> tuple[DeadLetterView, ...]:
    found = {row.id: row for row in reader().dead_letters(DeadLetterFilter(ids=ids), limit=len(ids))}
    return tuple(found[each] for each in ids)


def _pages(count: Count, page_size: int) -> int:
    return max(1, -(-count.rows // page_size))


def _columns(rows: tuple[DeadLetterView, ...], reason_pixels: int) -> list[Column]:
    said = wording()
    return [
        held(badge_column("status", "Status", [row.status for row in rows], STATUSES, 95)),
        held(time_column("failed_at", "Failed at", [row.failed_at_ms for row in rows], 122, False)),
        text_column("reason", "Reason", [reason_in_line(row.reason) for row in rows], reason_pixels),
        text_column("order_id", said.of("order_id", "Order ID"), [row.order_id for row in rows], 110),
        text_column("product", said.of("product", "Product"), [row.product for row in rows], 115),
        money_column("price", said.of("price", "Price"), [row.price_cents for row in rows], said.currency, 75),
        time_column("created_at", said.of("created_at", "Timestamp"), [row.created_at_ms for row in rows], 142),
        number_column("attempts", "Attempts", [row.attempts for row in rows], 72),
        text_column("source", "Source", [row.source for row in rows], 140),
        number_column("id", "Id", [row.id for row in rows], 70, "%d"),
    ]
