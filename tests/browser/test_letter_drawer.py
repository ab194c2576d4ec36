"""What Kafka tells of one dead letter, in the drawer, in a browser, with the real pipeline behind it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from playwright.sync_api import Page, expect

from pipeline.buffer import Reader
from scripts.waiting import wait_for
from tests.browser.conftest import PROJECT, App, StartApp, idle, wait_until_it_fits
from tests.browser.test_dead_letters_page import open_letters, read_row

pytestmark = pytest.mark.browser


def produce(app: App) -> None:
    """Orders some of which fail, through the pipeline that the app has started."""
    arguments = ["--count", "200", "--seed", "7", "--invalid-share", "0.1"]
    environment = os.environ | {"ORDERPULSE_DATA_DIR": str(app.database_file.parent)}
    command = [sys.executable, "-m", "pipeline", "produce", *arguments]
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, capture_output=True)
    wait_for("the dead letters", lambda: dead_letters(app) == 20)


def dead_letters(app: App) -> int:
    with Reader(app.database_file) as reader:
        return reader.totals().dead_letters


def test_what_is_odd_and_what_else_has_its_key_is_told_while_the_drawer_is_open(page: Page, app: StartApp) -> None:
    running = app(autostart="1")
    page.goto(running.url)
    wait_for("the pipeline", running.database_file.exists)
    idle(page)
    produce(running)
    open_letters(page, running)
    card = read_row(page, 1)
    # Kafka is asked while the drawer is open, and what it tells is drawn by itself.
    expect(card.get_by_text("Compared with an accepted order")).to_be_visible()
    expect(card.get_by_text("Kafka keeps both")).to_be_visible()
    card.get_by_role("tab", name="Same key").click()
    expect(card.get_by_text(re.compile(r"Looked at \d+ records at offsets 0 to"))).to_be_visible()
    card.get_by_role("tab", name="Timeline").click()
    expect(card.get_by_test_id("stDataFrame").filter(has_text="Dead-lettered")).to_be_visible()
    # The next one is asked about too, and the part that somebody reads stays.
    idle(page)
    first = re.search(r"id=(\d+)", page.url)
    assert first is not None
    page.keyboard.press("j")
    expect(card.get_by_text(f"Dead letter {int(first[1]) - 1}", exact=True)).to_be_visible()
    expect(card.get_by_text("Kafka keeps both")).to_be_visible()
    expect(card.get_by_role("tab", name="Timeline")).to_have_attribute("aria-selected", "true")
    page.set_viewport_size({"width": 390, "height": 844})
    idle(page)
    wait_until_it_fits(page)
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
