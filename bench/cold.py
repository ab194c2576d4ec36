"""How long it takes from the start of the app, with nothing there yet, until somebody sees the first figure."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from scripts.local.process import free_ports
from scripts.waiting import wait_for

LIMIT_MS = 60_000
LOOK_EVERY_S = 0.02
END_WITHIN_S = 15


def first_figure_s(data_dir: Path) -> float:
    """Seconds from starting the app as `make run` does until the first figure; the button is pressed when it shows."""
    [port] = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.set_default_timeout(LIMIT_MS)
        began = time.monotonic()
        app = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port)],
            env=os.environ | {"ORDERPULSE_DATA_DIR": str(data_dir)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for("the app", lambda: _answers(address), LIMIT_MS / 1000, LOOK_EVERY_S)
            page.goto(address)
            page.get_by_role("button", name="Produce orders").click()
            # Until there is one, the figures are 0.
            expect(page.get_by_test_id("stMetricValue").first).to_have_text(re.compile("[1-9]"), timeout=LIMIT_MS)
            return time.monotonic() - began
        finally:
            app.terminate()
            app.wait(END_WITHIN_S)
            browser.close()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
