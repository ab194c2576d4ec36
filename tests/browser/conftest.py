"""The app as people see it: Streamlit on a free port with a data folder of its own, and Debian's chromium."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from scripts.waiting import DEADLINE_S, wait_for

PROJECT = Path(__file__).resolve().parents[2]
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@dataclass(frozen=True, slots=True)
class App:
    """A running app: where it is, where its buffer is, and its process."""

    url: str
    database_file: Path
    pid: int


StartApp = Callable[..., App]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[StartApp]:
    """Starts the app with these settings (`read_only="1"`), or another entry of it; all are ended after the test."""
    servers: list[subprocess.Popen[bytes]] = []

    def start(entry: str = "streamlit_app.py", **settings: str) -> App:
        folder = tmp_path / f"app-{len(servers)}"
        folder.mkdir()
        port = _free_port()
        variables = {f"ORDERPULSE_{name.upper()}": value for name, value in settings.items()}
        environment = {"ORDERPULSE_AUTOSTART": "0", "ORDERPULSE_REFRESH_MS": "250", **variables}
        with (folder / "streamlit.log").open("wb") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", entry, "--server.port", str(port)],
                cwd=PROJECT,
                env=os.environ | environment | {"ORDERPULSE_DATA_DIR": str(folder)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        servers.append(server)
        _wait_until_healthy(port, server)
        return App(f"http://127.0.0.1:{port}", folder / "orderpulse.db", server.pid)

    yield start
    for server in servers:
        server.terminate()
    for server in servers:
        server.wait(timeout=DEADLINE_S)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One chromium for all tests."""
    chromium = shutil.which("chromium")
    assert chromium is not None, "there is no chromium on this machine; `make test` installs it"
    expect.set_options(timeout=DEADLINE_S * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh window."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, timezone_id="UTC")
    page = context.new_page()
    page.set_default_timeout(DEADLINE_S * 1000)
    yield page
    context.close()


def idle(page: Page) -> None:
    """Waits until the app has drawn everything."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def open_page(page: Page, app: App, title: str) -> None:
    """Enters the app and goes to a page the way people do."""
    page.goto(app.url)
    idle(page)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title).click()
    page.get_by_role("heading", name=title, level=1).wait_for()
    idle(page)


def click_cell(shown: Locator, x: float, y: float) -> None:
    """Clicks into a table at pixels of its frame, as a hand does that has moved there before.

    Streamlit takes a click in a cell only where it has drawn that the mouse is over the table. A mouse that jumps there
    from outside and clicks at once is faster than that.
    """
    # A table's frame is there before the canvas that takes clicks.
    shown.get_by_test_id("data-grid-canvas").wait_for()
    shown.hover(position={"x": x, "y": y})
    shown.page.evaluate("() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    shown.click(position={"x": x, "y": y})


def wait_until_it_fits(page: Page, what: str = "the page") -> None:
    """Waits until the page is no wider than its window: tables take their new width a moment after it changed."""
    wait_for(f"{what} within its window", lambda: not _overflows(page))


def _overflows(page: Page) -> bool:
    return bool(
        page.evaluate(
            "() => { const main = document.querySelector('[data-testid=stMain]');"
            " return main.scrollWidth > main.clientWidth || document.body.scrollWidth > window.innerWidth }"
        )
    )


def _wait_until_healthy(port: int, server: subprocess.Popen[bytes]) -> None:
    def healthy() -> bool:
        assert server.poll() is None, f"streamlit ended with {server.returncode}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    wait_for("the app", healthy)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
