"""Downloads of what a table shows: the whole filtered set, not only the page of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from typing import cast

import streamlit as st

from dashboard.context import now_ms, reader, settings, viewer_zone
from dashboard.formats import number
from pipeline.buffer import DeadLetterFilter, OrderFilter
from pipeline.buffer.reads import Count
from pipeline.buffer.streams import Entity, RowFilter
from pipeline.exports import ExportFormat, export_all

_FORMATS: tuple[tuple[ExportFormat, str, str, str], ...] = (
    ("csv", "CSV", "text/csv", "For spreadsheets. Texts that would be run as a formula begin with an apostrophe."),
    ("jsonl", "JSON Lines", "application/jsonl", "One JSON object a line."),
    ("parquet", "Parquet", "application/vnd.apache.parquet", "Typed columns; keys and values as bytes."),
)


def table_downloads(entity: str, which: object | None, key: str, count: Count | None = None) -> None:
    """A popover with one download a format. Not for a part of the page that ticks: its clicks get lost there.

    `count` spares counting the rows again where the page knows how many there are. Raises BufferUnavailableError.
    """
    rows = cast(Entity, entity)
    filter_ = cast(RowFilter | None, which)
    with st.popover("Export", icon=":material/download:", key=f"{key}-export"):
        st.caption(_extent(_count(filter_) if count is None else count))
        for format_, label, mime, help_ in _FORMATS:
            st.download_button(
                label,
                # Deferred: nothing is read before somebody clicks.
                data=_file(rows, filter_, format_),
                file_name=_file_name(rows, format_),
                mime=mime,
                help=help_,
                on_click="ignore",
                key=f"{key}-{format_}",
                width="stretch",
            )


def _file(entity: Entity, which: RowFilter | None, format_: ExportFormat) -> Callable[[], bytes]:
    path, most = settings().database_file, settings().export_max_rows

    def written() -> bytes:
        # Streamlit holds a download in memory whatever it is given, so the file need not stand on a disk first.
        out = BytesIO()
        export_all(path, entity, which, format_, out, most)
        return out.getvalue()

    return written


def _extent(count: Count | None) -> str:
    """What the files will hold, and what not. Rows may come before somebody clicks, so no exact number is promised."""
    most = settings().export_max_rows
    if count is not None and count.rows > most:
        return f"The newest {number(most)} of {count} rows. `python -m pipeline export` has no such limit."
    if count is not None and not count.more:
        return "All rows that match when you click."
    return f"All rows that match when you click, up to {number(most)}."


def _count(which: RowFilter | None) -> Count | None:
    if isinstance(which, OrderFilter):
        return reader().count_orders(which)
    if isinstance(which, DeadLetterFilter):
        return reader().count_dead_letters(which)
    return None


def _file_name(entity: Entity, format_: ExportFormat) -> str:
    day = datetime.fromtimestamp(now_ms() / 1000, viewer_zone()).date().isoformat()
    return f"orderpulse-{entity.replace('_', '-')}-{day}.{format_}"
