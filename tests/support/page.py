"""The Pipeline page of a running pipeline, rendered without a browser."""

from __future__ import annotations

import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest, app_test

from pipeline.settings import PROJECT_DIR
from tests.support.running_pipeline import RunningPipeline

TIMEOUT_S = 30


def pipeline_page(pipeline: RunningPipeline, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page as somebody sees it who opens it now."""
    for name, value in pipeline.environment.items():
        if name.startswith("ORDERPULSE_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("ORDERPULSE_AUTOSTART", "0")
    monkeypatch.setenv("ORDERPULSE_REFRESH_MS", "0")
    # AppTest forgets before every run that there is st.navigation; see tests/app/conftest.py.
    monkeypatch.setattr(PagesManager, "uses_pages_directory", False)
    monkeypatch.setattr(app_test, "PagesManager", type("PagesManager", (PagesManager,), {}))
    st.cache_resource.clear()
    st.cache_data.clear()
    app = AppTest.from_file(str(PROJECT_DIR / "streamlit_app.py"), default_timeout=TIMEOUT_S).run()
    app = app.switch_page("pages/pipeline.py").run()
    assert not app.exception
    return app


def page_text(app: AppTest) -> str:
    """Everything on a page, tables included."""
    shown = (app.markdown, app.warning, app.error, app.info, app.caption, app.metric, app.dataframe)
    texts = [str(element.value) for kind in shown for element in kind]
    return "\n".join([*texts, str(app)])
