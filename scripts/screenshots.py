"""Makes the screenshots of the README and of docs/dead-letters.md from the running app, in Debian's chromium."""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from bench.letters import LetterLoad
from bench.many_letters import fill_with_many
from pipeline.clock import wall_clock_ms
from pipeline.settings import PROJECT_DIR, variable_of
from scripts.waiting import wait_for

ARGUMENTS = ["--no-sandbox", "--disable-gpu"]
SIZE: ViewportSize = {"width": 1440, "height": 1000}
STORY_SIZE: ViewportSize = {"width": 1366, "height": 768}
DEADLINE_MS = 90_000
COLLECTED, TIMES = 12_500, 80
"""A million dead letters."""
COLOURS = 256
ROW_PIXELS, GROUP_PIXELS = 35, 70


def main(arguments: list[str]) -> int:
    """Takes those that are named, `readme` or `story`, or all."""
    pictures: dict[str, Callable[[Browser], None]] = {"readme": _readme, "story": _story}
    expect.set_options(timeout=DEADLINE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for name in arguments or pictures:
            pictures[name](browser)
        browser.close()
    return 0


@contextmanager
def _running_app(folder: str, **settings: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The app on this data folder; yields its address and its environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ours = {"data_dir": folder, "bootstrap_servers": "", "handler": "", **settings}
    environment = os.environ | {variable_of(name): value for name, value in ours.items()}
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port)]
    with subprocess.Popen(command, cwd=PROJECT_DIR, env=environment, stdout=subprocess.DEVNULL) as app:
        try:
            wait_for("the app", lambda: _listens(port))
            yield f"http://127.0.0.1:{port}", environment
        finally:
            app.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _readme(browser: Browser) -> None:
    """The overview and the dead letters of the real pipeline, while orders come."""
    with (
        tempfile.TemporaryDirectory(prefix="orderpulse-pictures-") as folder,
        _running_app(folder) as (url, environment),
    ):
        page = _new_page(browser, SIZE, "light")
        # The app starts its pipeline with the first visitor's page.
        page.goto(url, wait_until="commit")
        expect(page.get_by_role("button", name="Produce orders")).to_be_visible(timeout=DEADLINE_MS)
        shares = ["--invalid-share", "0.04", "--transient-share", "0.08", "--malformed-share", "0.01"]
        produce = [sys.executable, "-m", "pipeline", "produce", "--count", "2400", "--rate", "60", *shares]
        subprocess.run(produce, cwd=PROJECT_DIR, env=environment, check=True)
        expect(page.get_by_test_id("stVegaLiteChart").first).to_be_visible()
        _picture(page, "overview.png")
        page.goto(f"{url}/dead_letters")
        expect(page.get_by_role("heading", name="Dead letters", level=1)).to_be_visible()
        expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
        _picture(page, "dead-letters.png")
        page.context.close()


def _story(browser: Browser) -> None:
    """How the cause that began today is found among a million dead letters, in both themes."""
    with (
        tempfile.TemporaryDirectory(prefix="orderpulse-pictures-") as folder,
        _running_app(folder, autostart="0") as (url, _),
    ):
        fill_with_many(Path(folder) / "orderpulse.db", LetterLoad(COLLECTED, until_ms=wall_clock_ms()), TIMES)
        for theme in ("light", "dark"):
            page = _new_page(browser, STORY_SIZE, theme)
            page.goto(f"{url}/dead_letters")
            groups = page.locator("[class*='st-key-letters_groups_'] [data-testid=stDataFrame]").last
            groups.get_by_test_id("data-grid-canvas").wait_for(timeout=DEADLINE_MS)
            _picture(page, f"new-cause-groups-{theme}.png")
            groups.click(position={"x": 120, "y": ROW_PIXELS + GROUP_PIXELS / 2})
            page.wait_for_url(re.compile("q=group"))
            letters = page.locator("[class*='st-key-letters_table_'] [data-testid=stDataFrame]").last
            letters.get_by_test_id("data-grid-canvas").wait_for()
            _drawn(page)
            letters.click(position={"x": 320, "y": ROW_PIXELS * 1.5})
            expect(page.get_by_role("dialog").locator("code").filter(has_text="order_id")).to_be_visible()
            _picture(page, f"new-cause-payload-{theme}.png")
            page.context.close()


def _new_page(browser: Browser, size: ViewportSize, theme: str) -> Page:
    page = browser.new_page(viewport=size, color_scheme="dark" if theme == "dark" else "light", timezone_id="UTC")
    page.set_default_timeout(DEADLINE_MS)
    return page


def _drawn(page: Page) -> None:
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.wait_for_load_state("networkidle")


def _picture(page: Page, name: str) -> None:
    """With the colours of a palette: that takes a third of the bytes."""
    _drawn(page)
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").quantize(COLOURS).save(Path(PROJECT_DIR) / "docs" / name, optimize=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
