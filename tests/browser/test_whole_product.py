"""The product as a new user meets it: the real app with its real pipeline, in a real browser."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from pipeline.buffer import Reader, open_buffer
from pipeline.clock import wall_clock_ms
from pipeline.errors import BufferUnavailableError
from pipeline.jobs.requests import request_produce
from pipeline.orders.sample_requests import ProduceRequest
from pipeline.running.folder_owner import is_running
from pipeline.running.statusboard import read_roles
from pipeline.settings import PROJECT_DIR, load_settings
from scripts.waiting import wait_for
from tests.browser.conftest import App, StartApp, idle, open_page, wait_until_it_fits
from tests.support.navigation import PAGES
from tests.support.running_pipeline import alive

pytestmark = pytest.mark.browser


def metric(page: Page, label: str) -> str:
    found = page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue")
    return found.first.inner_text() if found.count() else ""


def figures(page: Page) -> tuple[str, ...]:
    return tuple(metric(page, label) for label in ("Successful", "Dead-lettered", "Revenue"))


NO_FAULTS = {"Invalid, %": "0", "Transient, %": "0", "Malformed, %": "0"}


def produce(page: Page, **fields: str) -> None:
    """Fills in the sidebar's form by its labels, without faults unless some are asked for, and presses the button."""
    page.get_by_text("Faults and seed").click()
    for label, value in (NO_FAULTS | fields).items():
        field = page.get_by_test_id("stSidebar").get_by_label(label, exact=True)
        field.fill(value)
        field.press("Tab")
    page.get_by_role("button", name="Produce orders").click()


def totals(app: App) -> tuple[int, int]:
    try:
        with Reader(app.database_file) as reader:
            found = reader.totals()
    except BufferUnavailableError:
        return 0, 0  # not made yet
    return found.orders, found.dead_letters


def letters_by_status(app: App) -> dict[str, int]:
    with Reader(app.database_file) as reader:
        return reader.status_counts()


@pytest.mark.alone
def test_a_new_user_sees_figures_within_five_seconds_of_pressing_the_button(page: Page, app: StartApp) -> None:
    running = app(autostart="1", refresh_ms="1000")
    opened = time.monotonic()
    page.goto(running.url)
    button = page.get_by_role("button", name="Produce orders")
    expect(button).to_be_enabled(timeout=20_000)
    assert time.monotonic() - opened < 20
    # At once, when the pipeline has hardly begun to start.
    button.click()
    successful = page.get_by_test_id("stMetric").filter(has_text="Successful").get_by_test_id("stMetricValue")
    expect(successful).to_have_text(re.compile("[1-9]"), timeout=5000)
    before = figures(page)
    wait_for("moving figures", lambda: figures(page) != before)


def test_nothing_of_a_job_is_in_the_browser_alone(page: Page, app: StartApp) -> None:
    running = app(autostart="1", refresh_ms="1000")
    page.goto(running.url)
    produce(page, **{"Orders": "300", "Per second": "60"})
    expect(page.get_by_test_id("stMetric").filter(has_text="Successful")).to_be_visible(timeout=20_000)
    page.reload()
    expect(page.get_by_text(re.compile(r"of 300 sent"))).to_be_visible()
    wait_for("all orders", lambda: totals(running) == (300, 0))
    wait_for("the figure", lambda: metric(page, "Successful") == "300")


def test_a_loosened_rule_and_a_replay_turn_dead_letters_into_recovered_ones(
    page: Page, app: StartApp, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    shipped = (PROJECT_DIR / "rules.toml").read_text()
    rules.write_text(re.sub(r"(?m)^price_max = .*$", 'price_max = "20.00"', shipped))
    running = app(autostart="1", rules_file=str(rules))
    page.goto(running.url)
    produce(page, **{"Orders": "60", "Per second": "0"})
    wait_for("60 settled orders", lambda: sum(totals(running)) == 60)
    accepted, refused = totals(running)
    assert refused > 10

    open_page(page, running, "Dead letters")
    expect(page.get_by_text(f"Open {refused}")).to_be_visible()
    rules.write_text(shipped)
    page.get_by_role("button", name="Replay all that match").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(re.compile(f"{refused} go back"))).to_be_visible()
    dialog.get_by_role("button", name=f"Replay {refused} dead letters").click()
    expect(page.get_by_text(f"Recovered {refused}")).to_be_visible()
    expect(page.get_by_text("Open 0")).to_be_visible()
    assert letters_by_status(running) == {"recovered": refused}
    assert totals(running) == (60, refused)


def test_the_reference_scenario_shows_order_15_with_its_reason(page: Page, app: StartApp) -> None:
    running = app(autostart="1", retry_preset="fixed")
    page.goto(running.url)
    expect(page.get_by_role("button", name="Produce orders")).to_be_enabled()
    wait_for("the pipeline", lambda: is_running(running.database_file.parent) and running.database_file.exists())
    _queue_reference(running)
    wait_for("19 orders", lambda: totals(running)[0] == 19)
    wait_for("19 on the page", lambda: metric(page, "Successful") == "19")
    assert totals(running) == (19, 0)
    wait_for("the dead letter", lambda: totals(running) == (19, 1))
    wait_for("the dead letter on the page", lambda: metric(page, "Dead-lettered") == "1")

    open_page(page, running, "Dead letters")
    page.goto(f"{running.url}/dead_letters?fields=order_id&fields=product")
    table = page.locator("[class*='st-key-letters_table_'] [data-testid=stDataFrame]")
    expect(table).to_contain_text("ORD-1-000015")
    expect(table).to_contain_text("Simulated permanent failure - invalid order data")
    with Reader(running.database_file) as reader:
        detail = reader.dead_letter(1)
    assert detail is not None
    assert detail.row.product is not None
    expect(table).to_contain_text(detail.row.product)


