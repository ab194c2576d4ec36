"""What dead letters hold, in a browser: read in the card, picked into columns, and exported with every digit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import StartApp, idle, wait_until_it_fits
from tests.browser.test_dead_letters_page import open_letters, read_row, select_row, table
from tests.support.letters import add_letters

pytestmark = pytest.mark.browser
DIGITS = "1.10000000000000000000000001"
VALUE = f'{{"order": {{"customer": {{"country": "DE"}}, "total": {DIGITS}, "note": "<b>bold</b>"}}}}'.encode()


def test_a_payload_is_read_picked_into_a_column_and_exported(page: Page, app: StartApp, tmp_path: Path) -> None:
    running = app()
    add_letters(running.database_file, 3, value=VALUE, key=b'{"id": 7}')
    open_letters(page, running, "")
    # A path is taken from those that the payloads hold.
    page.get_by_role("button", name="Columns", exact=True).click()
    box = page.get_by_role("combobox", name="Columns from the payload")
    box.fill("country")
    page.get_by_role("option", name="order.customer.country").click()
    expect(page).to_have_url(re.compile(r"columns=order\.customer\.country"))
    page.keyboard.press("Escape")
    expect(table(page)).to_contain_text("DE")
    # The card shows it decoded, as text and byte for byte.
    read_row(page, 0)
    card = page.locator(".st-key-letter_detail")
    expect(card.get_by_text(f"JSON, {len(VALUE)} B")).to_be_visible()
    expect(card.get_by_test_id("stCode").filter(has_text=f'"total": {DIGITS}').first).to_be_visible()
    card.get_by_role("tab", name="Hex").first.click()
    expect(card.get_by_text("00000000  7b 22 6f 72").first).to_be_visible()
    card.get_by_text("How it was read").first.click()
    expect(card.get_by_text("registry: value names no schema").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    # The export of the page has both.
    page.get_by_role("button", name="Export").click()
    menu = page.get_by_test_id("stPopoverBody")
    menu.get_by_text("Key and value decoded").click()
    menu.get_by_text("JSON Lines", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save JSON Lines").click()
    file = tmp_path / "letters.jsonl"
    download.value.save_as(file)
    first = file.read_text().splitlines()[0]
    assert f'"decoded_value":{{"order":{{"customer":{{"country":"DE"}},"total":{DIGITS},' in first
    assert '"value.order.customer.country":"DE"' in first
    page.set_viewport_size({"width": 390, "height": 844})
    idle(page)
    wait_until_it_fits(page)


def test_a_link_opens_the_page_with_columns(page: Page, app: StartApp) -> None:
    running = app()
    add_letters(running.database_file, 1, value=VALUE)
    page.goto(f"{running.url}/dead_letters?columns=order.total&columns=order.note")
    table(page).wait_for()
    idle(page)
    expect(table(page)).to_contain_text(DIGITS)
    expect(table(page)).to_contain_text("<b>bold</b>")
    expect(page).to_have_url(re.compile(r"columns=order\.total&columns=order\.note"))
    # Nobody has opened the box of the columns, and they stay.
    select_row(page, 0)
    expect(table(page)).to_contain_text(DIGITS)
    page.get_by_role("button", name="Columns (2)").click()
    expect(page.get_by_test_id("stPopoverBody").get_by_text("order.note")).to_be_visible()
