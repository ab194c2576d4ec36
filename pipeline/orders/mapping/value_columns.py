"""Values of many records as numbers in one array each, and the fields that are made of all of them at once.

Only what is plain is made so. Each function says for which values it has the same answer as `values` has for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.orders.avro import CENTS_LIMIT, FIRST_MS, LAST_MS
from pipeline.orders.mapping.values import Amounts, Instant, JsonNumber, Times

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
Made = tuple[Counts, Flags]
"""A field of all records, and of which it is right; of the others nothing is said."""

_MAXIMUM_DIGITS = 18
"""So many fit 64 bits."""
_LIMIT_DIGITS = 12
assert CENTS_LIMIT == 10**_LIMIT_DIGITS


@dataclass(frozen=True, slots=True)
class Scaled:
    """Numbers that count 10^-scale each."""

    counts: Counts
    scale: int

    def __len__(self) -> int:
        return len(self.counts)

    def values(self) -> list[Any]:
        """Each as a number."""
        return [Decimal(count).scaleb(-self.scale) for count in self.counts.tolist()]


@dataclass(frozen=True, slots=True)
class Numerals:
    """Numbers as their digits stand in JSON, one a line, and what they count."""

    lines: str
    scaled: Scaled

    def __len__(self) -> int:
        return len(self.scaled)

    def texts(self) -> list[str]:
        """The digits of each."""
        return self.lines.split("\n")

    def values(self) -> list[JsonNumber]:
        """Each as a number."""
        return list(map(JsonNumber, self.texts()))


@dataclass(frozen=True, slots=True)
class Counted:
    """Times that count so many units a second, in UTC."""

    counts: Counts
    per_second: int

    def __len__(self) -> int:
        return len(self.counts)

    def values(self) -> list[Instant]:
        """Each as a time."""
        return [Instant(count, self.per_second) for count in self.counts.tolist()]


Column = Sequence[Any] | Scaled | Numerals | Counted
"""What one path leads to in each record."""


def plain_values(column: Column) -> Sequence[Any]:
    """A column as values of ours."""
    return column.values() if isinstance(column, Scaled | Numerals | Counted) else column


Found = tuple[list[int], list[Column]]
"""Of some values, the indexes of those that are plain, and for each slot what it is in each of them."""
_PIECE = 1000
"""So few that all objects which are made of them on the way fit a core's cache: it is up to half of the time."""


def read_in_pieces(read: Callable[[list[int]], Found], indexes: list[int], of: int = _PIECE) -> Found:
    """What is found at some indexes, read a piece of them at a time; what is found counts within `indexes`."""
    if len(indexes) <= of:
        return read(indexes)
    found, parts = list[int](), list[list[Column]]()
    for begin in range(0, len(indexes), of):
        piece = indexes[begin : begin + of]
        some, columns = read(piece)
        found.extend(range(begin, begin + len(piece)) if len(some) == len(piece) else [begin + each for each in some])
        parts.append(columns)
    return found, [_joined(each) for each in zip(*parts, strict=True)]


def _joined(parts: Sequence[Column]) -> Column:
    kinds = set(map(type, parts))
    if kinds == {Numerals} and (scaled := _rescaled([each.scaled for each in parts if isinstance(each, Numerals)])):
        return Numerals("\n".join(each.lines for each in parts if isinstance(each, Numerals)), scaled)
    if kinds == {Scaled} and (scaled := _rescaled([each for each in parts if isinstance(each, Scaled)])):
        return scaled
    if kinds == {Counted}:
        times = [each for each in parts if isinstance(each, Counted)]
        if len({each.per_second for each in times}) == 1:
            return Counted(np.concatenate([each.counts for each in times]), times[0].per_second)
    return list(chain.from_iterable(map(plain_values, parts)))


def _rescaled(parts: Sequence[Scaled]) -> Scaled | None:
    """The numbers of all parts by one scale; None where one does not fit."""
    scale = max(each.scale for each in parts)
    for each in parts:
        limit = 10 ** (_MAXIMUM_DIGITS - scale + each.scale)
        if bool(((each.counts >= limit) | (each.counts <= -limit)).any()):
            return None
    return Scaled(np.concatenate([each.counts * 10 ** (scale - each.scale) for each in parts]), scale)


# ---- numbers


def numbers_of(values: Sequence[int]) -> Scaled | None:
    """Whole numbers in one array; None where one is too long."""
    try:
        return Scaled(np.array(values, np.int64), 0)
    except OverflowError:
        return None


