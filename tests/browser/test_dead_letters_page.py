from __future__ import annotations

from contextlib import suppress

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

from pipeline.buffer import Batch, DeadLetterFilter, Reader, ReplayOutcome, Sent, open_buffer
from scripts.waiting import wait_for
from tests.browser.conftest import App, StartApp, click_cell, idle, open_page, wait_until_it_fits
from tests.support.letters import NOW_MS, add_letters, replay

pytestmark = pytest.mark.browser
ROW_PIXELS = 35
MARKER_PIXELS, NARROW_ROW_PIXELS = 30, 66
GROUP_PIXELS = 70
GROUPS = "[class*='st-key-letters_groups_'] [data-testid=stDataFrame]"


def open_letters(page: Page, app: App, address: str = "?fields=order_id") -> None:
    """Opens the page by a link; the table has the orders' ids, so that rows can be told from each other."""
    page.goto(f"{app.url}/dead_letters{address}")
    page.get_by_role("heading", name="Dead letters", level=1).wait_for()
    table(page).wait_for()
    idle(page)


def table(page: Page) -> Locator:
    # The newest: for a moment the one before it is there too.
    return page.locator("[class*='st-key-letters_table_'] [data-testid=stDataFrame]").last


def mark_row(shown: Locator, row: int) -> None:
    """Clicks on the marker of a row, the first one below the table's head being 0."""
    # A table's frame is there before the canvas that takes clicks.
    shown.get_by_test_id("data-grid-canvas").wait_for()
    shown.click(position={"x": MARKER_PIXELS / 2, "y": ROW_PIXELS * (row + 1.5)})


def select_row(page: Page, row: int) -> None:
    """Selects a dead letter."""
    mark_row(table(page), row)
    expect(page.get_by_role("button", name="Replay selected (1)")).to_be_enabled()
    idle(page)


def read_row(page: Page, row: int, x: int = 320, row_pixels: int = ROW_PIXELS) -> Locator:
    """Opens a dead letter by a click on its reason; returns the drawer."""
    click_cell(table(page), x, ROW_PIXELS + row_pixels * (row + 0.5))
    card = page.locator(".st-key-letter_detail")
    card.wait_for()
    idle(page)
    return page.get_by_role("dialog")


def choose_group(page: Page, row: int) -> None:
    """Clicks on the title of a group, once more where a busy browser took no notice of it."""
    address = page.url
    groups = page.locator(GROUPS).last

    def is_chosen() -> bool:
        click_cell(groups, 120, ROW_PIXELS + GROUP_PIXELS * (row + 0.5))
        with suppress(TimeoutError):
            page.wait_for_url(lambda url: url != address, timeout=10_000)
        return page.url != address

    wait_for("the group to be chosen", is_chosen)


def statuses(app: App) -> dict[int, str]:
    with Reader(app.database_file) as reader:
        return {row.id: row.status for row in reader.dead_letters(DeadLetterFilter())}


def job_count(app: App) -> int:
    with Reader(app.database_file) as reader:
        return len(reader.jobs())


def test_the_dialog_lists_what_it_sends_and_a_double_click_is_one_job(page: Page, app: StartApp) -> None:
    running = app()
    add_letters(running.database_file, 4)
    open_letters(page, running)
    select_row(page, 1)
    page.get_by_role("button", name="Replay selected").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("1 goes back to where it came from")).to_be_visible()
    expect(dialog.locator("[data-testid=stDataFrame]")).to_contain_text("ORD-000003")
    dialog.get_by_role("button", name="Replay 1 dead letter").dblclick()
    expect(dialog).to_be_hidden()
    idle(page)
    assert job_count(running) == 1
    assert statuses(running) == {1: "open", 2: "open", 3: "replaying", 4: "open"}
    expect(page.get_by_role("link", name="Follow replay job 1")).to_be_visible()


def test_a_selection_acts_on_its_rows_while_others_arrive(page: Page, app: StartApp) -> None:
    running = app()
    add_letters(running.database_file, 3)
    open_letters(page, running)
    select_row(page, 2)
    add_letters(running.database_file, 5)
    expect(page.get_by_role("button", name="5 new – refresh")).to_be_enabled()
    page.locator(".st-key-letters_to_discarded button").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard 1 dead letter").click()
    wait_for("the discarded one", lambda: "discarded" in statuses(running).values())
    assert [each for each, status in statuses(running).items() if status == "discarded"] == [1]


