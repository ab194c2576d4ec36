"""The app without a browser, on a buffer of its own and without a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.elements.lib import policies
from streamlit.testing.v1 import AppTest

from tests.support.navigation import ENTRY
from tests.support.page import TIMEOUT_S, forget_resources, set_up_app_test


@pytest.fixture
def database_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the app under test looks for its buffer; nothing is there yet."""
    monkeypatch.setenv("ORDERPULSE_DATA_DIR", str(tmp_path))
    set_up_app_test(monkeypatch)
    yield tmp_path / "orderpulse.db"
    forget_resources()


@pytest.fixture(autouse=True)
def no_widget_begins_with_two_values(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Streamlit warns of a widget that is given a default and a value of the session's state, once a process."""
    monkeypatch.setattr(policies, "_shown_default_value_warning", False)
    yield
    warned = [each.getMessage() for each in caplog.get_records("call") if each.name == policies.__name__]
    assert warned == []


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

    def open_(page: str, /, **query: str) -> AppTest:
        app = AppTest.from_file(str(ENTRY), default_timeout=TIMEOUT_S).run().switch_page(page)
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    return open_
