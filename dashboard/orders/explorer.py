"""The order explorer: which orders are meant, and the live table of one page of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard.shared.context import steady_ms, viewer_zone
from dashboard.shared.formats import number, plain
from dashboard.shared.mapping import Wording, wording
from dashboard.shared.session import RenewableKey, StateKey
from dashboard.shared.snapshots import snapshots
from dashboard.shared.tables import money_cells, money_format
from dashboard.shared.topics import topic_box
from pipeline.buffer import Choice, OrderFilter, Reader
from pipeline.buffer.views import Count, OrderSort, Rows
from pipeline.orders.fields import CHOICE_FIELDS, SHOWN_FIELDS
from pipeline.records import Currency, OrderField

PAGE_SIZES = (50, 100, 200)
REACHABLE_ROWS = 100_000
"""How far one can turn pages: what is further back is found with a filter, not by turning."""
REST_FACTOR = 5
"""A query that took long is not asked again before this many times as long: a refresh must not fill a core."""

SORTS: dict[str, tuple[OrderSort, bool]] = {
    "Newest first": ("created_at_ms", True),
    "Oldest first": ("created_at_ms", False),
    "Highest {price} first": ("price_cents", True),
    "Lowest {price} first": ("price_cents", False),
    "{order_id}, ascending": ("order_id", False),
    "{order_id}, descending": ("order_id", True),
}
"""What people may sort by; fields stand in braces, and are called as people call them."""
_TEXT = RenewableKey[str]("orders_text_")
_CHOICES = {field.name: RenewableKey[list[str]](f"orders_{field.names_table}_") for field in CHOICE_FIELDS}
_TOPICS = RenewableKey[list[str]]("orders_topics_")
_FROM = RenewableKey[datetime]("orders_from_")
_TO = RenewableKey[datetime]("orders_to_")
_LEAST = RenewableKey[float]("orders_least_")
_MOST = RenewableKey[float]("orders_most_")
_RETRIED = RenewableKey[bool]("orders_retried_")
_FILTER: tuple[RenewableKey[Any], ...] = (_TEXT, *_CHOICES.values(), _TOPICS, _FROM, _TO, _LEAST, _MOST, _RETRIED)
_SORT: StateKey[str] = StateKey("orders_sort")
_SIZE: StateKey[int] = StateKey("orders_size")
_PAGE = RenewableKey[int]("orders_page_")
_SHOWN: StateKey[Shown] = StateKey("orders_shown")
_ROWS_HIGH = 15
_ROW_PIXELS = 35
_TIME_FORMAT = "YYYY-MM-DD HH:mm:ss"
_TIME_TYPE = pa.timestamp("ms", "UTC")
_NARROW = frozenset({"region", "price_cents"})
"""Columns that are drawn narrow; the others are as wide as their text."""
_PINNED = frozenset({"order_id"})
"""Columns that stay in sight when the table is scrolled sideways."""


@dataclass(frozen=True, slots=True)
class View:
    """Which orders in which order."""

    which: OrderFilter
    sort: str
    page_size: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A page of a view as it was read at `asked_at_ms` by the steady clock; pages begin at 1."""

    view: View
    page: int
    rows: Rows
    count: Count
    asked_at_ms: int
    took_ms: int


# -- which orders


