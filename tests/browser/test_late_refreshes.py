"""A refresh that the browser asked for before somebody chose something carries the old choice; the new one stays."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from scripts.waiting import wait_for
from tests.browser.conftest import StartApp, idle, open_page
from tests.browser.test_dead_letters_page import choose_group, open_letters
from tests.support.letters import add_letters
from tests.support.sample_buffer import add_orders

pytestmark = pytest.mark.browser


class Refreshes:
    """Stands between browser and app, and hands the app an old refresh once more right behind what somebody chose."""

    def __init__(self, page: Page) -> None:
        self._newest: bytes | None = None
        self._late: bytes | None = None
        page.route_web_socket("**/_stcore/stream", self._connect)

    def let_one_be_late(self, page: Page) -> None:
        """The next thing that somebody does is followed by a refresh that was asked for between now and then."""
        idle(page)
        self._newest = None
        wait_for("a refresh", lambda: page.wait_for_timeout(10) or self._newest is not None)
        self._late = self._newest

    def wait_until_it_came(self, page: Page) -> None:
        """The app was given the late one."""
        wait_for("the late refresh", lambda: page.wait_for_timeout(10) or self._late is None)

    def _connect(self, browser: WebSocketRoute) -> None:
        app = browser.connect_to_server()
        due: list[bytes] = []

        def to_app(message: str | bytes) -> None:
            assert isinstance(message, bytes)
            asked = BackMsg.FromString(message)
            refresh = asked.HasField("rerun_script") and bool(asked.rerun_script.fragment_id)
            if refresh and due:
                # The browser asks again soon. A refresh of its own would come before the late one, and be answered.
                return
            app.send(message)
            if refresh:
                self._newest = message
            elif asked.HasField("rerun_script") and self._late is not None:
                due.append(self._late)

        def to_browser(message: str | bytes) -> None:
            browser.send(message)
            if due and _draws_the_page(message):
                # The run has taken what it answers: what comes now is a request of its own.
                app.send(due.pop())
                self._late = None

        browser.on_message(to_app)
        app.on_message(to_browser)


def _draws_the_page(message: str | bytes) -> bool:
    assert isinstance(message, bytes)
    told = ForwardMsg.FromString(message)
    return told.HasField("delta") and not told.delta.fragment_id


@pytest.fixture
def refreshes(page: Page) -> Refreshes:
    return Refreshes(page)


def test_the_group_that_was_chosen_stays(page: Page, app: StartApp, refreshes: Refreshes) -> None:
    running = app()
    add_letters(running.database_file, 2)
    add_letters(running.database_file, 1, "region is missing")
    open_letters(page, running)
    refreshes.let_one_be_late(page)
    choose_group(page, 1)
    refreshes.wait_until_it_came(page)
    expect(page.get_by_text("1–1 of 1")).to_be_visible()
    # The page is drawn again when something changes.
    add_letters(running.database_file, 1, "region is missing")
    expect(page.get_by_text("1–2 of 2")).to_be_visible()


def test_filters_of_dead_letters_that_were_cleared_stay_so(page: Page, app: StartApp, refreshes: Refreshes) -> None:
    running = app()
    add_letters(running.database_file, 2)
    add_letters(running.database_file, 1, "region is missing")
    open_letters(page, running)
    page.get_by_label("Query", exact=True).fill("region")
    page.get_by_label("Query", exact=True).press("Enter")
    expect(page.get_by_text("1–1 of 1")).to_be_visible()
    refreshes.let_one_be_late(page)
    page.get_by_role("button", name="Clear", exact=True).click()
    refreshes.wait_until_it_came(page)
    expect(page.get_by_text("1–3 of 3")).to_be_visible()
    add_letters(running.database_file, 1, "price is missing")
    expect(page.get_by_text("1–4 of 4")).to_be_visible()
    expect(page.get_by_label("Query", exact=True)).to_have_value("")


def test_filters_of_orders_that_were_cleared_stay_so(page: Page, app: StartApp, refreshes: Refreshes) -> None:
    running = app()
    add_orders(running.database_file, 30)
    open_page(page, running, "Orders")
    box = page.get_by_label("Order or customer")
    box.fill("nobody")
    box.press("Enter")
    expect(page.get_by_text("No order matches.")).to_be_visible()
    refreshes.let_one_be_late(page)
    page.get_by_role("button", name="Clear", exact=True).click()
    refreshes.wait_until_it_came(page)
    expect(page.get_by_text("1 to 30 of 30")).to_be_visible()
    idle(page)
    expect(box).to_have_value("")
    expect(page.get_by_text("1 to 30 of 30")).to_be_visible()
