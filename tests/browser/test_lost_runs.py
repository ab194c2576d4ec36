"""What a page's run drew reaches the browser, also where a refresh arrives before it was sent."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import StartApp
from tests.browser.test_dead_letters_page import mark_row, open_letters, table
from tests.support.letters import add_letters

pytestmark = pytest.mark.browser


def test_each_choice_is_seen_on_the_page(page: Page, app: StartApp) -> None:
    running = app("tests/browser/lagging_app.py", refresh_ms="500")
    add_letters(running.database_file, 6)
    open_letters(page, running)
    for row in range(6):
        mark_row(table(page), row)
        expect(page.get_by_role("button", name=f"Replay selected ({row + 1})")).to_be_enabled(timeout=15_000)
