from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from pipeline.version import VERSION
from tests.browser.conftest import StartApp, idle

pytestmark = pytest.mark.browser


def test_the_first_address_anybody_opens_leads_to_its_page(page: Page, app: StartApp) -> None:
    """A server that has just started runs the page's file before the entry script: the viewer must not notice."""
    running = app()
    page.goto(f"{running.url}/jobs?from=mail")
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    expect(page.get_by_role("button", name="Produce orders")).to_be_visible()
    expect(page).to_have_url(f"{running.url}/jobs?from=mail")


def test_the_app_s_menu_says_which_version_it_is(page: Page, app: StartApp) -> None:
    page.goto(app().url)
    idle(page)
    page.get_by_test_id("stMainMenu").get_by_role("button").click()
    page.get_by_text("About", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text(f"OrderPulse {VERSION}")
