"""The table of dead letters: a snapshot that holds still, so that what somebody selects is what they act on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard.dead_letters.filters import STATUSES
from dashboard.shared.context import reader, viewer_zone
from pipeline.buffer import DeadLetterFilter
from pipeline.buffer.views import Count, DeadLetterView

PAGE_SIZES = (50, 100, 200)
NEW_CAP = 100
_SNAPSHOT, _TURN, _SIZE = "letters_snapshot", "letters_turn", "letters_page_size"
_PAGES_BEGIN, _PAGES_TURN = "letters_pages_begin", "letters_pages_turn"
_ROWS_HIGH = 12
_ROW_PIXELS = 35


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
    rows: tuple[DeadLetterView, ...]
    count: Count
    marks: Marks

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
    snapshot: Snapshot | None = st.session_state.get(_SNAPSHOT)
    return snapshot


def selected_ids() -> tuple[int, ...]:
    """The selected dead letters, taken from the very rows that were on screen when they were selected."""
    snapshot = current_snapshot()
    state = st.session_state.get(_table_key())
    if snapshot is None or state is None:
        return ()
    ids = snapshot.ids
    return tuple(ids[row] for row in state["selection"]["rows"] if row < len(ids))


def show_newest() -> None:
    """Lets go of the selection and takes the newest dead letters at the next run."""
    st.session_state.pop(_SNAPSHOT, None)
    st.session_state[_TURN] = _turn() + 1


def take_snapshot(which: DeadLetterFilter) -> Snapshot:
    """The page of dead letters to show. While rows are selected, the same ones with their newest status."""
    st.session_state.setdefault(_TURN, 0)
    before = current_snapshot()
    view = _wanted_view(which, before)
    if before is not None and before.view == view and selected_ids():
        snapshot = replace(before, rows=_again(before.ids), marks=marks())
    else:
        snapshot = _read(view, before)
        # A mark stays at its place when rows move. Another table forgets it, and a click under way goes nowhere.
        if before is not None and before.ids != snapshot.ids:
            st.session_state[_TURN] = _turn() + 1
    st.session_state[_SNAPSHOT] = snapshot
    return snapshot


def count_new(snapshot: Snapshot) -> int:
    """How many dead letters of the filter arrived since, counted up to `NEW_CAP`."""
    newest_id = marks().newest_id
    if newest_id <= snapshot.up_to_id:
        return 0
    return _count_between(snapshot.view.which, snapshot.up_to_id, newest_id)


@st.cache_data(max_entries=100, show_spinner=False)
def _count_between(which: DeadLetterFilter, after_id: int, up_to_id: int) -> int:
    # A filter on text may look at every dead letter: once for what is new is enough, not at every refresh.
    newest = reader().dead_letters(replace(which, up_to_id=up_to_id), limit=NEW_CAP)
    return sum(row.id > after_id for row in newest)


def outdated(snapshot: Snapshot) -> bool:
    """Whether the table must be drawn again: any change, but with rows selected only a change of those shown."""
    if marks() == snapshot.marks:
        return False
    return not selected_ids() or _again(snapshot.ids) != snapshot.rows


def draw_table(snapshot: Snapshot) -> None:
    """The rows, and the pages below them."""
    st.dataframe(
        _table(snapshot.rows),
        hide_index=True,
        placeholder="",
        height=_ROW_PIXELS * (max(1, min(len(snapshot.rows), _ROWS_HIGH)) + 1) + 2,
        key=_table_key(),
        on_select="rerun",
        selection_mode="multi-row",
        column_config=_columns(),
    )


def draw_pages(snapshot: Snapshot) -> None:
    """Which part of all that match is shown, and the way to the other parts."""
    first = (snapshot.view.page - 1) * snapshot.view.page_size + 1
    last = first + len(snapshot.rows) - 1
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(f"{first:,}–{last:,} of {snapshot.count}", width="content")
        st.pagination(
            _pages(snapshot.count, snapshot.view.page_size),
            default=st.session_state[_PAGES_BEGIN],
            max_visible_pages=5,
            key=_pages_key(),
        )
        st.selectbox(
            "Rows a page", PAGE_SIZES, key=_SIZE, format_func="{} rows".format, label_visibility="collapsed", width=120
        )


def _wanted_view(which: DeadLetterFilter, before: Snapshot | None) -> View:
    size = st.session_state.get(_SIZE) or PAGE_SIZES[0]
    same = before is not None and before.view.which == which and before.view.page_size == size
    if not same:
        _begin_pages_at(1)
    return View(which, st.session_state.get(_pages_key(), st.session_state[_PAGES_BEGIN]), size)


def _read(view: View, before: Snapshot | None) -> Snapshot:
    seen = marks()
    # Later pages go on from the first one as it was, or rows would slip from page to page while somebody reads.
    up_to_id = before.up_to_id if before is not None and view.page > 1 else seen.newest_id
    which = replace(view.which, up_to_id=up_to_id)
    count = reader().count_dead_letters(which)
    page = min(view.page, _pages(count, view.page_size))
    if page != view.page:
        _begin_pages_at(page)
        view = replace(view, page=page)
    rows = reader().dead_letters(which, limit=view.page_size, offset=(page - 1) * view.page_size)
    return Snapshot(view, up_to_id, tuple(rows), count, seen)


def _again(ids: tuple[int, ...]) -> tuple[DeadLetterView, ...]:
    found = {row.id: row for row in reader().dead_letters(DeadLetterFilter(ids=ids), limit=len(ids))}
    return tuple(found[each] for each in ids)


def _pages(count: Count, page_size: int) -> int:
    return max(1, -(-count.rows // page_size))


def _begin_pages_at(page: int) -> None:
    # The box of pages remembers what was chosen in it; where somebody has to begin anew, it is another box.
    st.session_state[_PAGES_BEGIN] = page
    st.session_state[_PAGES_TURN] = st.session_state.get(_PAGES_TURN, 0) + 1


def _pages_key() -> str:
    return f"letters_pages_{st.session_state.get(_PAGES_TURN, 0)}"


def _turn() -> int:
    turn: int = st.session_state.get(_TURN, 0)
    return turn


def _table_key() -> str:
    return f"letters_table_{_turn()}"


def _table(rows: tuple[DeadLetterView, ...]) -> pa.Table:
    def column(kind: pa.DataType, values: list[object]) -> pa.Array:
        return pa.array(values, kind)

    time = pa.timestamp("ms", tz="UTC")
    return pa.table(
        {
            "status": column(pa.list_(pa.string()), [[STATUSES[row.status].label] for row in rows]),
            "order_id": column(pa.string(), [row.order_id for row in rows]),
            "product": column(pa.string(), [row.product for row in rows]),
            "price": column(pa.float64(), [None if row.price_cents is None else row.price_cents / 100 for row in rows]),
            "created_at": column(time, [row.created_at_ms for row in rows]),
            "reason": column(pa.string(), [row.reason for row in rows]),
            "attempts": column(pa.int64(), [row.attempts for row in rows]),
            "source": column(pa.string(), [row.source for row in rows]),
            "failed_at": column(time, [row.failed_at_ms for row in rows]),
            "id": column(pa.int64(), [row.id for row in rows]),
        }
    )


def _columns() -> dict[str, ColumnConfig]:
    config, zone = st.column_config, str(viewer_zone())
    return {
        "status": config.MultiselectColumn(
            "Status",
            options=[badge.label for badge in STATUSES.values()],
            color=[badge.color for badge in STATUSES.values()],
            width=95,
        ),
        "order_id": config.TextColumn("Order ID", width=120),
        "product": config.TextColumn("Product", width=115),
        "price": config.NumberColumn("Price", format="%,.2f", width=75),
        "created_at": config.DatetimeColumn("Timestamp", format="YYYY-MM-DD HH:mm:ss", timezone=zone, width=142),
        "reason": config.TextColumn("Reason", width=200),
        "attempts": config.NumberColumn("Attempts", width=72),
        "source": config.TextColumn("Source", width=140),
        "failed_at": config.DatetimeColumn("Failed at", format="YYYY-MM-DD HH:mm:ss", timezone=zone, width=150),
        "id": config.NumberColumn("Id", format="%d", width=70),
    }