def numerals_of(lines: bytes, count: int) -> Numerals | None:
    """So many numbers in decimal digits, with a minus and a point or without, one a line; None: one is not plain."""
    data = np.frombuffer(lines, np.uint8)
    breaks, points, minuses = (np.flatnonzero(data == ord(each)) for each in "\n.-")
    others = len(breaks) + len(points) + len(minuses)
    if len(breaks) != count - 1 or int(np.count_nonzero(data - np.uint8(ord("0")) < 10)) + others != len(data):
        return None
    # 1. Where each begins and ends, and where its point is.
    ends = np.append(breaks, len(data))
    begins = np.append(0, breaks + 1)
    first_digits = begins.copy()
    negative = np.searchsorted(ends, minuses)
    first_digits[negative] += 1
    pointed = np.searchsorted(ends, points)
    places = np.zeros(count, np.int64)
    places[pointed] = ends[pointed] - points - 1
    scale = int(places.max(initial=0))
    whole_digits = ends - first_digits - places
    whole_digits[pointed] -= 1
    # 2. A minus stands in front, at most one point between digits, and all of it fits when it has as many places.
    plain = (
        bool((begins[negative] == minuses).all())
        and bool((np.diff(pointed) > 0).all())
        and bool((places[pointed] > 0).all())
        and int(whole_digits.min(initial=1)) >= 1
        and int(whole_digits.max(initial=1)) + scale <= _MAXIMUM_DIGITS
    )
    if not plain:
        return None
    counts = np.fromstring(lines.replace(b".", b""), np.int64, sep="\n")
    if scale:
        counts *= 10 ** (scale - places)
    return Numerals(lines.decode(), Scaled(counts, scale))


def numbers_in_texts(texts: Sequence[str]) -> Scaled | None:
    """Numbers that are written as text; None where one is not plain."""
    lines = "\n".join(texts)
    found = numerals_of(lines.encode(), len(texts)) if lines.isascii() else None
    return None if found is None else found.scaled


def minor_units(amounts: Amounts, numbers: Scaled) -> Made | None:
    """As `Amounts.minor_units` makes them of each number; None where powers of ten do not fit."""
    exponent = (0 if amounts.minor else amounts.digits) - numbers.scale
    counts = numbers.counts
    if 0 <= exponent <= _LIMIT_DIGITS:
        limit = 10 ** (_LIMIT_DIGITS - exponent)
        within = (counts > -limit) & (counts < limit)
        return np.where(within, counts, 0) * 10**exponent, within
    if -_MAXIMUM_DIGITS <= exponent < 0:
        whole = counts // 10**-exponent
        return whole, (whole * 10**-exponent == counts) & (whole > -CENTS_LIMIT) & (whole < CENTS_LIMIT)
    return None


# ---- times

# Milliseconds of a unit, as a fraction.
_MS_PER_UNIT = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}


def millis_of_numbers(times: Times, numbers: Scaled) -> Made | None:
    """As `Times.millis` makes them of each number; None where powers of ten do not fit."""
    if not 0 <= numbers.scale < _MAXIMUM_DIGITS - 6:
        return None
    times_by, divided_by = _MS_PER_UNIT[times.unit]
    limit = 10**_MAXIMUM_DIGITS // times_by
    within = (numbers.counts > -limit) & (numbers.counts < limit)
    millis = np.where(within, numbers.counts, 0) * times_by // (divided_by * 10**numbers.scale)
    return millis, within & _in_known_years(millis)


def millis_of_instants(instants: Counted) -> Made | None:
    """As `Times.millis` makes them of each time; None where its unit is no part of a millisecond."""
    if instants.per_second % 1000:
        return None
    millis = instants.counts // (instants.per_second // 1000)
    return millis, _in_known_years(millis)


def _in_known_years(millis: Counts) -> Flags:
    return (millis >= FIRST_MS) & (millis <= LAST_MS)


