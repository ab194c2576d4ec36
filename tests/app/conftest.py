"""The app without a browser, on a buffer of its own and without a pipeline."""

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
def database_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the app under test looks for its buffer; nothing is there yet."""
    monkeypatch.setenv("ORDERPULSE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ORDERPULSE_AUTOSTART", "0")
    monkeypatch.setenv("ORDERPULSE_REFRESH_MS", "0")
    # Before every run AppTest forgets that there is st.navigation, finds the folder `pages`, and from its second run on
    # runs a page without the entry script. A server does so only until somebody has been on the first page.
    monkeypatch.setattr(PagesManager, "uses_pages_directory", False)
    monkeypatch.setattr(app_test, "PagesManager", type("PagesManager", (PagesManager,), {}))
    # Settings and reader are kept for a server's life; here every test is another server.
    st.cache_resource.clear()
    st.cache_data.clear()
    yield tmp_path / "orderpulse.db"
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def open_app(database_file: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Opens the app with settings, on its first page or on another one."""

    def open_(page: str = "", **settings: str) -> AppTest:
        for name, value in settings.items():
            monkeypatch.setenv(f"ORDERPULSE_{name.upper()}", value)
        app = AppTest.from_file(str(ENTRY), default_timeout=TIMEOUT_S).run()
        return app.switch_page(page).run() if page else app

    return open_


@pytest.fixture
def open_page(database_file: Path) -> Callable[..., AppTest]:
    """Opens the app and goes to a page, by a link with query parameters if some are given."""

    def open_(page: str, **query: str) -> AppTest:
        app = AppTest.from_file(str(ENTRY), default_timeout=TIMEOUT_S).run().switch_page(page)
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    return open_
