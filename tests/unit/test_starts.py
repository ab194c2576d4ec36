"""How people name a place to begin at."""

from __future__ import annotations

import pytest

from pipeline.errors import UsageError
from pipeline.starts import LAST_MS, start_of


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("earliest", "earliest"),
        (" latest ", "latest"),
        ("1700000000000", "1700000000000"),
        ("007", "7"),
        ("2026-03-01T12:00:00Z", "1772366400000"),
        ("2026-03-01T13:00:00+01:00", "1772366400000"),
        ("2026-03-01 12:00", "1772366400000"),
        ("2026-03-01", "1772323200000"),
        # Kafka means its ends by times below 0.
        ("1969-12-31T23:59:59.999Z", "0"),
        ("0001-01-01", "0"),
        ("0001-01-01T00:00+23:59", "0"),
        (str(LAST_MS), str(LAST_MS)),
    ],
)
def test_a_place_is_a_name_or_a_time(text, start):
    assert start_of(text) == start


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "Earliest",
        "-1",
        "1.5",
        "²",
        "9" * 15,
        "9" * 5000,
        str(LAST_MS + 1),
        "12:00",
    ],
)
def test_what_is_none_is_refused(text):
    with pytest.raises(UsageError, match="nor a time such as"):
        start_of(text)