# "2026-11-27T10:00:00Z" is the shortest one, and 12 digits of a second and "+01:00" are the longest end.
_SHORTEST, _LONGEST = 20, 38
_ZERO = np.uint8(ord("0"))
_DAYS_BEFORE_1970 = 719_468
"""From the first of March of the year 0."""
_DAYS_OF_MONTH = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def millis_of_texts(texts: Sequence[str]) -> Made:
    """As `Times.millis` makes them of ISO 8601 with seconds and a zone; of other texts nothing is said."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    millis, fine = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    found = [len(texts[0])] if texts and bool((lengths == len(texts[0])).all()) else np.unique(lengths).tolist()
    if len(found) == 1:
        return _millis_of_length(texts, found[0])
    for length in found:
        chosen = np.flatnonzero(lengths == length)
        millis[chosen], fine[chosen] = _millis_of_length([texts[index] for index in chosen.tolist()], length)
    return millis, fine


def _millis_of_length(texts: Sequence[str], length: int) -> Made:
    joined = "".join(texts)
    if not (_SHORTEST <= length <= _LONGEST and joined.isascii()):
        return np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    # One character of all texts after another, so that what is done with each of them is done in memory's order.
    characters = np.ascontiguousarray(np.frombuffer(joined.encode(), np.uint8).reshape(len(texts), length).T)
    offset_ms, fine, end = _offset_ms(characters)
    year, is_year = _number(characters[0:4])
    month, is_month = _number(characters[5:7])
    day, is_day = _number(characters[8:10])
    hour, is_hour = _number(characters[11:13])
    minute, is_minute = _number(characters[14:16])
    second, is_second = _number(characters[17:19])
    rest_ms, is_rest = _rest_ms(characters[19:end])
    for numbers in (is_year, is_month, is_day, is_hour, is_minute, is_second, is_rest):
        fine &= numbers
    for at, separators in ((4, "-"), (7, "-"), (10, "T "), (13, ":"), (16, ":")):
        fine &= _is_one_of(characters[at], separators)
    fine &= (hour <= 23) & (minute <= 59) & (second <= 59)
    fine &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    fine &= day <= _days_of_month(year, np.where(fine, month, 1))
    seconds = ((_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
    millis = seconds * 1000 + rest_ms - offset_ms
    return millis, fine & _in_known_years(millis)


def _number(digits: NDArray[np.uint8]) -> Made:
    """The number in some rows of characters, one a column, and whether all of them are digits."""
    values = digits - _ZERO
    number = np.zeros(digits.shape[1], np.int64)
    for row in values:
        number = number * 10 + row
    are_digits: Flags = np.asarray((values <= 9).all(axis=0))
    return number, are_digits


def _is_one_of(characters: NDArray[np.uint8], some: str) -> Flags:
    found: Flags = np.zeros(len(characters), np.bool_)
    for each in some:
        found |= characters == ord(each)
    return found


def _rest_ms(characters: NDArray[np.uint8]) -> Made:
    """Milliseconds of what stands behind the seconds: nothing, or a point or comma and 1 to 12 digits."""
    count = characters.shape[1]
    if not len(characters):
        return np.zeros(count, np.int64), np.ones(count, np.bool_)
    digits = len(characters) - 1
    if not 1 <= digits <= 12:
        return np.zeros(count, np.int64), np.zeros(count, np.bool_)
    millis, _ = _number(characters[1:4])
    fine = _is_one_of(characters[0], ".,")
    fine &= (characters[1:] - _ZERO <= 9).all(axis=0)
    return millis * 10 ** max(0, 3 - digits), fine


def _offset_ms(characters: NDArray[np.uint8]) -> tuple[Counts, Flags, int]:
    """How far the zone at the end is ahead of UTC, where there is one as in all others, and where it begins."""
    length, count = characters.shape
    if characters[-1, 0] == ord("Z"):
        return np.zeros(count, np.int64), characters[-1] == ord("Z"), length - 1
    sign = characters[length - 6]
    hours, are_hours = _number(characters[length - 5 : length - 3])
    minutes, are_minutes = _number(characters[length - 2 :])
    fine = _is_one_of(sign, "+-") & (characters[length - 3] == ord(":")) & are_hours & are_minutes
    fine &= (hours <= 23) & (minutes <= 59)
    ahead_ms = (hours * 60 + minutes) * 60_000
    return np.where(sign == ord("-"), -ahead_ms, ahead_ms), fine, length - 6


def _days_of_month(year: Counts, month: Counts) -> Counts:
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days: Counts = _DAYS_OF_MONTH[month] + (leap & (month == 2))
    return days


def _days(year: Counts, month: Counts, day: Counts) -> Counts:
    """Days since 1970-01-01, of years that begin in March: https://howardhinnant.github.io/date_algorithms.html"""
    march_year = year - (month <= 2)
    era, of_era = march_year // 400, march_year % 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - _DAYS_BEFORE_1970
