"""What the app's entry needs first. The pipeline is started before anything else is imported."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pipeline.settings import Settings, load_settings

ASSETS = Path(__file__).parents[1] / "assets"
ICON = ASSETS / "icon.svg"
"""A file of our own: the browser would fetch a Material icon for its tab from a site on the network."""


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """The settings as the app was started with. Raises SettingsError."""
    return load_settings()
