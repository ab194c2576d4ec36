"""From a topic that nobody has described to a revenue that grows, on the page Connect."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from confluent_kafka import Producer
from playwright.sync_api import Page, expect

from pipeline.kafka import find_cluster
from pipeline.settings import load_settings
from scripts.waiting import wait_for
from tests.browser.conftest import App, StartApp, idle, open_page, wait_until_it_fits

pytestmark = pytest.mark.browser
TOPIC = "shop.orders"
PATTERN = r"orders,^shop\."
"""What a pattern takes in is not read before it has a section."""


def shop_order(number: int) -> dict[str, object]:
    """A shop's event: two of three are orders."""
    lines = [
        {"sku": f"SKU-{number % 3}", "quantity": 2, "unitPrice": 4.50},
        {"sku": "BAG", "quantity": 1, "unitPrice": 1},
    ]
    return {
        "type": "order.shipped" if number % 3 == 2 else "order.created",
        "order": {
            "id": f"o-{number}",
            "customer": {"id": f"c-{number % 5}"},
            "lines": lines,
            "total": 10,
            "currency": "EUR",
            "createdAt": "2026-01-27T10:00:00Z",
            "shipping": {"country": "DE" if number % 2 else "FR"},
        },
    }


@pytest.fixture
def mapping_file(tmp_path: Path) -> Path:
    """Somebody's file, with a comment and labels of theirs."""
    path = tmp_path / "mapping.toml"
    path.write_text('# Ours.\n[labels]\nproduct = "SKU"\n')
    return path


def start(page: Page, app: StartApp, mapping_file: Path, topics: str = PATTERN) -> App:
    """The app with its pipeline, which starts when somebody comes, and a topic that holds what it does not know."""
    running = app(autostart="1", refresh_ms="500", orders_topic=topics, mapping_file=str(mapping_file))
    page.goto(running.url)
    write_orders(running, 0, 90)
    return running


def write_orders(app: App, first: int, count: int) -> None:
    """Writes to the app's demo cluster as somebody's shop does."""
    settings = load_settings(data_dir=app.database_file.parent)
    wait_for("the demo cluster", lambda: (app.database_file.parent / "broker.json").exists())
    producer = Producer({"bootstrap.servers": find_cluster(settings).bootstrap_servers})
    for number in range(first, first + count):
        producer.produce(TOPIC, json.dumps(shop_order(number)).encode(), key=f"c-{number % 5}".encode())
    assert producer.flush(30) == 0


def choose_topic(page: Page) -> None:
    box = page.get_by_role("combobox", name="Topic")
    expect(box).to_be_enabled(timeout=30_000)
    box.fill(TOPIC)
    page.get_by_role("option").filter(has_text=TOPIC).click()
    page.get_by_text("How orders are made of its records").wait_for()


def figure(page: Page, label: str) -> str:
    return page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue").first.inner_text()


def revenue(page: Page) -> float:
    shown = page.get_by_test_id("stMetric").filter(has_text="Revenue").get_by_test_id("stMetricValue")
    digits = re.sub(r"[^0-9.]", "", shown.first.inner_text()) if shown.count() else ""
    return float(digits or 0)


def test_from_an_unknown_topic_to_a_growing_revenue(page: Page, app: StartApp, mapping_file: Path) -> None:
    running = start(page, app, mapping_file)
    open_page(page, running, "Connect")
    choose_topic(page)
    wait_for("a trial", lambda: page.get_by_text("Accepted").count() and figure(page, "Accepted") == "60")
    assert (figure(page, "Passed over"), figure(page, "Dead letters")) == ("30", "0")
    assert page.get_by_label("Price", exact=True).input_value() == "order.total"

    # What somebody writes is tried, and can be put right.
    price = page.get_by_label("Price", exact=True)
    price.fill("order.nothing")
    price.press("Enter")
    wait_for("reasons", lambda: figure(page, "Dead letters") == "60")
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    price.fill("sum(order.lines[].unitPrice * order.lines[].quantity)")
    price.press("Enter")
    wait_for("a trial", lambda: figure(page, "Accepted") == "60")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    written = mapping_file.read_text()
    assert written.startswith('# Ours.\n[labels]\nproduct = "SKU"\n')
    assert f'[topics."{TOPIC}"]' in written

    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Overview").click()
    wait_for("the revenue", lambda: revenue(page) == 600)
    write_orders(running, 90, 30)
    wait_for("a revenue that grows", lambda: revenue(page) == 800)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_telephone_and_a_desk(page: Page, app: StartApp, mapping_file: Path, scheme: str) -> None:
    running = start(page, app, mapping_file)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    open_page(page, running, "Connect")
    choose_topic(page)
    wait_for("a trial", lambda: page.get_by_text("Accepted").count() > 0)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 2600})
        idle(page)
        wait_until_it_fits(page, f"the page at {width}")
        page.screenshot(path=f"/tmp/prop/connect-{scheme}-{width}.png", full_page=True)


def test_a_topic_that_is_not_read_says_what_to_set(page: Page, app: StartApp, mapping_file: Path) -> None:
    running = start(page, app, mapping_file, "orders")
    open_page(page, running, "Connect")
    choose_topic(page)
    expect(page.get_by_text(r"set ORDERPULSE_ORDERS_TOPIC to orders,^shop\.orders$")).to_be_visible()
