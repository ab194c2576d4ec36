from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from scripts.waiting import DEADLINE_S
from tests.browser.conftest import StartApp, idle, wait_until_it_fits
from tests.support.navigation import PAGES
from tests.support.sample_buffer import fill

pytestmark = pytest.mark.browser


def test_every_page_stands_without_a_buffer_and_fills_by_itself_when_there_is_one(page: Page, app: StartApp) -> None:
    running = app()
    for each in reversed(PAGES):
        page.goto(f"{running.url}/{each.address}")
        expect(page.get_by_role("heading", name=each.title, level=1)).to_be_visible(timeout=DEADLINE_S * 1000)
        idle(page)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        wait_until_it_fits(page)
    fill(running.database_file)
    expect(page.get_by_text("Running average price")).to_be_visible(timeout=DEADLINE_S * 1000)
