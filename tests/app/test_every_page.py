"""What holds for every page of the navigation, whatever it shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from pipeline.buffer import open_buffer
from tests.support.navigation import ENTRY, PAGES, ListedPage
from tests.support.page import TIMEOUT_S
from tests.support.sample_buffer import fill

OpenApp = Callable[..., AppTest]
NOT_OF_THE_BUFFER = {
    "No processor has a partition.": "processors say it in their status files",
    "Nothing is known of the topics yet: the worker asks Kafka.": "the worker says it when it has asked",
}
"""What stays when the buffer is filled, and why."""
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def said(app: AppTest) -> list[str]:
    """What the page itself says in words, without the sidebar."""
    return [str(element.value) for kind in (app.main.info, app.main.error, app.main.caption) for element in kind]


@every_page
def test_it_says_that_there_is_no_buffer(page: ListedPage, open_app: OpenApp) -> None:
    app = open_app(page.file)
    assert not app.exception
    assert any("there is no buffer" in text for text in said(app)), said(app)


@every_page
def test_it_says_that_the_buffer_is_damaged(page: ListedPage, open_app: OpenApp, database_file: Path) -> None:
    database_file.write_bytes(b"no database" * 1000)
    app = open_app(page.file)
    assert not app.exception
    assert any("is damaged" in element.value for element in app.main.error), said(app)


@every_page
def test_it_says_in_a_new_buffer_what_there_is_not_yet(
    page: ListedPage, open_app: OpenApp, database_file: Path
) -> None:
    with open_buffer(database_file):
        pass
    app = open_app(page.file)
    assert not app.exception
    assert not app.main.error
    assert any(text.startswith(("No ", "Nothing ")) for text in said(app)), said(app)


@every_page
def test_what_it_said_in_a_new_buffer_is_gone_when_there_is_something(
    page: ListedPage, open_app: OpenApp, database_file: Path
) -> None:
    with open_buffer(database_file):
        pass
    app = open_app(page.file)
    before = {text for text in said(app) if text.startswith(("No ", "Nothing "))}
    fill(database_file)
    app.run()
    assert not app.exception
    assert before
    assert before.intersection(said(app)) <= NOT_OF_THE_BUFFER.keys()


@every_page
def test_it_shows_a_buffer_with_everything_in_it(page: ListedPage, open_app: OpenApp, database_file: Path) -> None:
    fill(database_file)
    app = open_app(page.file)
    assert not app.exception
    assert [title.value for title in app.title] == [f"{page.icon} {page.title}"]


@every_page
def test_its_address_opened_first_leads_through_the_entry_script(
    page: ListedPage, database_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that has just started may run the page's file alone, and so does AppTest unless it is kept from it."""
    fill(database_file)
    monkeypatch.setattr(PagesManager, "uses_pages_directory", None)
    app = AppTest.from_file(str(ENTRY), default_timeout=TIMEOUT_S).switch_page(page.file).run()
    assert not app.exception
    assert any(button.label == "Produce orders" for button in app.sidebar.button)