def filter_card() -> OrderFilter:
    """Draws the filters and returns what they mean."""
    said = wording()
    with st.container(border=True, key="orders_filter"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(
                f"{plain(said.of('order_id', 'Order'))} or {plain(said.of('customer_id', 'customer'))}",
                key=_TEXT.name,
                placeholder="Id, or how it begins",
                width=220,
                on_change=_turn_to_first_page,
            )
            for field in CHOICE_FIELDS:
                _choice_box(field, said)
            topic_box(_TOPICS, _turn_to_first_page)
            st.toggle(
                "Retried only",
                key=_RETRIED.name,
                width="content",
                help="Orders that were accepted after at least one retry.",
                on_change=_turn_to_first_page,
            )
            st.button("Clear", icon=":material/filter_alt_off:", on_click=_clear, key="orders_clear")
        narrowed = any(key.get() is not None for key in (_LEAST, _MOST, _FROM, _TO))
        with (
            st.expander(f"{plain(said.of('price', 'Price'))} and time", expanded=narrowed),
            st.container(horizontal=True, vertical_alignment="bottom"),
        ):
            _price_box(f"{plain(said.of('price', 'Price'))} from", _LEAST, said.currency)
            _price_box(f"{plain(said.of('price', 'Price'))} to", _MOST, said.currency)
            _time_box(f"{plain(said.of('created_at', 'Created'))} from", _FROM)
            _time_box(f"{plain(said.of('created_at', 'Created'))} before", _TO)
    return _filter(said.currency)


def _filter(currency: Currency) -> OrderFilter:
    chosen = {name: tuple(key.get() or ()) for name, key in _CHOICES.items()}
    return OrderFilter(
        text=(_TEXT.get() or "").strip(),
        choices=tuple(Choice(name, values) for name, values in chosen.items() if values),
        created_from_ms=_epoch_ms(_FROM.get()),
        created_to_ms=_epoch_ms(_TO.get()),
        min_price_cents=_minor_units(_LEAST.get(), currency),
        max_price_cents=_minor_units(_MOST.get(), currency),
        retried_only=bool(_RETRIED.get()),
        topics=tuple(_TOPICS.get() or ()),
    )


def _choice_box(field: OrderField, said: Wording) -> None:
    key = _CHOICES[field.name]
    known = _values(field.name)
    chosen = [value for value in key.get() or () if value not in known]
    st.multiselect(
        plain(said.of(field.avro_name, field.label)),
        [*known, *chosen],
        key=key.name,
        placeholder="All",
        width=170,
        on_change=_turn_to_first_page,
    )


def _values(name: str) -> list[str]:
    """All values of a field that there are."""
    return snapshots().get(("order_values", name), lambda source: source.order_values(name))


def _price_box(label: str, key: RenewableKey[float], currency: Currency) -> None:
    st.number_input(
        label,
        min_value=0.0,
        value=None,
        step=1.0,
        format=f"%.{currency.digits}f",
        key=key.name,
        placeholder="Any",
        width=130,
        on_change=_turn_to_first_page,
    )


def _time_box(label: str, key: RenewableKey[datetime]) -> None:
    st.datetime_input(label, value=None, key=key.name, width=220, on_change=_turn_to_first_page)


def _minor_units(price: float | None, currency: Currency) -> int | None:
    return None if price is None else round(price * 10**currency.digits)


def _epoch_ms(local: datetime | None) -> int | None:
    return None if local is None else int(local.replace(tzinfo=viewer_zone()).timestamp() * 1000)


def _clear() -> None:
    for key in _FILTER:
        key.renew()
    _turn_to_first_page()


def _turn_to_first_page() -> None:
    _PAGE.renew()


# -- the table


def choose_view(which: OrderFilter) -> View:
    """Draws the choice of order and page size."""
    said = wording()
    words = {"price": said.of("price", "price"), "order_id": said.of("order_id", "Order id")}
    sort = st.selectbox(
        "Sort by",
        list(SORTS),
        key=_SORT.name,
        format_func=lambda name: name.format(**words),
        label_visibility="collapsed",
        width=200,
        on_change=_turn_to_first_page,
    )
    page_size = st.selectbox(
        "Rows a page",
        PAGE_SIZES,
        key=_SIZE.name,
        format_func="{} a page".format,
        label_visibility="collapsed",
        width=130,
        on_change=_turn_to_first_page,
    )
    return View(which, sort, page_size)


def draw_orders(view: View) -> None:
    """One page of orders, and the pages below it. The first page is live, the others hold still while one reads."""
    shown = _shown(view, _PAGE.get_or(1))
    if shown.page > (pages := _pages(shown)):
        # Another buffer, with fewer orders, has replaced the one that was.
        _PAGE.renew()
        shown = _shown(view, pages)
    _SHOWN.set(shown)
    if shown.rows.cut:
        st.warning(f"The orders are not complete: {shown.rows.cut}.", icon=":material/content_cut:")
    if extent := _extent(shown):
        st.caption(extent)
    if shown.rows.rows:
        _draw_table(shown)
    if pages > 1:
        st.pagination(pages, default=shown.page, key=_PAGE.name)


def _shown(view: View, page: int) -> Shown:
    before = _SHOWN.get()
    if before is not None and (before.view, before.page) == (view, page) and _may_stay(before):
        return before
    began_ms = steady_ms()
    rows, count = snapshots().get(("orders", view, page), lambda source: _read(source, view, page))
    ended_ms = steady_ms()
    return Shown(view, page, rows, count, ended_ms, ended_ms - began_ms)


def _may_stay(shown: Shown) -> bool:
    return shown.page > 1 or steady_ms() - shown.asked_at_ms < REST_FACTOR * shown.took_ms


def _read(source: Reader, view: View, page: int) -> tuple[Rows, Count]:
    sort, descending = SORTS[view.sort]
    rows = source.orders(view.which, sort, descending, view.page_size, (page - 1) * view.page_size)
    return rows, source.count_orders(view.which)


def _extent(shown: Shown) -> str:
    """Which of how many rows these are, and whether they move."""
    if not shown.rows.rows:
        return "No order matches." if not shown.rows.cut else ""
    first = (shown.page - 1) * shown.view.page_size + 1
    text = f"{number(first)} to {number(first + len(shown.rows.rows) - 1)} of {shown.count}"
    if shown.page > 1:
        text += " · this page holds still, page 1 is live"
    if shown.page == _pages(shown) and shown.count.rows > REACHABLE_ROWS:
        text += f" · narrow the filter to see beyond {number(REACHABLE_ROWS)}"
    return text


def _pages(shown: Shown) -> int:
    return max(1, -(-min(shown.count.rows, REACHABLE_ROWS) // shown.view.page_size))


def _draw_table(shown: Shown) -> None:
    zone, said = str(viewer_zone()), wording()
    st.dataframe(
        _table(shown.rows, said.currency),
        hide_index=True,
        height=_ROW_PIXELS * (min(len(shown.rows.rows), _ROWS_HIGH) + 1) + 2,
        key="orders_table",
        column_config={
            **{field.avro_name: _column_config(field, zone, said) for field in SHOWN_FIELDS},
            "processed_at": st.column_config.DatetimeColumn("Processed", format=_TIME_FORMAT, timezone=zone),
            "attempts": st.column_config.NumberColumn("Attempts", width="small"),
            "position": st.column_config.TextColumn("Position", help="Where the record stands in Kafka."),
        },
    )


def _column_config(field: OrderField, zone: str, said: Wording) -> ColumnConfig:
    label = said.of(field.avro_name, field.label)
    width: Literal["small"] | None = "small" if field.name in _NARROW else None
    pinned = True if field.name in _PINNED else None
    match field.kind:
        case "text":
            return st.column_config.TextColumn(label, width=width, pinned=pinned)
        case "cents":
            return st.column_config.NumberColumn(label, width=width, pinned=pinned, format=money_format(said.currency))
        case "millis":
            return st.column_config.DatetimeColumn(
                label, width=width, pinned=pinned, format=_TIME_FORMAT, timezone=zone
            )


def _table(rows: Rows, currency: Currency) -> pa.Table:
    positions = zip(rows.column("topic"), rows.column("partition"), rows.column("offset"), strict=True)
    return pa.table(
        {
            **{field.avro_name: _shown_values(field, rows.column(field.name), currency) for field in SHOWN_FIELDS},
            "processed_at": pa.array(rows.column("processed_at_ms"), _TIME_TYPE),
            "attempts": rows.column("attempts"),
            "position": [f"{topic}[{partition}] offset {offset}" for topic, partition, offset in positions],
        }
    )


def _shown_values(field: OrderField, values: list[Any], currency: Currency) -> pa.Array:
    match field.kind:
        case "text":
            return pa.array(values, pa.string())
        case "cents":
            return money_cells(values, currency)
        case "millis":
            return pa.array(values, _TIME_TYPE)