def test_cancelling_from_the_sidebar_ends_the_job(page: Page, app: StartApp) -> None:
    running = app(autostart="1")
    page.goto(running.url)
    produce(page, **{"Orders": "100000", "Per second": "20"})
    page.get_by_test_id("stSidebar").get_by_role("button", name="Cancel").click()

    def cancelled() -> bool:
        with Reader(running.database_file) as reader:
            job = reader.job(1)
        return job is not None and job.state == "cancelled"

    wait_for("the end of the job", cancelled)
    expect(page.get_by_test_id("stSidebar").get_by_role("button", name="Cancel")).to_be_hidden()


def test_every_page_fits_in_both_themes_and_on_a_phone(page: Page, app: StartApp) -> None:
    running = app(autostart="1")
    page.goto(running.url)
    produce(page, **{"Orders": "400", "Per second": "0", "Invalid, %": "10", "Transient, %": "10"})
    wait_for("400 settled orders", lambda: sum(totals(running)) == 400)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for each in PAGES:
            page.goto(f"{running.url}/{each.address}")
            for width in (1440, 390):
                page.set_viewport_size({"width": width, "height": 900})
                expect(page.get_by_role("heading", name=each.title, level=1)).to_be_visible()
                idle(page)
                assert page.get_by_test_id("stException").count() == 0, each.title
                wait_until_it_fits(page, f"{each.title} at {width} px in {scheme}")
            page.set_viewport_size({"width": 1440, "height": 900})


def test_charts_and_tables_are_downloaded_whole_and_readable(page: Page, app: StartApp) -> None:
    running = app(autostart="1")
    page.goto(running.url)
    produce(page, **{"Orders": "250", "Per second": "0"})
    wait_for("250 orders", lambda: totals(running) == (250, 0))
    expect(page.get_by_test_id("stMetric").filter(has_text="Successful")).to_be_visible()
    assert chart_file(page, "PNG").startswith(b"\x89PNG")
    assert b"<svg" in chart_file(page, "SVG")
    page_of_its_own = chart_file(page, "HTML").decode()
    assert "<html" in page_of_its_own
    assert not re.search(r'src="https?:', page_of_its_own)

    open_page(page, running, "Orders")
    rows = list(csv.DictReader(io.StringIO(table_file(page, "CSV").decode())))
    assert len({row["order_id"] for row in rows}) == 250
    lines = table_file(page, "JSON Lines").decode().splitlines()
    assert {json.loads(line)["order_id"] for line in lines} == {row["order_id"] for row in rows}
    table = pq.read_table(io.BytesIO(table_file(page, "Parquet")))
    assert sum(table["price_cents"].to_pylist()) == sum(int(row["price_cents"]) for row in rows)


def chart_file(page: Page, kind: str) -> bytes:
    """Opens the first chart's menu and takes what its button gives."""
    open_menu(page, "Download", f'button:has-text("{kind}")')
    return saved(page, kind)


def table_file(page: Page, format_: str) -> bytes:
    """Opens the first table's menu, chooses a format and takes the file."""
    open_menu(page, "Export", f'text="{format_}"')
    page.get_by_test_id("stPopoverBody").get_by_text(format_, exact=True).click()
    return saved(page, f"Save {format_}", "link")


def open_menu(page: Page, button: str, content: str) -> None:
    """Presses a popover's button until it is open and shows this.

    Streamlit closes a popover again that was opened before the page's answer to its last closing had come.
    """
    menu = page.get_by_test_id("stPopoverBody")

    def is_open() -> bool:
        if menu.count() == 0:
            page.get_by_role("button", name=button).first.click()
        return menu.locator(content).count() > 0

    wait_for(f"{content} in {button}", is_open)


def saved(page: Page, name: str, role: Literal["button", "link"] = "button") -> bytes:
    with page.expect_download() as found:
        page.get_by_test_id("stPopoverBody").get_by_role(role, name=name).click()
    content = Path(found.value.path()).read_bytes()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("stPopoverBody")).to_be_hidden()
    return content


def test_the_pipeline_starts_while_the_first_browser_is_on_its_way(app: StartApp) -> None:
    folder = app(autostart="1").database_file.parent
    wait_for("every role", lambda: len([role for role in read_roles(folder) if role.state == "running"]) >= 5)


def test_no_process_stays_when_the_app_is_killed(page: Page, app: StartApp) -> None:
    running = app(autostart="1")
    page.goto(running.url)
    folder = running.database_file.parent
    wait_for("every role", lambda: len([role for role in read_roles(folder) if role.state == "running"]) >= 5)
    pids = [role.pid for role in read_roles(folder)]
    os.kill(running.pid, signal.SIGKILL)
    wait_for("the end of every process", lambda: not any(alive(pid) for pid in pids))
    assert not is_running(folder)


def _queue_reference(app: App) -> None:
    settings = load_settings(data_dir=app.database_file.parent)
    with open_buffer(app.database_file) as buffer:
        request_produce(settings, buffer, wall_clock_ms, ProduceRequest(20, scenario="reference"), "test")
