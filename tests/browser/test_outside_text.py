"""Every page and dialog with text in every field that would be formatted, linked or fetched if anybody took it for
Markdown or HTML: it is shown as it stands, and nobody is asked for anything."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pipeline.clock import wall_clock_ms
from pipeline.running.statusboard import StatusWriter
from scripts.waiting import wait_for
from tests.browser.conftest import StartApp, idle, open_page
from tests.browser.test_dead_letters_page import read_row
from tests.support.letters import add_letters
from tests.support.sample_buffer import fill

pytestmark = pytest.mark.browser
FIRST_WORD = "**boldmark**"
LAST_WORD = "#lastmark"
# Keys that rows are found by and words that the program looks up; JSON is filled in as JSON.
LEFT_ALONE = {
    *("fingerprint", "status_before", "headers", "pieces", "params", "role", "request_id", "send_window", "dialect"),
}


@pytest.fixture
def elsewhere() -> Iterator[tuple[int, list[str]]]:
    """The port of a server that nobody should ask, and the paths that somebody asked it for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the console."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, asked
    server.shutdown()
    server.server_close()


def outside_text(port: int) -> str:
    there = f"http://127.0.0.1:{port}"
    return (
        f"{FIRST_WORD} _emmark_ ![picture]({there}/a.png) [linkmark]({there}/b) {there}/c www.mark.example "
        f'mail@mark.example <b>tagmark</b> <img src="{there}/d.png"> $mathmark$ :red[colormark] :material/home: '
        f":smile: `codemark` -> &lt; {LAST_WORD}"
    )


def put_into_every_field(database_file: Path, text: str) -> set[str]:
    """Every text column of every table that takes it; returns their names."""
    filled = set()
    with closing(sqlite3.connect(database_file, isolation_level=None)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
                if kind != "TEXT" or column in LEFT_ALONE:
                    continue
                try:
                    # Some columns hold no text twice.
                    connection.execute(f"UPDATE {table} SET {column} = ? || ' ' || hex(randomblob(4))", (text,))
                    filled.add(f"{table}.{column}")
                except sqlite3.IntegrityError:
                    continue  # one of a list of words
    return filled


FOUND_IN_PAGE = """
([port, first, last]) => {
    const address = each => (each.getAttribute('href') || '') + (each.getAttribute('src') || '');
    const made = [...document.querySelectorAll('[href], [src]')]
        .filter(each => /:PORT|mark\\.example|^mailto:/.test(address(each)));
    const inside = 'strong, em, b, i, del, a, h2, h3, h4, li, code, .katex, [class*=stMarkdownColored], [role=img]';
    for (const each of document.querySelectorAll(inside)) {
        const text = each.textContent;
        if (/(bold|em|link|tag|math|color|code|last)mark/.test(text) && !text.includes(first)) made.push(each);
    }
    // Charts cut the labels of their axes.
    const body = document.body.cloneNode(true);
    body.querySelectorAll('svg, script, style').forEach(each => each.remove());
    // Hexadecimal dumps break after 16 letters.
    for (const each of body.querySelectorAll('code')) if (each.textContent.startsWith('00000000')) each.remove();
    const text = body.textContent;
    const count = word => text.split(word).length - 1;
    return {
        made: made.map(each => each.outerHTML.slice(0, 300)),
        words: count('boldmark'), whole: count(first), ends: count(last),
        parts: [' ![picture](', '[linkmark](', '<b>tagmark</b>', '$mathmark$', ':red[colormark]', ':material/home:',
                ':smile:', '`codemark`', '-> &lt;'].map(part => count(part)),
    };
}
"""


def look(page: Page, port: int, least: int = 1) -> None:
    """Everything that is on the screen."""
    idle(page)
    arguments = FOUND_IN_PAGE.replace("PORT", str(port)), [port, FIRST_WORD, LAST_WORD]
    # Tables write their cells for screen readers a moment after their frame is there.
    wait_for("the text", lambda: page.evaluate(*arguments)["words"] >= least)
    found = page.evaluate(*arguments)
    assert found["made"] == []
    assert found["words"] == found["whole"]
    # Each stands there to its end, whatever is between.
    assert {found["ends"], *found["parts"]} == {found["whole"]}, found


def test_nothing_of_it_is_formatted_linked_or_fetched(
    page: Page, app: StartApp, elsewhere: tuple[int, list[str]]
) -> None:
    port, asked_elsewhere = elsewhere
    text = outside_text(port)
    running = app(group_id=text, orders_topic="orders", refresh_ms="0")
    fill(running.database_file, now_ms=wall_clock_ms())
    add_letters(
        running.database_file,
        2,
        value=text.encode(),
        key=text.encode(),
        headers=((text, text.encode()), ("__dlq.errors.topic", text.encode())),
    )
    filled = put_into_every_field(running.database_file, text)
    assert {
        "dead_letter_rows.reason",
        "order_rows.order_id",
        "events.message",
        "alerts.message",
        "jobs.error",
    } <= filled
    say(running.database_file.parent, text)
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))

    for title in ("Overview", "Orders", "Jobs", "Pipeline", "Alerts"):
        open_page(page, running, title)
        look(page, port, least=0 if title == "Overview" else 1)

    open_page(page, running, "Dead letters")
    look(page, port)
    page.get_by_role("button", name="Narrow").click()
    page.get_by_label("Group").first.click()
    look(page, port, least=2)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    drawer = read_row(page, 0)
    drawer.get_by_text("Stack trace").click()
    look(page, port, least=8)
    drawer.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("dialog", name="Replay dead letters").get_by_role("button", name="Cancel")).to_be_visible()
    look(page, port, least=8)

    assert asked_elsewhere == []
    assert [url for url in asked if not url.startswith((running.url, "data:", "blob:"))] == []


def say(folder: Path, text: str) -> None:
    """What roles tell of themselves."""
    figures = {"rules_error": text, "rules_version": text, "job": text, "lag": 1, "rate_per_s": 1.0}
    partitions = {text: {"next_offset": 1, "lag": 1}}
    for role, state in (("processor", "failing"), ("collector", "waiting"), ("worker", "running")):
        writer = StatusWriter(folder, role, 0, wall_clock_ms)
        writer.report(state, text, figures | {"partitions": partitions})  # type: ignore[arg-type]
        writer.close()
