"""What is made of a whole column at once is what is made of each value by itself; what is not plain is left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.orders.mapping.value_columns import (
    Counted,
    Scaled,
    millis_of_instants,
    millis_of_numbers,
    millis_of_texts,
    minor_units,
    numbers_in_texts,
    numbers_of,
    numerals_of,
)
from pipeline.orders.mapping.values import TIME_UNITS, Amounts, Instant, JsonNumber, Times, ValueMismatchError

LONGS = st.integers(-(2**63), 2**63 - 1) | st.integers(-(10**13), 10**13) | st.integers(-1000, 1000)
AMOUNTS = st.builds(Amounts, st.integers(0, 4), st.booleans(), st.booleans())
TIMES = st.builds(Times, st.sampled_from(TIME_UNITS), st.sampled_from([None, ZoneInfo("Europe/Berlin")]))


def one_by_one(convert: Any, values: list[Any]) -> list[int | None]:
    """What is made of each; None where it is refused."""

    def made(value: Any) -> int | None:
        try:
            return int(convert(value))
        except ValueMismatchError:
            return None

    return [made(value) for value in values]


def agrees(made: tuple[Any, Any] | None, expected: list[int | None]) -> None:
    """What is said to be right is right; a refused one is never said to be."""
    if made is None:
        return
    numbers, fine = made
    assert len(numbers) == len(fine) == len(expected)
    for number, is_fine, wanted in zip(numbers.tolist(), fine.tolist(), expected, strict=True):
        assert not is_fine or number == wanted


@given(st.lists(LONGS, min_size=1), st.integers(-20, 20), AMOUNTS)
@example([2**63 - 1, -(2**63), 0], 0, Amounts(4))
@example([10**12, 10**12 - 1, 1 - 10**12], 2, Amounts())
def test_amounts_of_scaled_numbers(counts, scale, amounts):
    column = Scaled(np.array(counts, np.int64), scale)
    agrees(minor_units(amounts, column), one_by_one(amounts.minor_units, column.values()))


@given(st.lists(LONGS, min_size=1), st.integers(-3, 13), TIMES)
@example([2**63 - 1, -(2**63)], 0, Times("s"))
def test_times_of_scaled_numbers(counts, scale, times):
    column = Scaled(np.array(counts, np.int64), scale)
    agrees(millis_of_numbers(times, column), one_by_one(times.millis, column.values()))


@given(st.lists(LONGS, min_size=1), st.sampled_from([1, 1000, 10**6, 10**9]))
def test_times_of_instants(counts, per_second):
    column = Counted(np.array(counts, np.int64), per_second)
    agrees(millis_of_instants(column), one_by_one(Times().millis, column.values()))


def test_numbers_of_more_than_64_bits_are_left_alone():
    assert numbers_of([1, 2**63]) is None


# ---- digits

NUMERALS = st.from_regex(r"-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,6})?", fullmatch=True)
NEARLY = st.text("0123456789.-+eE_ \n١", max_size=22)


@given(st.lists(NUMERALS, min_size=1))
@example(["-0", "-0.5", "0", "12345678.9"])
def test_plain_numerals_are_read_whatever_their_places(texts):
    found = numerals_of("\n".join(texts).encode(), len(texts))
    assert found is not None
    assert found.values() == texts
    assert {type(each) for each in found.values()} == {JsonNumber}
    assert found.scaled.values() == list(map(Decimal, texts))


@given(st.lists(NUMERALS | NEARLY, min_size=1, max_size=4), AMOUNTS)
@example(["1", "", "2"], Amounts())
@example(["1.2.3"], Amounts())
@example(["1-2"], Amounts())
@example([".5", "5."], Amounts())
@example(["9" * 18, "0.1"], Amounts())
@example(["1\n2"], Amounts())
def test_numbers_in_texts_are_what_each_text_is(texts, amounts):
    found = numbers_in_texts(texts)
    if found is not None:
        assert one_by_one(amounts.exact, found.values()) == one_by_one(amounts.exact, texts)
        assert found.values() == list(map(amounts.exact, texts))


# ---- ISO 8601

MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59))
ENDS = st.sampled_from(["Z", "+00:00", "-00:00", "+05:30", "-11:45", "+23:59", "+24:00", "+05:60", "+0530", "+05", ""])
FRACTIONS = st.just("") | st.from_regex(r"[.,][0-9]{1,13}", fullmatch=True)


@st.composite
def iso_texts(draw: st.DrawFn) -> str:
    """Dates and times, most of them good; some with a character changed."""
    text = draw(MOMENTS).replace(microsecond=0).isoformat(draw(st.sampled_from("T "))) + draw(FRACTIONS) + draw(ENDS)
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(st.sampled_from("0123459T:-.,Z+ é٣")) + text[at + 1 :]
    return text


@given(st.lists(iso_texts() | st.text(max_size=40), min_size=1), TIMES)
@example(["2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2000-02-29T00:00:00Z"], Times())
@example(["0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2024-13-01T00:00:00Z"], Times())
@example(["2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:60Z", "2024-00-01T00:00:00Z"], Times())
def test_times_of_iso_texts(texts, times):
    agrees(millis_of_texts(texts), one_by_one(times.millis, texts))


@pytest.mark.parametrize("end", ["Z", "+02:00"])
@pytest.mark.parametrize("places", ["", ".5", ",25", ".123", ".123456789", ".123456789012"])
def test_what_people_write_is_read_at_once(end, places):
    moments = [
        datetime(1969, 12, 31, 22, 0, 59, tzinfo=UTC) + timedelta(days=97, hours=5) * each for each in range(500)
    ]
    texts = [moment.isoformat().removesuffix("+00:00") + places + end for moment in moments]
    millis, fine = millis_of_texts(texts)
    assert fine.all()
    assert millis.tolist() == [Times().millis(text) for text in texts]


def test_a_text_that_is_not_plain_says_nothing_of_its_neighbours():
    texts = ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00+01:00", "2024-01-01", "gestern, gestern gewß"]
    millis, fine = millis_of_texts(texts)
    assert fine.tolist() == [True, True, False, False]
    assert millis[:2].tolist() == [Times().millis(text) for text in texts[:2]]


def test_instants_have_the_bounds_of_a_single_one():
    far = Instant(2**62, 1000)
    with pytest.raises(ValueMismatchError):
        Times().millis(far)
    made = millis_of_instants(Counted(np.array([far.units, 0]), 1000))
    assert made is not None
    assert made[1].tolist() == [False, True]
