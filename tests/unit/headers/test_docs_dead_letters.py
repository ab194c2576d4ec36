"""docs/dead-letters.md says of headers and dialects what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.headers import DIALECTS, NO_DIALECT, failure_headers, own, replay_headers
from pipeline.headers.dialect import Dialect
from pipeline.records import Position
from tests.support.dialect_samples import SAMPLES

DOCUMENT = Path("docs/dead-letters.md").read_text(encoding="utf-8")
WRITTEN = failure_headers(
    Position("orders", 2, 417),
    stage="VALUE_CONVERTER",
    class_name="pipeline.orders.rules",
    exception_class="RuleBrokenError",
    message="m",
    stacktrace="s",
    timestamp_ms=3,
    attempts=1,
    first_failed_at_ms=1,
    failed_at_ms=2,
    rule="",
    dead_letter_id="d",
)
NOTHING = "–"
STANDS = {"appended": "after", "prepended": "before", "unordered": "in any order"}
FIELDS = {
    "failed at": "failed_at_ms",
    "class": "error_class",
    "message": "message",
    "stack": "stacktrace",
    "attempts": "attempts",
    "group": "consumer_group",
}


def section(heading: str) -> str:
    return DOCUMENT.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def first_column(heading: str) -> list[str]:
    """What the tables of a section list, in their order."""
    return re.findall(r"^\| `([^`]+)` \|", section(heading), re.MULTILINE)


def rows_of_dialects() -> dict[str, dict[str, str]]:
    """The cells of each row of the table of dialects, by column."""
    lines = [line.strip("| ").split(" | ") for line in section("What we read").splitlines() if line.startswith("| ")]
    return {name.strip("`"): dict(zip(lines[0][1:], cells, strict=True)) for name, *cells in lines[1:]}


def test_the_headers_that_we_write_are_listed_in_their_order() -> None:
    replay = replay_headers((), "r", "d")
    assert first_column("What we write") == [name for name, _ in (*WRITTEN, *replay)]


def test_the_dialects_that_we_read_are_listed_in_their_order() -> None:
    assert first_column("What we read") == [*(dialect.name for dialect in DIALECTS), NO_DIALECT]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_row_says_what_a_dialect_tells(dialect: Dialect) -> None:
    row, failure = rows_of_dialects()[dialect.name], SAMPLES[dialect.name].failure
    assert row["its headers stand"] == STANDS[dialect.header_order]
    silent = {column for column, field in FIELDS.items() if getattr(failure, field) is None}
    assert {column for column in FIELDS if row[column] == NOTHING} == silent
    assert (row["position"] == NOTHING) == (failure.source_topic is None and failure.source_partition is None)
    assert (row["position"] == "binary") == bool(dialect.binary_numbers)
    assert (row["source time"] == "kept timestamp") == dialect.keeps_timestamp
    if not dialect.keeps_timestamp:
        assert (row["source time"] == NOTHING) == (failure.source_timestamp_ms is None)


def test_numbers_and_times_are_decimal_text() -> None:
    numbers = set(re.findall(r"^\| `([^`]+)` \| (?:number|time) \|", section("What we write"), re.MULTILINE))
    assert numbers == {name for name, value in WRITTEN if value and value.isdigit()}


def test_limits_and_headers_that_are_not_replayed_are_the_code_s() -> None:
    assert f"the first {own.MESSAGE_LIMIT:,} characters" in section("What we write")
    assert f"the innermost {own.STACKTRACE_LIMIT:,} characters" in section("What we write")
    left_out = set().union(*(dialect.not_replayed for dialect in DIALECTS))
    assert left_out
    assert all(f"`{name}`" in section("What a replay sends") for name in left_out)


def test_who_tells_the_source_time_by_the_kept_timestamp_is_said() -> None:
    keeping = [name for name, row in rows_of_dialects().items() if row["source time"] == "kept timestamp"]
    assert keeping == [dialect.name for dialect in DIALECTS if dialect.keeps_timestamp]
