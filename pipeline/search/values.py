"""What times, ages, numbers and amounts of a query mean. Each reader raises ValueError with what is expected."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pipeline.search.query import Age, Number, Period

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_AGE = re.compile(r"([0-9]{1,6})([smhdw])")
_TIME = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<hour>[0-9]{2})(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<part>[0-9]{1,3}))?)?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_AMOUNT = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")


def read_time(text: str, now_ms: int) -> Period | Age:
    """`2h` is so long ago; `2026-11-28` a day, `2026-11-28T10` an hour, and so on, of UTC where no zone is said."""
    if age := _AGE.fullmatch(text):
        return Age(text, now_ms - int(age[1]) * _UNITS_MS[age[2]])
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("a time is an age such as 90s, 15m, 1h, 2d or 1w, or like 2026-11-28, 2026-11-28T10:30+01:00")
    zone = match["zone"] or "Z"
    clock = ":".join(match[name] or "00" for name in ("hour", "minute", "second"))
    try:
        began = datetime.fromisoformat(
            f"{match['day']}T{clock}.{match['part'] or '0':0<3}{zone.replace('Z', '+00:00')}"
        )
    except ValueError:
        raise ValueError("there is no such time") from None
    from_ms = (began - _EPOCH) // _MILLISECOND
    return Period(text, from_ms, from_ms + _span_ms(match))


def _span_ms(match: re.Match[str]) -> int:
    if match["part"]:
        return int(10 ** (3 - len(match["part"])))
    return 1000 if match["second"] else 60_000 if match["minute"] else 3_600_000 if match["hour"] else 86_400_000


def read_number(text: str) -> Number:
    """A whole number."""
    if not _NUMBER.fullmatch(text):
        raise ValueError("a whole number is expected, of at most 18 digits")
    return Number(text, int(text))


def read_amount(text: str, digits: int) -> Number:
    """An amount in the currency's units, `digits` of which stand behind the point; its value is in minor units."""
    if not _AMOUNT.fullmatch(text):
        raise ValueError("an amount is expected, like 100 or 99.95")
    minor_units = Decimal(text).scaleb(digits)
    if minor_units != int(minor_units):
        raise ValueError(f"amounts of this currency have {digits} digits behind the point")
    return Number(text, int(minor_units))
