"""The app over a real buffer, without a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest, app_test

ENTRY = Path(__file__).resolve().parents[2] / "streamlit_app.py"
TIMEOUT_S = 30


@pytest.fixture
def database_file(tmp_path: Path) -> Path:
    """Where the app looks for its buffer; there is none yet."""
    return tmp_path / "orderpulse.db"


@pytest.fixture
def open_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    """Opens the app on the test's folder, on its first page or on another one."""
    monkeypatch.setenv("ORDERPULSE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ORDERPULSE_AUTOSTART", "0")
    monkeypatch.setenv("ORDERPULSE_REFRESH_MS", "0")
    # Before every run AppTest forgets that there is st.navigation, finds the folder `pages`, and from its second run on
    # runs a page without the entry script. A server does so only until somebody has been on the first page.
    monkeypatch.setattr(PagesManager, "uses_pages_directory", False)
    monkeypatch.setattr(app_test, "PagesManager", type("PagesManager", (PagesManager,), {}))
    st.cache_resource.clear()

    def open_page(page: str = "", **settings: str) -> AppTest:
        for name, value in settings.items():
            monkeypatch.setenv(f"ORDERPULSE_{name.upper()}", value)
        app = AppTest.from_file(str(ENTRY), default_timeout=TIMEOUT_S).run()
        return app.switch_page(page).run() if page else app

    yield open_page
    st.cache_resource.clear()
