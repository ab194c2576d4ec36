"""Tables: each column is declared once, with its cells, their Arrow type and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import streamlit as st

from dashboard.shared.badges import Badges
from dashboard.shared.context import viewer_zone
from dashboard.shared.formats import beginning, position_text
from pipeline.buffer.views import Rows
from pipeline.records import Currency

if TYPE_CHECKING:
    # Streamlit gives this type no public name: nothing that runs may depend on where it stands.
    from streamlit.elements.lib.column_types import ColumnConfig

Width = Literal["small", "medium", "large"] | int | None
SelectionMode = Literal["single-row", "multi-row", "single-cell"]
NumberFormat = Literal["%d", "localized"] | None
ROW_PIXELS = 35
"""Streamlit draws rows and the head of a table this high."""
WRAPPED_ROW_PIXELS = 66
"""The lowest rows in which Streamlit wraps texts: three lines have room."""
CELL_LETTERS = 50_000
TIME = pa.timestamp("ms", tz="UTC")


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `name` is what the data calls it, as app tests see it; the label is in `shown`."""

    name: str
    cells: pa.Array
    shown: ColumnConfig


def text_column(
    name: str, label: str, cells: Iterable[str | None], width: Width = None, explanation: str | None = None
) -> Column:
    """Plain text, of long ones the beginning."""
    shown = st.column_config.TextColumn(label, width=width, help=explanation)
    short = [None if each is None else beginning(each, CELL_LETTERS) for each in cells]
    return Column(name, pa.array(short, pa.string()), shown)


def number_column(
    name: str, label: str, cells: Iterable[int | None], width: Width = None, number_format: NumberFormat = None
) -> Column:
    """Whole numbers: `%d` for ids, `localized` for amounts."""
    shown = st.column_config.NumberColumn(label, width=width, format=number_format)
    return Column(name, pa.array(cells, pa.int64()), shown)


def money_column(
    name: str, label: str, minor_units: Iterable[int | None], currency: Currency, width: Width = None
) -> Column:
    """Money in whole units, with the currency's symbol and digits."""
    shown = st.column_config.NumberColumn(label, width=width, format=money_format(currency))
    return Column(name, money_cells(minor_units, currency), shown)


def money_format(currency: Currency) -> str:
    """How a column of numbers shows money in whole units."""
    return f"{currency.symbol.replace('%', '%%')}%,.{currency.digits}f"


def money_cells(minor_units: Iterable[int | None], currency: Currency) -> pa.Array:
    """Money in whole units."""
    unit = 10**currency.digits
    return pa.array([None if each is None else each / unit for each in minor_units], pa.float64())


def time_column(
    name: str, label: str, epoch_ms: Iterable[int | None], width: Width = None, with_year: bool = True
) -> Column:
    """Moments, on the viewer's clock."""
    format_ = "YYYY-MM-DD HH:mm:ss" if with_year else "MMM DD HH:mm:ss"
    shown = st.column_config.DatetimeColumn(label, width=width, format=format_, timezone=str(viewer_zone()))
    return Column(name, pa.array(epoch_ms, TIME), shown)


def badge_column(name: str, label: str, states: Iterable[str], badges: Badges, width: Width = None) -> Column:
    """States in words, each in its color."""
    shown = st.column_config.MultiselectColumn(
        label,
        width=width,
        options=[badge.label for badge in badges.values()],
        color=[badge.color for badge in badges.values()],
    )
    return Column(name, pa.array([[badges[state].label] for state in states], pa.list_(pa.string())), shown)


def held(column: Column) -> Column:
    """The column at the left, as wide as it was declared: what room is left goes to those that are not held."""
    return replace(column, shown={**column.shown, "pinned": True})


def share_column(name: str, label: str, shares: Iterable[float], width: Width = None) -> Column:
    """Shares from 0 to 1, as bars."""
    shown = st.column_config.ProgressColumn(label, width=width, min_value=0, max_value=1, format="percent")
    return Column(name, pa.array(shares, pa.float64()), shown)


def positions(rows: Rows) -> list[str | None]:
    """Topic, partition and offset of each row in one text; None where a record has no position."""
    columns = (rows.column(name) for name in ("topic", "partition", "offset"))
    return [position_text(*position) for position in zip(*columns, strict=True)]


def draw_table(key: str, columns: Sequence[Column], rows_high: int | None = None, nothing: str | None = "") -> None:
    """A table to read, as high as its rows but `rows_high` of them at most. `nothing` stands in cells without a value.

    Streamlit writes `None` there when `nothing` is None.
    """
    st.dataframe(
        _data(columns),
        hide_index=True,
        placeholder=nothing,
        height=_height(columns, rows_high),
        key=key,
        column_config={column.name: column.shown for column in columns},
    )


def draw_selectable_table(
    key: str,
    columns: Sequence[Column],
    rows_high: int,
    on_select: Literal["rerun"] | Callable[[], None],
    modes: Sequence[SelectionMode],
    shown: Sequence[str] | None = None,
    row_pixels: int = ROW_PIXELS,
    chosen: tuple[int, str] | None = None,
) -> None:
    """A table of which rows can be selected; `session.selected_rows` and `clicked_row` tell which are.

    A selection is kept by the index of a row, whatever stands there later: give a table another key when its rows move,
    and draw it outside of the live part. `shown` are the names of the columns that are seen, in their order; texts in
    rows of `WRAPPED_ROW_PIXELS` are wrapped; `chosen` is the cell, by row and column, that a new table begins with.
    """
    st.dataframe(
        _data(columns),
        hide_index=True,
        placeholder="",
        height=_height(columns, rows_high, row_pixels),
        key=key,
        on_select=on_select,
        selection_mode=modes,
        selection_default=None if chosen is None else {"selection": {"cells": [chosen]}},
        column_order=shown,
        column_config={column.name: column.shown for column in columns},
        row_height=row_pixels,
    )


def _data(columns: Sequence[Column]) -> pa.Table:
    return pa.table({column.name: column.cells for column in columns})


def _height(columns: Sequence[Column], rows_high: int | None, row_pixels: int = ROW_PIXELS) -> int | Literal["auto"]:
    if rows_high is None:
        return "auto"
    rows = len(columns[0].cells)
    return row_pixels * max(1, min(rows, rows_high)) + ROW_PIXELS + 2
