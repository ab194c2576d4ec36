"""The app rendered without a browser, and the Pipeline page of a running pipeline."""

from __future__ import annotations

from functools import cache

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest, app_test

from tests.support.navigation import ENTRY
from tests.support.running_pipeline import RunningPipeline

TIMEOUT_S = 30

scan_once = cache(manifest_scanner.scan_component_manifests)
"""Every app looks for components in all packages that are installed; nobody installs any between two tests."""


def set_up_app_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes AppTest run the app as a server does: with pages by st.navigation, and nothing left of an earlier test."""
    monkeypatch.setenv("ORDERPULSE_AUTOSTART", "0")
    monkeypatch.setenv("ORDERPULSE_REFRESH_MS", "0")
    # Before every run AppTest forgets that there is st.navigation, finds the folder `pages`, and from its second run on
    # runs a page without the entry script. A server does so only until somebody has been on the first page.
    monkeypatch.setattr(PagesManager, "uses_pages_directory", False)
    monkeypatch.setattr(app_test, "PagesManager", type("PagesManager", (PagesManager,), {}))
    monkeypatch.setattr(manifest_scanner, "scan_component_manifests", scan_once)
    forget_resources()


def forget_resources() -> None:
    """Settings and reader are kept for a server's life; every test is another server."""
    st.cache_resource.clear()
    st.cache_data.clear()


def pipeline_page(pipeline: RunningPipeline, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page as somebody sees it who opens it now."""
    for name, value in pipeline.environment.items():
        if name.startswith("ORDERPULSE_"):
            monkeypatch.setenv(name, value)
    set_up_app_test(monkeypatch)
    app = AppTest.from_file(str(ENTRY), default_timeout=TIMEOUT_S).run()
    app = app.switch_page("pages/pipeline.py").run()
    assert not app.exception
    return app


def page_text(app: AppTest) -> str:
    """Everything on a page, tables included."""
    shown = (app.markdown, app.warning, app.error, app.info, app.caption, app.metric, app.dataframe)
    texts = [str(element.value) for kind in shown for element in kind]
    return "\n".join([*texts, str(app)])
