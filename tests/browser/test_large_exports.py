"""Exports far larger than the app may grow: written to disk, streamed from there, and gone afterwards."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.waiting import wait_for
from tests.browser.conftest import App, StartApp, idle, open_page
from tests.browser.test_dead_letters_page import read_row
from tests.support.letters import add_letters

pytestmark = pytest.mark.browser
LETTERS = 240
LETTER_BYTES = 1_000_000
MOST_GROWTH_BYTES = 200_000_000
"""Less than one of the files, of which two are written and sent at once."""
WRITING_MS = 300_000


def memory_bytes(app: App, line: str) -> int:
    """A line of the process's status: VmRSS is what it holds now, VmHWM the most since `forget_peak`."""
    status = Path(f"/proc/{app.pid}/status").read_text()
    [kilobytes] = [found.split()[1] for found in status.splitlines() if found.startswith(f"{line}:")]
    return int(kilobytes) * 1024


def forget_peak(app: App) -> None:
    Path(f"/proc/{app.pid}/clear_refs").write_text("5")


def unnamed_files(app: App) -> list[int]:
    """Sizes of the files without a name that the process holds in its data folder."""
    sizes = []
    for descriptor in Path(f"/proc/{app.pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
            if target.startswith(str(app.database_file.parent)) and target.endswith("(deleted)"):
                sizes.append(descriptor.stat().st_size)
        except FileNotFoundError:
            continue  # closed meanwhile
    return sizes


def open_letters(page: Page, app: App) -> None:
    open_page(page, app, "Dead letters")
    page.get_by_role("button", name="Export").wait_for()
    idle(page)


def begin_export(page: Page, format_: str) -> None:
    menu = page.get_by_test_id("stPopoverBody")
    if menu.count() == 0:
        page.get_by_role("button", name="Export").click()
    menu.get_by_text(format_, exact=True).click()


def save(page: Page, format_: str) -> Path:
    link = page.get_by_test_id("stPopoverBody").get_by_role("link", name=f"Save {format_}")
    expect(link).to_be_visible(timeout=WRITING_MS)
    with page.expect_download(timeout=WRITING_MS) as found:
        link.click()
    return Path(found.value.path())


@pytest.fixture(scope="module")
def letter() -> bytes:
    return os.urandom(LETTER_BYTES)


def test_files_larger_than_the_app_may_grow_take_little_memory_in_two_tabs(
    browser: Browser, app: StartApp, letter: bytes
) -> None:
    running = app()
    add_letters(running.database_file, LETTERS, value=letter)
    contexts = [browser.new_context(), browser.new_context()]
    tabs = [context.new_page() for context in contexts]
    for tab in tabs:
        open_letters(tab, running)
    before = memory_bytes(running, "VmRSS")
    for format_ in ("CSV", "JSON Lines", "Parquet"):
        forget_peak(running)
        for tab in tabs:
            begin_export(tab, format_)
        for tab in tabs:
            saved = save(tab, format_)
            assert saved.stat().st_size > LETTERS * LETTER_BYTES
            assert rows_in(saved, format_) == LETTERS
            saved.unlink()
        assert memory_bytes(running, "VmHWM") - before < MOST_GROWTH_BYTES, format_
    assert len(unnamed_files(running)) == len(tabs)
    # One closes the popover, the other one its tab.
    tabs[0].keyboard.press("Escape")
    contexts[1].close()
    wait_for("the end of both files", lambda: not unnamed_files(running))
    contexts[0].close()


def rows_in(saved: Path, format_: str) -> int:
    if format_ == "Parquet":
        return int(pq.read_metadata(saved).num_rows)
    with saved.open(newline="") as lines:
        if format_ == "JSON Lines":
            return sum(1 for _ in lines)
        csv.field_size_limit(2 * LETTER_BYTES)
        return sum(1 for _ in csv.DictReader(lines))


def test_a_page_that_is_left_frees_its_file(page: Page, app: StartApp) -> None:
    running = app()
    add_letters(running.database_file, 3)
    open_letters(page, running)
    begin_export(page, "CSV")
    save(page, "CSV")
    assert len(unnamed_files(running)) == 1
    page.keyboard.press("Escape")
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Alerts").click()
    wait_for("the end of the file", lambda: not unnamed_files(running))


def test_a_file_is_cut_at_its_limit_and_says_so(page: Page, app: StartApp) -> None:
    running = app(export_max_mb="1")
    add_letters(running.database_file, 5, value=bytes(300_000))
    open_letters(page, running)
    begin_export(page, "JSON Lines")
    saved = save(page, "JSON Lines")
    lines = saved.read_bytes().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [5, 4]
    assert saved.stat().st_size <= 1_000_000
    expect(page.get_by_test_id("stPopoverBody").get_by_text("it holds the first 2 rows")).to_be_visible()


def test_who_does_not_know_the_address_gets_no_file(page: Page, app: StartApp) -> None:
    running = app()
    answer = page.request.get(f"{running.url}/exports/{'a' * 43}")
    assert answer.status == 404
    assert "no longer there" in answer.text()


def test_a_page_of_very_long_texts_takes_little_memory(page: Page, app: StartApp) -> None:
    running = app()
    add_letters(running.database_file, 1)
    open_letters(page, running)
    before = memory_bytes(running, "VmRSS")
    long = "the price is wrong " * 50_000
    add_letters(running.database_file, 99, reason=long)
    add_letters(running.database_file, 1, reason=long, value=bytes(10_000_000))
    forget_peak(running)
    open_letters(page, running)
    read_row(page, 0)
    expect(page.get_by_text("letters are shown; the export holds all.")).to_be_visible()
    assert memory_bytes(running, "VmHWM") - before < MOST_GROWTH_BYTES // 2
