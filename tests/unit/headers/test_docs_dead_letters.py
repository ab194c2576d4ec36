"""docs/dead-letters.md says of headers and dialects what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.headers import DIALECTS, NO_DIALECT, failure_headers, orderpulse, replay_headers
from pipeline.records import Position

DOCUMENT = Path("docs/dead-letters.md").read_text(encoding="utf-8")
WRITTEN = failure_headers(
    Position("orders", 2, 417),
    stage="VALUE_CONVERTER",
    class_name="pipeline.orders.rules",
    exception_class="RuleBrokenError",
    message="m",
    stacktrace="s",
    attempts=1,
    first_failed_at_ms=1,
    failed_at_ms=2,
    rule="",
    dead_letter_id="d",
)


def first_column(heading: str) -> list[str]:
    """What the tables of a section list, in their order."""
    section = DOCUMENT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_the_headers_that_we_write_are_listed_in_their_order() -> None:
    replay = replay_headers((), "r", "d")
    assert first_column("What we write") == [name for name, _ in (*WRITTEN, *replay)]


def test_the_dialects_that_we_read_are_listed_in_their_order() -> None:
    assert first_column("What we read") == [*(dialect.name for dialect in DIALECTS), NO_DIALECT]


def test_numbers_and_times_are_decimal_text() -> None:
    section = DOCUMENT.split("\n## What we write\n")[1].split("\n## ")[0]
    numbers = set(re.findall(r"^\| `([^`]+)` \| (?:number|time) \|", section, re.MULTILINE))
    assert numbers == {name for name, value in WRITTEN if value and value.isdigit()}


def test_limits_and_stripped_headers_are_the_code_s() -> None:
    assert f"up to {orderpulse.MESSAGE_LIMIT:,} characters" in DOCUMENT
    assert f"up to {orderpulse.STACKTRACE_LIMIT:,} characters" in DOCUMENT
    assert all(f"`{name}`" in DOCUMENT for name in orderpulse.STRIPPED_ON_REPLAY)


def test_who_tells_the_source_time_by_the_kept_timestamp_is_said() -> None:
    keeping = re.findall(r"^\| `([^`]+)` \|.*\| kept timestamp \|", DOCUMENT, re.MULTILINE)
    assert keeping == [dialect.name for dialect in DIALECTS if dialect.keeps_timestamp]
