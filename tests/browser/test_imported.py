"""The app on a folder of imported dead letters: all can be read, and nothing leaves it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PROJECT, StartApp, open_page
from tests.browser.test_dead_letters_page import job_count, read_row
from tests.support.letters import NOW_MS

pytestmark = pytest.mark.browser


def import_records(folder: Path, *payloads: str) -> None:
    """As whoever was given a file of kcat's does it."""
    line = {"topic": "orders-dlq", "partition": 0, "ts": NOW_MS, "key": "C-1", "headers": []}
    lines = [json.dumps(line | {"offset": offset, "payload": payload}) for offset, payload in enumerate(payloads)]
    (folder / "theirs.jsonl").write_text("\n".join(lines))
    command = [sys.executable, "-m", "pipeline", "import", str(folder / "theirs.jsonl")]
    subprocess.run(command, cwd=PROJECT, env=os.environ | {"ORDERPULSE_DATA_DIR": str(folder)}, check=True)


def test_what_was_imported_is_marked_and_read_and_never_sent(page: Page, app: StartApp) -> None:
    running = app()
    import_records(running.database_file.parent, '{"note": "shipped twice"}', '{"note": "paid twice"}')
    open_page(page, running, "Dead letters")
    # In the sidebar, with the groups and with the table.
    expect(page.locator(".stMarkdownBadge", has_text="Imported")).to_have_count(3)
    expect(page.get_by_text("no pipeline runs on this data folder")).to_be_visible()
    expect(page.get_by_role("button", name="Produce orders")).to_be_disabled()

    page.get_by_role("button", name="Replay all that match").click()
    dialog = page.get_by_role("dialog", name="Replay dead letters")
    expect(dialog.get_by_text("2 as imported ones are sent nowhere")).to_be_visible()
    expect(dialog.locator(".st-key-replay_confirm button")).to_be_disabled()
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()

    drawer = read_row(page, 0)
    expect(drawer.get_by_text("It was imported from theirs.jsonl, and is sent nowhere.")).to_be_visible()
    expect(drawer.get_by_text("paid twice").first).to_be_visible()
    drawer.get_by_role("button", name="Replay").click()
    expect(dialog.get_by_text("1 as imported ones are sent nowhere")).to_be_visible()
    expect(dialog.locator(".st-key-replay_confirm button")).to_be_disabled()
    assert job_count(running) == 0
