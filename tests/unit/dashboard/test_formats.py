from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from dashboard.shared.formats import ago, beginning, big_money, moment, money, number, per_second, plain, share, size
from pipeline.orders.mapping.currency import DEFAULT_CURRENCY
from pipeline.records import Currency

NOON_MS = 1_767_268_800_123


def test_money_is_cents_until_it_is_shown() -> None:
    assert money(123_456, DEFAULT_CURRENCY) == "1,234.56"
    assert money(-5, DEFAULT_CURRENCY) == "-0.05"
    assert money(None, DEFAULT_CURRENCY) == "–"


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        (None, "–"),
        (99_999_999, "999,999.99"),
        (123_456_789, "1,234,568"),
        (123_456_789_012, "1,235M"),
    ],
)
def test_big_money_fits_on_a_card(cents: int | None, text: str) -> None:
    assert big_money(cents, DEFAULT_CURRENCY) == text


@pytest.mark.parametrize(
    ("currency", "minor_units", "on_a_card", "text"),
    [
        (Currency(digits=0, symbol="¥"), 1999, "¥1,999", "¥1,999"),
        (Currency(digits=0, symbol="¥"), 1_999_999.5, "¥2,000,000", "¥2,000,000"),
        (Currency(digits=3), -1999, "-1.999", "-1.999"),
        (Currency(digits=3, symbol="KD "), 1_999_999_999, "KD 2,000,000", "KD 1,999,999.999"),
        (Currency(digits=2, symbol="€"), -5, "-€0.05", "-€0.05"),
        (Currency(digits=2, symbol="€"), 9_007_199_254_740_993, "€90,071,993M", "€90,071,992,547,409.93"),
    ],
)
def test_money_has_the_symbol_and_the_digits_of_its_currency(
    currency: Currency, minor_units: float, on_a_card: str, text: str
) -> None:
    assert big_money(minor_units, currency) == on_a_card
    assert money(minor_units, currency) == text


def test_numbers_rates_and_shares() -> None:
    assert number(1_234_567) == "1,234,567"
    assert per_second(12.34) == "12.3/s"
    assert per_second(12_345.6) == "12,346/s"
    assert share(1, 8) == "12.5%"
    assert share(0, 0) == "–"


def test_moments_are_in_the_viewers_zone() -> None:
    assert moment(NOON_MS, ZoneInfo("UTC")) == "2026-01-01 12:00:00.123"
    assert moment(NOON_MS, ZoneInfo("Asia/Tokyo")) == "2026-01-01 21:00:00.123"
    assert moment(None, ZoneInfo("UTC")) == "–"


@pytest.mark.parametrize(
    ("passed_ms", "text"),
    [(-5, "0 s ago"), (59_000, "59 s ago"), (120_000, "2 min ago"), (7_200_000, "2 h ago"), (172_800_000, "2 d ago")],
)
def test_ago_takes_the_largest_unit_that_fits(passed_ms: int, text: str) -> None:
    assert ago(NOON_MS, NOON_MS + passed_ms) == text


def test_sizes() -> None:
    assert size(999) == "999 B"
    assert size(12_345) == "12.3 kB"
    assert size(5_000_000_000) == "5.0 GB"


def test_a_long_text_is_cut_and_says_how_long_it_is() -> None:
    assert beginning("tea", 3) == "tea"
    assert beginning("1234" * 300, 5) == "12341… (1,200 letters)"
    assert plain("a" * 5000).endswith("a… \\(5\\,000 letters\\)")


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("the key a1 is not there", "the key a1 is not there"),
        ("  two\nlines\t", "two lines"),
        ("1. *first* &amp;", "1\\. \\*first\\* \\&amp\\;"),
        # An address, an icon and an arrow would be made of what is left when the escapes are gone.
        ("https://x", "https:color[]\\:\\/\\/x"),
        ("www.x", "ww:color[]w\\.x"),
        ("me@x", "me:color[]\\@x"),
        (":smile:", "\\:smile:color[]\\:"),
        ("->", "\\-:color[]\\>"),
    ],
)
def test_markdown_finds_nothing_in_plain_text(text: str, markdown: str) -> None:
    assert plain(text) == markdown