def test_the_table_follows_by_itself_while_nothing_is_selected(page: Page, app: StartApp) -> None:
    running = app()
    add_letters(running.database_file, 1)
    open_letters(page, running)
    expect(table(page)).to_contain_text("Open")
    job_id = replay(running.database_file, (1,), "elsewhere")
    expect(table(page)).to_contain_text("Replaying")
    with open_buffer(running.database_file) as buffer:
        (item,) = buffer.jobs.planned_items(job_id, 1)
        buffer.jobs.open_send_window(job_id, "{}", [item.replay_id])
        buffer.jobs.close_send_window(job_id, 1, 0, [Sent(item.replay_id, "orders", 0, 9)], {}, NOW_MS)
        buffer.flow.commit(Batch(NOW_MS, outcomes=[ReplayOutcome(item.replay_id, "recovered")]))
    expect(table(page)).to_contain_text("Recovered")
    add_letters(running.database_file, 1)
    expect(table(page)).to_contain_text("ORD-000002")


def test_an_open_dialog_outlives_what_arrives(page: Page, app: StartApp) -> None:
    running = app()
    add_letters(running.database_file, 2)
    open_letters(page, running)
    page.get_by_role("button", name="Replay all that match").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Replay 2 dead letters")).to_be_enabled()
    add_letters(running.database_file, 3)
    expect(page.locator(".st-key-letters_refresh button")).to_have_text("refresh3 new – refresh")
    dialog.get_by_role("button", name="Replay 2 dead letters").click()
    expect(dialog).to_be_hidden()
    assert statuses(running) == {1: "replaying", 2: "replaying", 3: "open", 4: "open", 5: "open"}


def test_a_dialog_that_is_closed_may_be_opened_again(page: Page, app: StartApp) -> None:
    running = app()
    add_letters(running.database_file, 1)
    open_letters(page, running)
    for _ in range(2):
        page.get_by_role("button", name="Replay all that match").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
    assert job_count(running) == 0


def test_choosing_a_group_narrows_the_table(page: Page, app: StartApp) -> None:
    running = app()
    add_letters(running.database_file, 2)
    add_letters(running.database_file, 1, "region is missing")
    open_letters(page, running)
    choose_group(page, 1)
    expect(page.get_by_text("1–1 of 1")).to_be_visible()
    expect(table(page)).to_contain_text("ORD-000003")


def test_everything_fits_a_narrow_window(page: Page, app: StartApp) -> None:
    running = app()
    add_letters(running.database_file, 3)
    open_letters(page, running)
    page.set_viewport_size({"width": 390, "height": 844})
    idle(page)
    wait_until_it_fits(page)
    drawer = read_row(page, 0, x=200, row_pixels=NARROW_ROW_PIXELS)
    drawer.get_by_text("Stack trace").wait_for()
    wait_until_it_fits(page)
    drawer.get_by_role("button", name="Replay").click()
    dialog = page.get_by_role("dialog", name="Replay dead letters")
    dialog.get_by_role("button", name="Replay 1 dead letter").click()
    expect(dialog).to_be_hidden()
    # What was open is there again behind the answer, and takes the key once it is.
    expect(drawer).to_be_visible()
    idle(page)
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    page.get_by_role("link", name="Follow replay job 1").click()
    page.get_by_test_id("stMain").get_by_test_id("stDataFrame").first.wait_for()
    idle(page)
    wait_until_it_fits(page)


def test_each_cancel_button_ends_its_own_job(page: Page, app: StartApp) -> None:
    running = app()
    add_letters(running.database_file, 2)
    replay(running.database_file, (1,), "first")
    replay(running.database_file, (2,), "second")
    open_page(page, running, "Jobs")
    page.locator(".st-key-jobs_cancel_2 button").click()
    wait_for("the end of job 2", lambda: statuses(running) == {1: "replaying", 2: "open"})
    expect(page.locator(".st-key-jobs_cancel_2")).to_have_count(0)
    expect(page.locator(".st-key-jobs_cancel_1 button")).to_be_enabled()
