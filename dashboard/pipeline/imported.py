"""What the Pipeline page shows where dead letters were imported: out of which files, instead of roles and lag."""

from __future__ import annotations

import streamlit as st

from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms
from dashboard.shared.formats import ago, number, plain, size
from dashboard.shared.snapshots import snapshots
from dashboard.shared.tables import draw_table, number_column, text_column, time_column
from pipeline.buffer import Reader
from pipeline.buffer.views import Rows

_KINDS = {"export": "an export", "kcat": "kcat -J"}
_ROWS_HIGH = 8


def draw_imports() -> None:
    """The files, how large the buffer is, and what to do where one was interrupted."""
    files, file_bytes = snapshots().get("imports", _ask)
    dead_letters = sum(files.column("dead_letters"))
    st.markdown(
        f"**{number(dead_letters)}** dead letters were imported into {plain(str(settings().database_file))} "
        f"({size(file_bytes)}). To run a pipeline, use another data folder."
    )
    for each in files.dicts():
        if each["finished_at_ms"] is None:
            st.warning(
                f"The import of {plain(each['file'])}, begun {ago(each['started_at_ms'], now_ms())}, has not ended. If "
                "it does not run any more, import the file again: it adds what is missing.",
                icon=":material/warning:",
            )
    columns = [
        text_column("file", "File", files.column("file"), 300),
        text_column("kind", "Written by", [_KINDS[kind] for kind in files.column("kind")], 110),
        number_column("dead_letters", "Dead letters", files.column("dead_letters"), 110),
        time_column("started", "Begun", files.column("started_at_ms")),
        time_column("finished", "Ended", files.column("finished_at_ms")),
    ]
    draw_table("imports", columns, _ROWS_HIGH)


def _ask(source: Reader) -> tuple[Rows, int]:
    return source.imports(), source.file_bytes()
