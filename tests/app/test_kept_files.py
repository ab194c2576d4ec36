"""Files of a popover: those of the moment it was opened, and still there for whoever presses what was drawn before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.shared import kept_files


def popover() -> None:
    """The script under test: what it offers stands on the page."""
    import streamlit as st

    from dashboard.shared.kept_files import begin_run, free_old_files, has_files, kept_files

    begin_run()
    made = st.session_state.setdefault("made", [])

    def make() -> tuple[bytes, ...]:
        made.append(len(made))
        return (b"file %d" % made[-1],)

    wanted = st.session_state.get("wanted", "5 min")
    if st.session_state.get("is_there", True):
        st.text(str(kept_files("files", wanted, st.session_state.get("open", False), make)))
    else:
        free_old_files()
        st.text(str(has_files("files")))


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    st.cache_resource.clear()
    app = AppTest.from_function(popover)
    monkeypatch.setattr(kept_files, "now_ms", lambda: app.session_state["now_ms"])
    app.session_state["now_ms"] = 0
    yield app
    st.cache_resource.clear()


def offered(app: AppTest, **state: object) -> str:
    for name, value in state.items():
        app.session_state[name] = value
    app.run()
    assert not app.exception
    return app.text[0].value


def test_nothing_is_made_before_it_is_opened_and_then_it_stays_as_it_was(app):
    assert offered(app) == "None"
    assert offered(app, open=True) == "(b'file 0',)"
    assert offered(app, now_ms=60_000) == "(b'file 0',)"


def test_who_opens_it_again_at_once_finds_the_files_of_before(app):
    assert offered(app, open=True) == "(b'file 0',)"
    assert offered(app, open=False, now_ms=30_000) == "(b'file 0',)"
    assert offered(app, open=True, now_ms=39_000) == "(b'file 0',)"


def test_later_they_are_made_again_and_a_closed_one_keeps_nothing(app):
    offered(app, open=True)
    offered(app, open=False, now_ms=1000)
    assert offered(app, now_ms=11_001) == "None"
    assert offered(app, is_there=False) == "False"
    offered(app, is_there=True)
    assert offered(app, open=True) == "(b'file 1',)"
    offered(app, open=False, now_ms=12_000)
    assert offered(app, open=True, now_ms=30_000) == "(b'file 2',)"


def test_one_that_was_open_for_long_keeps_nothing_when_it_is_closed(app):
    offered(app, open=True)
    assert offered(app, open=False, now_ms=60_001) == "None"
    assert offered(app, open=True, now_ms=60_002) == "(b'file 1',)"


def test_another_window_wants_other_files(app):
    offered(app, open=True)
    assert offered(app, wanted="1 h") == "(b'file 1',)"
    assert offered(app, open=False, wanted="6 h") == "None"


def test_a_page_that_was_left_keeps_its_files_only_for_a_moment(app):
    offered(app, open=True)
    assert offered(app, is_there=False, now_ms=1000) == "True"
    assert offered(app, now_ms=11_001) == "False"
