"""Whatever a page changes into, nothing of it is there twice: not even for the moment in which it changes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from pipeline.clock import wall_clock_ms
from scripts.waiting import wait_for
from tests.browser.conftest import StartApp, idle, open_page
from tests.support.navigation import PAGES
from tests.support.sample_buffer import fill

pytestmark = pytest.mark.browser
# The browser draws after each of the app's messages, as it does where app and network are slow. After each of its own
# changes it is looked at: a figure is known by its label, what has a key by its class.
SLOW_AND_WATCHED = """
(() => {
  const listen = WebSocket.prototype.addEventListener;
  WebSocket.prototype.addEventListener = function (type, listener, options) {
    if (type !== "message") return listen.call(this, type, listener, options);
    let before = Promise.resolve();
    const slow = (event) => {
      before = before.then(() => new Promise((done) => setTimeout(() => { listener(event); done(); }, 8)));
    };
    return listen.call(this, type, slow, options);
  };
  window.thereTwice = new Set();
  const look = () => {
    const names = [...document.querySelectorAll("[data-testid=stMetricLabel], h1")].map((each) => each.textContent);
    for (const each of document.querySelectorAll("[class*='st-key-']"))
      names.push(...[...each.classList].filter((name) => name.startsWith("st-key-")));
    names.filter((name, at) => names.indexOf(name) !== at).forEach((name) => window.thereTwice.add(name));
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
})();
"""


def there_twice(page: Page) -> list[str]:
    """Names of what was there twice at any time since the page was loaded."""
    found: list[str] = page.evaluate("() => [...window.thereTwice]")
    return found


def figure_shown(page: Page, label: str) -> str:
    return page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue").inner_text()


def test_first_figures_take_the_place_of_the_zeros(page: Page, app: StartApp) -> None:
    running = app()
    fill(running.database_file, orders=0, dead_letters=0, parked=0)
    page.add_init_script(SLOW_AND_WATCHED)
    page.goto(running.url)
    wait_for("zeros", lambda: figure_shown(page, "Successful") == "0")
    fill(running.database_file, now_ms=wall_clock_ms())
    wait_for("figures", lambda: figure_shown(page, "Successful") == "600")
    idle(page)
    assert there_twice(page) == []


def test_first_dead_letters_leave_filters_and_buttons_there_once(page: Page, app: StartApp) -> None:
    running = app()
    fill(running.database_file, orders=0, dead_letters=0, parked=0)
    page.add_init_script(SLOW_AND_WATCHED)
    open_page(page, running, "Dead letters")
    fill(running.database_file, now_ms=wall_clock_ms())
    page.locator("[data-testid=stDataFrame]").first.wait_for()
    idle(page)
    assert there_twice(page) == []


def test_a_page_is_gone_when_the_next_one_comes(page: Page, app: StartApp) -> None:
    running = app(refresh_ms="2000")
    fill(running.database_file, now_ms=wall_clock_ms())
    page.add_init_script(SLOW_AND_WATCHED)
    open_page(page, running, "Overview")
    for listed in [*PAGES, PAGES[0]]:
        page.get_by_test_id("stSidebarNav").get_by_role("link", name=listed.title).click()
        page.get_by_role("heading", name=listed.title, level=1).wait_for()
    idle(page)
    assert there_twice(page) == []
