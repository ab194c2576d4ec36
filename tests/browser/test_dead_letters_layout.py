"""Where things stand on the Dead letters page, its keys, and its address, in the windows that people have."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from scripts.waiting import wait_for
from tests.browser.conftest import App, StartApp, idle, wait_until_it_fits
from tests.browser.test_dead_letters_page import (
    GROUPS,
    NARROW_ROW_PIXELS,
    ROW_PIXELS,
    choose_group,
    open_letters,
    read_row,
    statuses,
    table,
)
from tests.support.letters import add_letters

pytestmark = pytest.mark.browser
WIDE, NARROW = (1366, 768), (390, 844)
WRAPPER = "Listener method 'void shop.Listener.on(Event)' threw exception; "
LONG = WRAPPER + "the stock of <b>Travel mug</b> is missing " * 20
REASONS = (LONG, "<script>document.title = 'pwned'</script> is no price", "region is missing", "price must be positive")


@pytest.fixture
def filled(app: StartApp) -> App:
    """An app with more groups and dead letters than a window shows."""
    running = app()
    for reason in (*REASONS, *(f"handler {name} failed" for name in "abcdefgh")):
        add_letters(running.database_file, 5, reason)
    return running


def set_window(page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})


def query_box(page: Page) -> Locator:
    return page.get_by_label("Query", exact=True)


def is_in_window(page: Page, what: Locator) -> bool:
    box, window = what.bounding_box(), page.viewport_size
    assert window is not None
    return (
        box is not None
        and box["x"] >= 0
        and box["y"] >= 0
        and box["x"] + box["width"] <= window["width"]
        and box["y"] + box["height"] <= window["height"]
    )


def scrolls_sideways(shown: Locator) -> bool:
    return bool(shown.locator(".dvn-scroller").evaluate("each => each.scrollWidth > each.clientWidth"))


def action_buttons(page: Page) -> list[Locator]:
    keys = ("replay_selected", "replay_all", "to_discarded", "to_open", "to_recovered")
    # One that tells why it is disabled is there twice, for a mouse and for a thumb.
    return [page.locator(f".st-key-letters_{key} button:visible") for key in keys]


def test_query_groups_and_ten_letters_with_their_actions_stand_above_the_fold(page: Page, filled: App) -> None:
    set_window(page, WIDE)
    open_letters(page, filled, "")
    groups = page.locator(GROUPS)
    seen = [query_box(page), groups, table(page), *action_buttons(page)]
    wait_for("all above the fold", lambda: all(is_in_window(page, each) for each in seen))
    assert page.get_by_test_id("stSidebar").bounding_box()["width"] > 200  # type: ignore[index]
    wait_until_it_fits(page)
    letters, beside = table(page).bounding_box(), groups.bounding_box()
    assert letters is not None
    assert beside is not None
    assert letters["height"] >= ROW_PIXELS * 11
    assert beside["x"] + beside["width"] < letters["x"]
    # The reason has all the width that is left, so nothing has to be pushed aside or widened.
    assert not scrolls_sideways(table(page))
    # What a row says stands in the same place once rows are selected.
    choose_group(page, 2)
    expect(page.get_by_text("1–5 of 5")).to_be_visible()
    # Its table is another one, which the browser has not drawn at once.
    wait_for("the rows in their place", lambda: (table(page).bounding_box() or {}).get("y") == letters["y"])


def test_a_narrow_window_has_all_of_it_in_reach_and_nothing_aside(page: Page, filled: App) -> None:
    set_window(page, NARROW)
    open_letters(page, filled, "")
    # The browser tells that it is narrow, and the page is drawn for that.
    expect(page.get_by_role("button", name="Groups")).to_be_visible()
    idle(page)
    wait_until_it_fits(page)
    assert not scrolls_sideways(table(page))
    window_height = NARROW[1]
    seen = (query_box(page), *action_buttons(page))
    wait_for("all in the window", lambda: all(is_in_window(page, each) for each in seen))
    # Actions are where a thumb is.
    assert all(each.bounding_box()["y"] > window_height * 0.7 for each in action_buttons(page))  # type: ignore[index]
    assert table(page).bounding_box()["y"] < window_height / 2  # type: ignore[index]
    page.get_by_role("button", name="Groups").click()
    expect(page.locator(GROUPS)).to_be_visible()
    choose_group(page, 2)
    expect(page.locator(GROUPS)).to_be_hidden()
    expect(page).to_have_url(re.compile(r"q=group"))
    idle(page)
    drawer = read_row(page, 0, x=200, row_pixels=NARROW_ROW_PIXELS)
    wait_for("a drawer over the window", lambda: (drawer.bounding_box() or {}).get("width", 0) > NARROW[0] * 0.9)
    wait_until_it_fits(page)
    assert page.title() != "pwned"


def test_there_is_a_way_through_the_page_by_keys(page: Page, filled: App) -> None:
    open_letters(page, filled, "")
    page.keyboard.press("/")
    expect(query_box(page)).to_be_focused()
    # Keys that are typed into the query are letters of it.
    page.keyboard.type("region djkop?/")
    expect(query_box(page)).to_have_value("region djkop?/")
    expect(page.get_by_role("dialog")).to_have_count(0)
    query_box(page).fill("region")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1–5 of 5")).to_be_visible()
    page.keyboard.press("Escape")
    expect(query_box(page)).not_to_be_focused()
    idle(page)
    page.keyboard.press("j")
    card = page.locator(".st-key-letter_detail")
    expect(card.get_by_text("Dead letter 15", exact=True)).to_be_visible()
    page.keyboard.press("j")
    expect(card.get_by_text("Dead letter 14", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"id=14"))
    page.keyboard.press("k")
    expect(card.get_by_text("Dead letter 15", exact=True)).to_be_visible()
    idle(page)
    page.keyboard.press("d")
    question = page.get_by_role("dialog", name="Discard dead letters")
    expect(question.get_by_role("button", name="Discard 1 dead letter")).to_be_visible()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    # The question was about what is open, which is there again.
    expect(card).to_be_visible()
    idle(page)
    page.keyboard.press("p")
    expect(page.get_by_role("dialog", name="Replay dead letters")).to_be_visible()
    page.keyboard.press("Escape")
    expect(card).to_be_visible()
    idle(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    idle(page)
    page.keyboard.press("?")
    expect(page.get_by_test_id("stPopoverBody").get_by_text("read the next dead letter, or the first")).to_be_visible()
    assert set(statuses(filled).values()) == {"open"}


def test_a_row_can_be_opened_again_and_the_table_s_own_keys_go_on_from_it(page: Page, filled: App) -> None:
    open_letters(page, filled, "")
    read_and_close(page, 1, 59)
    # The table has the keyboard again, and takes no row for clicked by that.
    # Its canvas, or the cell inside of it that screen readers are told of.
    expect(table(page).locator("[data-testid=data-grid-canvas]:focus-within")).to_have_count(1)
    page.keyboard.press("Shift+Space")
    expect(page.get_by_role("button", name="Replay selected (1)")).to_be_enabled()
    idle(page)
    page.keyboard.press("ArrowDown")
    card = page.locator(".st-key-letter_detail")
    expect(card.get_by_text("Dead letter 58", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)
    idle(page)
    for _ in range(2):
        read_and_close(page, 1, 59)
    expect(page.get_by_role("button", name="Replay selected (1)")).to_be_enabled()


def read_and_close(page: Page, row: int, identifier: int) -> None:
    read_row(page, row)
    card = page.locator(".st-key-letter_detail")
    expect(card.get_by_text(f"Dead letter {identifier}", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)
    idle(page)


def test_a_link_shows_another_person_the_same_and_back_is_the_way_back(
    page: Page, browser: Browser, filled: App
) -> None:
    open_letters(page, filled, "?q=status:open&rows=50")
    page.get_by_role("button", name="Next page").click()
    expect(page).to_have_url(re.compile(r"page=2"))
    idle(page)
    read_row(page, 1)
    expect(page).to_have_url(re.compile(r"id=9(?!\d)"))
    other = browser.new_context(viewport={"width": 1440, "height": 900}, timezone_id="UTC").new_page()
    other.goto(page.url)
    expect(other.locator(".st-key-letter_detail").get_by_text("Dead letter 9", exact=True)).to_be_visible()
    expect(other.get_by_text("51–60 of 60")).to_be_visible()
    expect(query_box(other)).to_have_value("status:open")
    other.context.close()
    page.go_back()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"page=2$"))
    idle(page)
    page.go_back()
    expect(page.get_by_text("1–50 of 60")).to_be_visible()
    idle(page)
    page.go_forward()
    expect(page.get_by_text("51–60 of 60")).to_be_visible()
    idle(page)
    page.go_forward()
    expect(page.locator(".st-key-letter_detail").get_by_text("Dead letter 9", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"page=2&id=9"))
