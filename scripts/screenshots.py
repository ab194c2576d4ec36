"""Makes the README's screenshots from the running app with its real pipeline, in Debian's chromium."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from pipeline.settings import PROJECT_DIR, variable_of

ARGUMENTS = ["--no-sandbox", "--disable-gpu"]
SIZE: ViewportSize = {"width": 1440, "height": 1000}
DEADLINE_MS = 90_000


def main() -> int:
    """Starts the app in a folder of its own, produces orders, and takes the pictures."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="orderpulse-pictures-") as folder:
        ours = {"data_dir": folder, "bootstrap_servers": "", "handler": ""}
        environment = os.environ | {variable_of(name): value for name, value in ours.items()}
        command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port)]
        with subprocess.Popen(command, cwd=PROJECT_DIR, env=environment, stdout=subprocess.DEVNULL) as app:
            try:
                _take(f"http://127.0.0.1:{port}", environment)
            finally:
                app.terminate()
    return 0


def _take(url: str, environment: dict[str, str]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.set_default_timeout(DEADLINE_MS)
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
        browser.close()


def _picture(page: Page, name: str) -> None:
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=Path(PROJECT_DIR) / "docs" / name)


if __name__ == "__main__":
    sys.exit(main())
