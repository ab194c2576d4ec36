"""An engineer on call looks for what is new among a million dead letters of 200 causes, and reads what failed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles

import pytest
from playwright.sync_api import Page, expect

from bench.letters import DAY_MS, LetterLoad
from bench.many_letters import fill_with_many
from pipeline.buffer import Reader
from pipeline.clock import wall_clock_ms
from tests.browser.conftest import StartApp, idle
from tests.browser.test_dead_letters_page import GROUPS, choose_group, open_letters, read_row, table

pytestmark = pytest.mark.browser
COLLECTED, TIMES = 12_500, 80
QUERIES = ("status:discarded", "failed:<1d -status:open", "class:ConflictException price>50", "dialect:kafka-connect")
SERVER_MS = 250
"""What the app's process takes for an action of the page, at most, of 19 in 20."""


class Server:
    """How much processor time the app took for each action."""

    def __init__(self, page: Page, pid: int) -> None:
        self._page = page
        self._stat = Path(f"/proc/{pid}/stat")
        self.took_ms: list[float] = []

    def time(self, action: Callable[[], object]) -> None:
        """Acts, and waits until all is drawn."""
        before = self._cpu_ms()
        action()
        idle(self._page)
        self.took_ms.append(self._cpu_ms() - before)

    def _cpu_ms(self) -> float:
        fields = self._stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") * 1000


def next_letter(page: Page) -> None:
    before = page.url
    page.keyboard.press("j")
    page.wait_for_url(lambda url: url != before)


def test_the_cause_that_began_today_is_found_and_a_payload_of_it_read(page: Page, app: StartApp) -> None:
    # Refreshes would count for the actions.
    running = app(refresh_ms="60000")
    load = LetterLoad(COLLECTED, until_ms=wall_clock_ms())
    fill_with_many(running.database_file, load, TIMES)
    with Reader(running.database_file) as reader:
        assert reader.totals().dead_letters == COLLECTED * TIMES == 1_000_000
        groups = reader.groups(wall_clock_ms()).dicts()
    todays = [each for each in groups if each["first_seen_ms"] > load.until_ms - DAY_MS]
    assert (len(groups) >= load.causes, len(todays)) == (True, 1)
    # The first visitor waits for what a server does once.
    open_letters(page, running, "")
    server = Server(page, running.pid)
    server.time(lambda: open_letters(page, running, ""))
    expect(table(page)).to_contain_text("Open")

    # The list of groups begins with what is new.
    expect(page.locator(GROUPS).last).to_contain_text("New · ")
    server.time(lambda: (choose_group(page, 0), page.wait_for_url(re.compile("q=group"))))
    assert todays[0]["fingerprint"] in page.url
    expect(page.get_by_text(f"1–50 of {todays[0]['total']:,}")).to_be_visible()
    server.time(lambda: read_row(page, 0))
    opened = re.search(r"id=(\d+)", page.url)
    assert opened is not None
    with Reader(running.database_file) as reader:
        detail = reader.dead_letter(int(opened[1]))
    assert detail is not None
    assert detail.row.fingerprint == todays[0]["fingerprint"]
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_text(re.compile("^Avro, orderpulse.Order"))).to_be_visible()
    payload = drawer.locator("code").filter(has_text="order_id")
    expect(payload).to_contain_text(f'"order_id": "{detail.row.order_id}"')
    expect(payload).to_contain_text(f'"customer_id": "{detail.customer_id}"')

    # The next ones, and on to others.
    for _ in range(4):
        server.time(lambda: next_letter(page))
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    for query in QUERIES:
        server.time(lambda query=query: open_letters(page, running, f"?q={query}"))
    server.time(lambda: open_letters(page, running, "?page=3"))
    assert quantiles(server.took_ms, n=20)[-1] <= SERVER_MS, server.took_ms
