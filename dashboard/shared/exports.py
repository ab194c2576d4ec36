"""Downloads of what a table shows: the whole filtered set, not only the page of it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms, reader, shown_errors, viewer_zone
from dashboard.shared.disk_files import DiskFile
from dashboard.shared.formats import number, plain, size
from dashboard.shared.kept_files import forget_files, has_files, kept_files
from dashboard.shared.mapping import wording
from pipeline.buffer import DeadLetterFilter, OrderFilter
from pipeline.buffer.entities import Entity
from pipeline.buffer.filters import RowFilter
from pipeline.buffer.views import Count
from pipeline.errors import BufferUnavailableError
from pipeline.exports import AddedColumns, ExportFormat, Written, export_all

# Each holds a few megabytes of rows and a core while it writes, beside the pipeline.
_WRITING = threading.BoundedSemaphore(2)


@dataclass(frozen=True, slots=True)
class _Format:
    suffix: ExportFormat
    mime: str
    explanation: str


_FORMATS = {
    "CSV": _Format("csv", "text/csv", "For spreadsheets. Texts that would run as a formula begin with an apostrophe."),
    "JSON Lines": _Format("jsonl", "application/jsonl", "One JSON object a line."),
    "Parquet": _Format("parquet", "application/vnd.apache.parquet", "Typed columns; keys and values as bytes."),
}


@dataclass(frozen=True, slots=True)
class PayloadExport:
    """What an export of dead letters may add of what they hold."""

    paths: tuple[str, ...]
    """Each has a column of its own."""
    columns: Callable[[bool], AddedColumns]
    """Makes the columns; true: with key and value whole."""


def table_downloads(
    entity: str,
    which: object | None,
    key: str,
    count: Count | None = None,
    payload: PayloadExport | None = None,
) -> None:
    """A popover in which to choose a format and take the file. Not for a part of the page that ticks.

    `count` spares counting the rows again where the page knows how many there are. Raises BufferUnavailableError.
    """
    rows = cast(Entity, entity)
    filter_ = cast(RowFilter | None, which)
    file_key = f"{key}-file"
    with st.popover("Export", icon=":material/download:", key=f"{key}-export", on_change="rerun") as popover:
        if not popover.open and not has_files(file_key):
            return
        st.caption(_extent(_count(filter_) if count is None else count))
        whole = payload is not None and _wants_decoded(payload, key)
        label = st.segmented_control("Format", list(_FORMATS), key=f"{key}-format")
        if label is None:
            forget_files(file_key)
            return
        format_ = _FORMATS[label]
        st.caption(format_.explanation)
        container = st.empty()
        called = wording().said
        wanted = (rows, filter_, format_, called, whole, payload and payload.paths)
        make = partial(_make, container, rows, filter_, format_, called, payload, whole)
        files = None
        with shown_errors():
            files = kept_files(file_key, wanted, bool(popover.open), make)
        if files is None:
            return
        [export] = files
        with container.container():
            st.link_button(
                f"Save {label} ({size(export.file.size_bytes)})",
                export.file.address,
                icon=":material/save:",
                type="primary",
                width="stretch",
            )
            if export.written.cut:
                st.caption(
                    f":material/content_cut: Cut at {size(export.file.size_bytes)}: it holds the first "
                    f"{number(export.written.rows)} rows. `python -m pipeline export` has no such limit."
                )


def _wants_decoded(payload: PayloadExport, key: str) -> bool:
    whole = st.toggle(
        "Key and value decoded",
        key=f"{key}-decoded",
        help="Adds both as JSON that keeps every digit, and what the value is.",
    )
    if payload.paths:
        st.caption(f"With the columns from the payload: {plain(', '.join(payload.paths))}.")
    return whole


@dataclass(frozen=True, slots=True)
class _Export:
    file: DiskFile
    written: Written


def _make(
    container: DeltaGenerator,
    entity: Entity,
    which: RowFilter | None,
    format_: _Format,
    called: tuple[tuple[str, str], ...],
    payload: PayloadExport | None,
    whole: bool,
) -> tuple[_Export]:
    # Instead of the button of before: nobody presses one whose file is about to go.
    container.caption("Writing the file…")
    folder = settings().data_dir
    try:
        file = DiskFile(folder, _file_name(entity, format_.suffix), format_.mime)
        with _WRITING:
            # The pipeline writes to the same disk, and stops where it is full.
            most_bytes = min(settings().export_max_mb * 10**6, shutil.disk_usage(folder).free // 4)
            written = export_all(
                settings().database_file,
                entity,
                which,
                format_.suffix,
                file.out,
                settings().export_max_rows,
                most_bytes,
                dict(called),
                payload.columns(whole) if payload is not None and (whole or payload.paths) else None,
            )
        file.finish()
    except OSError as error:
        raise BufferUnavailableError(f"the file cannot be written into {folder}: {error.strerror}") from error
    return (_Export(file, written),)


def _extent(count: Count | None) -> str:
    """What the file will hold, and what not. Rows may come before it is made, so no exact number is promised."""
    most = settings().export_max_rows
    if count is not None and count.rows > most:
        return f"The newest {number(most)} of {count} rows. `python -m pipeline export` has no such limit."
    if count is not None and not count.more:
        return "All rows that match."
    return f"All rows that match, up to {number(most)}."


def _count(which: RowFilter | None) -> Count | None:
    if isinstance(which, OrderFilter):
        return reader().count_orders(which)
    if isinstance(which, DeadLetterFilter):
        return reader().find(which).count
    return None


def _file_name(entity: Entity, format_: ExportFormat) -> str:
    day = datetime.fromtimestamp(now_ms() / 1000, viewer_zone()).date().isoformat()
    return f"orderpulse-{entity.replace('_', '-')}-{day}.{format_}"
