"""Amounts and times beside plain arithmetic with whole numbers and fractions, one by one and many at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.orders.mapping.value_columns import (
    Counted,
    Made,
    Scaled,
    millis_of_instants,
    millis_of_numbers,
    millis_of_texts,
    minor_units,
)
from pipeline.orders.mapping.values import Amounts, Instant, JsonNumber, Times, ValueMismatchError
from pipeline.records import Order
from tests.support.mapped import read_both_ways, reader_of, record_of, section

CODES = {0: "JPY", 2: "EUR", 3: "KWD"}
MOST = 10**12
"""Minor units of an amount are fewer."""
DAY_MS = 86_400_000
EPOCH = date(1970, 1, 1).toordinal()
FIRST_MS = (date(1, 1, 2).toordinal() - EPOCH) * DAY_MS
LAST_MS = (date(9999, 12, 30).toordinal() - EPOCH) * DAY_MS
"""A day less on either side, so that no zone leads out of the years 1 to 9999."""
PER_MS = {"s": Fraction(1, 1000), "ms": Fraction(1), "us": Fraction(1000), "ns": Fraction(1_000_000)}


def made_of(convert: Callable[[Any], int], value: Any) -> int | None:
    """What is made of it; None where it is refused."""
    try:
        return convert(value)
    except ValueMismatchError:
        return None


def agrees(made: Made | None, expected: list[int | None]) -> None:
    """What is made of many at once is right, and of what would be refused nothing is made."""
    if made is None:
        return
    numbers, fine = made
    for number, is_fine, wanted in zip(numbers.tolist(), fine.tolist(), expected, strict=True):
        assert not is_fine or number == wanted


def read_as(text: str, values: list[str]) -> list[Order | None]:
    """The orders of records whose JSON has each of these at `v`, read both ways; None where one is refused."""
    records = [record_of(f'{{"id": "o", "total": 1, "v": {value}}}'.encode()) for value in values]
    found, _ = read_both_ways(reader_of(text), records)
    return [each if isinstance(each, Order) else None for each in found]


# ---- amounts


@dataclass(frozen=True)
class Written:
    """A number, so many times a power of ten, and the ways in which records may have it."""

    count: int
    exponent: int

    @property
    def exact(self) -> Fraction:
        return self.count * Fraction(10) ** self.exponent

    @property
    def digits(self) -> str:
        """In decimal, without an exponent."""
        if self.exponent >= 0:
            return str(self.count * 10**self.exponent)
        sign, text = "-" if self.count < 0 else "", str(abs(self.count)).rjust(1 - self.exponent, "0")
        return f"{sign}{text[: self.exponent]}.{text[self.exponent :]}"

    def ways(self) -> list[Any]:
        scientific = f"{self.count}e{self.exponent}"
        sign, digits = int(self.count < 0), tuple(map(int, str(abs(self.count))))
        found = [Decimal((sign, digits, self.exponent)), self.digits, JsonNumber(self.digits)]
        found += [scientific, JsonNumber(scientific)]
        return [*found, self.count * 10**self.exponent] if self.exponent >= 0 else found


def minor_units_of(exact: Fraction, digits: int, minor: bool, inexact: bool) -> int | None:
    """Minor units by plain arithmetic; None where it is no amount."""
    units = exact if minor else exact * 10**digits
    whole = round(units)  # half to even
    return whole if (inexact or whole == units) and abs(whole) < MOST else None


EDGES = [0, 1, 5, 15, 25, 99, 10**9, 10**10, MOST - 1, MOST, MOST + 1, 5 * 10**11, 2**63 - 1, 2**63]
COUNTS = st.sampled_from([sign * each for each in EDGES for sign in (1, -1)]) | st.integers(-(10**14), 10**14)
NUMBERS = st.builds(Written, COUNTS, st.integers(-6, 4))
DIGITS = st.sampled_from(list(CODES))


@given(NUMBERS, DIGITS, st.booleans(), st.booleans())
@example(Written(MOST - 1, -2), 2, False, False)
@example(Written(MOST, -2), 2, False, False)
@example(Written(MOST * 10 - 5, -3), 2, False, True)  # rounded up, it has a digit too many
@example(Written(25, -1), 0, False, True)
@example(Written(-35, -1), 0, True, True)
def test_an_amount_is_what_fractions_say_however_it_is_written(number, digits, minor, inexact):
    expected = minor_units_of(number.exact, digits, minor, inexact)
    amounts = Amounts(digits, minor, inexact)
    for value in number.ways():
        assert made_of(amounts.minor_units, value) == expected, repr(value)


@given(st.floats(allow_nan=False, allow_infinity=False, width=64), DIGITS, st.booleans())
@example(0.125, 2, False)
@example(2.675, 2, False)
@example(1e22, 0, False)
@example(5e-324, 3, True)
def test_a_binary_number_is_its_shortest_text_rounded_half_to_even(value, digits, minor):
    beyond = value and not -64 <= Decimal(repr(value)).adjusted() <= 64
    expected = None if beyond else minor_units_of(Fraction(repr(value)), digits, minor, inexact=True)
    assert made_of(Amounts(digits, minor, inexact=True).minor_units, value) == expected
    assert made_of(Amounts(digits, minor).minor_units, value) is None


@given(st.lists(NUMBERS, min_size=2, max_size=3), st.lists(st.integers(-5, 5), min_size=2, max_size=2), DIGITS)
def test_products_and_sums_are_what_fractions_say(numbers, counts, digits):
    amounts = Amounts(digits)
    total, exact = Decimal(0), Fraction(0)
    for number, count in zip(numbers, counts, strict=False):
        total = amounts.plus(total, amounts.times(amounts.exact(number.digits), count))
        exact += number.exact * count
    expected = minor_units_of(exact, digits, minor=False, inexact=False)
    assert made_of(amounts.whole_minor_units, total) == expected


@given(st.lists(COUNTS, min_size=1, max_size=20), st.integers(-4, 8), DIGITS, st.booleans(), st.booleans())
def test_many_amounts_at_once_are_what_fractions_say(counts, scale, digits, minor, inexact):
    counts = [each for each in counts if -(2**63) <= each < 2**63] or [0]
    expected = [minor_units_of(each / Fraction(10) ** scale, digits, minor, inexact) for each in counts]
    agrees(minor_units(Amounts(digits, minor, inexact), Scaled(np.array(counts, np.int64), scale)), expected)


@pytest.mark.parametrize("digits", CODES)
@pytest.mark.parametrize("minor", [False, True])
@given(st.lists(NUMBERS, min_size=1, max_size=8), st.booleans(), st.booleans())
def test_amounts_of_json_are_what_fractions_say_by_either_way_of_reading(digits, minor, numbers, inexact, as_text):
    unit = ', unit = "minor"' if minor else ""
    price = f'{{ path = "v", float = {str(inexact).lower()}{unit} }}'
    values = [json.dumps(each.digits) if as_text else each.digits for each in numbers]
    orders = read_as(section(price=price, currency=f'"{CODES[digits]}"'), values)
    expected = [minor_units_of(each.exact, digits, minor, inexact) for each in numbers]
    assert [order and order.price_cents for order in orders] == expected


# ---- times


def in_known_years(millis: int) -> int | None:
    return millis if FIRST_MS <= millis <= LAST_MS else None


def millis_of(exact: Fraction, unit: str) -> int | None:
    """Epoch milliseconds by plain arithmetic: what is finer is cut off, towards the past."""
    return in_known_years((exact / PER_MS[unit]).__floor__())


def ends_of(per_second: int) -> list[int]:
    """Around the first and the last time that there is, in units of which a second has so many."""
    ends = [each * per_second // 1000 for each in (FIRST_MS, LAST_MS, 0)]
    return [end + by for end in ends for by in (-per_second, -1, 0, 1, per_second)]


TIME_ENDS = st.sampled_from([each for per_second in (1, 1000, 10**6, 10**9) for each in ends_of(per_second)])
TIME_COUNTS = TIME_ENDS | st.integers(-(2**64), 2**64) | st.integers(-(10**12), 10**13)
TIME_NUMBERS = st.builds(Written, TIME_COUNTS, st.integers(-9, 3))
UNITS = st.sampled_from(list(PER_MS))


@given(TIME_NUMBERS, UNITS)
@example(Written(LAST_MS * 1000 + 999, 0), "us")
@example(Written(LAST_MS + 1, 0), "ms")
@example(Written(FIRST_MS * 10**6 - 1, 0), "ns")
@example(Written(-1, -9), "s")
def test_a_number_is_the_time_that_fractions_say_however_it_is_written(number, unit):
    times = Times(unit)
    for value in number.ways():
        # Of texts only whole numbers are times: those with a point might be anything.
        is_text = isinstance(value, str) and not isinstance(value, JsonNumber)
        is_whole = is_text and value.lstrip("-").isdigit() and len(value.lstrip("-")) <= 19
        expected = millis_of(number.exact, unit) if is_whole or not is_text else None
        assert made_of(times.millis, value) == expected, repr(value)


@given(TIME_COUNTS, st.sampled_from([1, 1000, 10**6, 10**9, 10**12]))
def test_an_instant_is_the_time_that_whole_numbers_say(units, per_second):
    expected = in_known_years(units * 1000 // per_second)
    assert made_of(Times().millis, Instant(units, per_second)) == expected
    if -(2**63) <= units < 2**63:
        agrees(millis_of_instants(Counted(np.array([units, 0]), per_second)), [expected, 0])


@given(st.lists(TIME_COUNTS, min_size=1, max_size=20), st.integers(-2, 13), UNITS)
def test_many_times_at_once_are_what_fractions_say(counts, scale, unit):
    counts = [each for each in counts if -(2**63) <= each < 2**63] or [0]
    expected = [millis_of(each / Fraction(10) ** scale, unit) for each in counts]
    agrees(millis_of_numbers(Times(unit), Scaled(np.array(counts, np.int64), scale)), expected)


@pytest.mark.parametrize("unit", PER_MS)
@given(st.lists(TIME_NUMBERS, min_size=1, max_size=8))
def test_times_of_json_are_what_fractions_say_by_either_way_of_reading(unit, numbers):
    orders = read_as(
        section(created_at=f'{{ path = "v", unit = "{unit}" }}', currency='"EUR"'), [each.digits for each in numbers]
    )
    assert [order and order.created_at_ms for order in orders] == [millis_of(each.exact, unit) for each in numbers]


@dataclass(frozen=True)
class Wall:
    """What a clock on the wall shows: a day, milliseconds of it, and digits of the second beyond them."""

    day: date
    day_ms: int
    places: str
    """Of the second, the digits that are written: the first three are in `day_ms`."""

    def text(self, zone: str = "", between: str = "T") -> str:
        second, _ = divmod(self.day_ms, 1000)
        minute, second = divmod(second, 60)
        hour, minute = divmod(minute, 60)
        places = f".{self.places}" if self.places else ""
        return f"{self.day.isoformat()}{between}{hour:02}:{minute:02}:{second:02}{places}{zone}"

    def millis(self, ahead_minutes: int) -> int | None:
        """By plain arithmetic, where clocks are so far ahead of UTC."""
        days = self.day.toordinal() - EPOCH
        return in_known_years(days * DAY_MS + self.day_ms - ahead_minutes * 60_000)


@st.composite
def walls(draw: st.DrawFn, days: st.SearchStrategy[date]) -> Wall:
    second = draw(st.sampled_from([0, 1, 86_399, 7199, 7200, 10_799, 10_800]) | st.integers(0, 86_399))
    places = draw(st.just("") | st.from_regex(r"[0-9]{1,12}", fullmatch=True))
    return Wall(draw(days), second * 1000 + int(places[:3].ljust(3, "0")), places)


def last_sunday(year: int, month: int) -> date:
    """Of a month of 31 days."""
    last = date(year, month, 31)
    return last - timedelta(days=(last.weekday() + 1) % 7)


def ahead_in_berlin(wall: Wall) -> int:
    """Minutes, since 1996: two hours between the last Sundays of March and October, each time at three on the wall.

    The hour that does not come in March counts as if clocks were not set yet; one that comes twice is the first.
    """
    three = 3 * 3_600_000
    begins, ends = last_sunday(wall.day.year, 3), last_sunday(wall.day.year, 10)
    is_summer = (begins, three) <= (wall.day, wall.day_ms) < (ends, three)
    return 120 if is_summer else 60


CHANGES = [last_sunday(year, month) for year in (1996, 2024, 2026, 2037) for month in (3, 10)]
EDGE_DAYS = [date(1, 1, 1), date(1, 1, 2), date(1, 1, 3), date(1900, 2, 28), date(2000, 2, 29), date(1969, 12, 31)]
EDGE_DAYS += [date(1970, 1, 1), date(9999, 12, 29), date(9999, 12, 30), date(9999, 12, 31)]
WALLS = walls(st.sampled_from(EDGE_DAYS) | st.dates())
OFFSETS = st.sampled_from([0, 60, 330, -705, 1439, -1439])


def zone_text(ahead_minutes: int) -> str:
    hours, minutes = divmod(abs(ahead_minutes), 60)
    return f"{'-' if ahead_minutes < 0 else '+'}{hours:02}:{minutes:02}"


@given(st.lists(WALLS, min_size=1, max_size=6), OFFSETS, st.sampled_from("T "))
def test_iso_8601_with_a_zone_is_what_whole_numbers_say(shown, ahead, between):
    zone = zone_text(ahead) if ahead else "Z"
    texts = [wall.text(zone, between) for wall in shown]
    expected = [wall.millis(ahead) for wall in shown]
    assert [made_of(Times().millis, text) for text in texts] == expected
    agrees(millis_of_texts(texts), expected)
    orders = read_as(section(created_at='"v"', currency='"EUR"'), list(map(json.dumps, texts)))
    assert [order and order.created_at_ms for order in orders] == expected


@given(
    st.lists(walls(st.sampled_from(CHANGES) | st.dates(date(1996, 1, 1), date(2037, 12, 31))), min_size=1, max_size=6)
)
def test_times_of_a_zone_are_what_its_rules_say(shown):
    berlin = Times(zone=ZoneInfo("Europe/Berlin"))
    expected = [wall.millis(ahead_in_berlin(wall)) for wall in shown]
    assert [made_of(berlin.millis, wall.text()) for wall in shown] == expected
    local = [Instant(wall.millis(0), 1000, zoned=False) for wall in shown]
    assert [made_of(berlin.millis, each) for each in local] == expected
    assert [made_of(Times().millis, each) for each in (*local, shown[0].text())] == [None] * (len(shown) + 1)
    text = section(created_at='{ path = "v", zone = "Europe/Berlin" }', currency='"EUR"')
    orders = read_as(text, [json.dumps(wall.text()) for wall in shown])
    assert [order and order.created_at_ms for order in orders] == expected
