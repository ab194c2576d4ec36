"""A data folder that holds imported dead letters: pages are there to look, and no pipeline runs on it."""

from __future__ import annotations

import streamlit as st

from dashboard.shared.configuration import settings
from pipeline.running.imported import is_imported

ICON = ":material/inventory_2:"


def imported_folder() -> bool:
    """Whether this data folder is one."""
    return is_imported(settings().data_dir)


def say_imported() -> None:
    """One line below the title of a page."""
    if imported_folder():
        st.caption(
            f"{ICON} Imported dead letters, to be looked at: no pipeline runs on this data folder, nothing is sent, "
            "and nobody is alerted."
        )


def imported_badge() -> None:
    """Marks what is shown as imported."""
    if imported_folder():
        st.badge("Imported", icon=ICON, color="gray")
