"""The values that readers of all formats hand out, and how each becomes a field of an order, exactly.

Whatever format a value came in, it is one of these: None (null, or not there), str, bool, int, Decimal, JsonNumber,
float (a binary one, so inexact), bytes, Instant, a list, or a dict.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation
from functools import lru_cache
from typing import Any, NamedTuple

from pipeline.orders.avro import CENTS_LIMIT, FIRST_MS, LAST_MS

MAXIMUM_DIGITS = 64
"""A number of more digits, or whose point is further away, is no amount: it is not calculated with."""
SHOWN_CHARACTERS = 60
"""What a reason shows of a value."""

# Two numbers that are far apart need so many digits to be added up.
_EXACT = Context(prec=4 * MAXIMUM_DIGITS, traps=[InvalidOperation, Inexact])
_ROUNDING = Context(prec=4 * MAXIMUM_DIGITS, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation])
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?")
_ISO_TIME = re.compile(
    r"(?P<minute>[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2})(?P<second>:[0-9]{2})?"
    r"(?:[.,](?P<fraction>[0-9]{1,12}))?(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_DIGITS = re.compile(r"-?[0-9]{1,19}")
_SCALE = re.compile(r"-?[0-9]{1,3}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS_PER_UNIT = {"s": Decimal(1000), "ms": Decimal(1), "us": Decimal("0.001"), "ns": Decimal("0.000001")}
TIME_UNITS = tuple(_MS_PER_UNIT)


class JsonNumber(str):
    """A number as its digits stand in JSON. It is never made a float."""

    __slots__ = ()


class Instant(NamedTuple):
    """A time whose writer said what it counts: so many units since 1970, each a fraction of a second.

    Without a zone it is what a clock on the wall showed.
    """

    units: int
    per_second: int
    zoned: bool = True


@dataclass(frozen=True, slots=True)
class Unread:
    """A value that was not looked into, because of its size: what it is, as in "a list of 90000 bytes"."""

    what: str


class ValueMismatchError(Exception):
    """A value cannot be what is expected. The text says what was found, and begins as in "a boolean (true)"."""


Convert = Callable[[Any], Any]
"""Makes a field of an order of a value that is there. Raises ValueMismatchError."""


def described(value: Any) -> str:
    """A value as a reason names it: its type and, as far as there is room, what it is."""
    if value is None:
        return "null"
    if isinstance(value, ValueMismatchError):
        return str(value)
    if isinstance(value, bool):
        return f"a boolean ({str(value).lower()})"
    if isinstance(value, JsonNumber | int | Decimal):
        return f"a number ({_cut(str(value))})"
    if isinstance(value, str):
        return f'a text ("{_cut(value)}")'
    if isinstance(value, float):
        return f"a binary floating-point number ({value!r})"
    if isinstance(value, bytes | bytearray):
        return f"bytes ({len(value)})"
    if isinstance(value, Instant):
        return f"a time ({value.units} in {value.per_second} a second{'' if value.zoned else ', without a zone'})"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return value.what if isinstance(value, Unread) else "an object"


def _cut(text: str) -> str:
    shown = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}… of {len(text)} characters"
    return shown if shown.isprintable() else ascii(shown)[1:-1]


# ---- text


def text_of(value: Any) -> str:
    """Text of a text, a number (its digits), or a uuid in 16 bytes. Raises ValueMismatchError."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, Decimal):
        return f"{value:f}" if value.is_finite() and abs(value.adjusted()) <= MAXIMUM_DIGITS else str(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, bytes):
        return _decoded(value)
    raise ValueMismatchError(described(value))


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise ValueMismatchError(f"bytes ({len(raw)}) that are no UTF-8") from error


# ---- amounts


@dataclass(frozen=True, slots=True)
class Amounts:
    """How values become minor units of a currency with so many digits.

    `minor`: numbers count minor units already. `inexact`: a binary floating-point number is taken too, and more digits
    than the currency has are rounded, half to even, of the shortest decimal text.
    """

    digits: int = 2
    minor: bool = False
    inexact: bool = False

    def exact(self, value: Any) -> Decimal:
        """The number that a value is, whatever its unit. Raises ValueMismatchError."""
        if isinstance(value, float):
            return self._of_float(value)
        number = _number_of(value)
        if not number.is_finite():
            raise ValueMismatchError(described(value))
        if len(number.as_tuple().digits) > MAXIMUM_DIGITS or abs(number.adjusted()) > MAXIMUM_DIGITS:
            raise ValueMismatchError(f"a number of more than {MAXIMUM_DIGITS} digits")
        return number

    def _of_float(self, value: float) -> Decimal:
        if not self.inexact:
            raise ValueMismatchError(f"{described(value)}, which `float = true` would take")
        number = Decimal(repr(value))
        if not number.is_finite() or abs(number.adjusted()) > MAXIMUM_DIGITS:
            raise ValueMismatchError(described(value))
        return number

    def times(self, number: Decimal, value: Any) -> Decimal:
        """A number times a value, exactly. Raises ValueMismatchError."""
        return self._bounded(_EXACT.multiply, number, self.exact(value))

    def plus(self, number: Decimal, other: Decimal) -> Decimal:
        """The sum of two numbers, exactly. Raises ValueMismatchError."""
        return self._bounded(_EXACT.add, number, other)

    def _bounded(self, calculate: Callable[[Decimal, Decimal], Decimal], left: Decimal, right: Decimal) -> Decimal:
        try:
            number = calculate(left, right)
        except Inexact:
            number = None
        if number is None or len(number.as_tuple().digits) > MAXIMUM_DIGITS:
            raise ValueMismatchError(f"a number of more than {MAXIMUM_DIGITS} digits")
        return number

    def minor_units(self, value: Any) -> int:
        """Minor units of a value. Raises ValueMismatchError."""
        return self.whole_minor_units(self.exact(value))

    def whole_minor_units(self, number: Decimal) -> int:
        """Minor units of a number of at most twice MAXIMUM_DIGITS digits. Raises ValueMismatchError."""
        scaled = number if self.minor else number.scaleb(self.digits, _EXACT)
        if abs(scaled.adjusted()) > MAXIMUM_DIGITS and scaled:
            whole, rest = (CENTS_LIMIT if scaled.adjusted() > 0 else 0), scaled.adjusted() < 0
        else:
            rounded = scaled.to_integral_value(ROUND_HALF_EVEN, _ROUNDING)
            whole, rest = int(rounded), rounded != scaled
        if rest and not self.inexact:
            places = f"more than {self.digits} digits after the point"
            raise ValueMismatchError(f"{_cut(str(number))}, {'no whole number' if self.minor else places}")
        if not -CENTS_LIMIT < whole < CENTS_LIMIT:
            raise ValueMismatchError(f"{_cut(str(number))}, which has more than 12 digits")
        return whole


def _is_number(value: Any) -> bool:
    return isinstance(value, JsonNumber | Decimal) or (isinstance(value, int) and not isinstance(value, bool))


def shortest(single: float) -> float:
    """A number of 32 bits as the one of 64 bits with the same shortest decimal text: 0.1, not 0.10000000149."""
    import numpy as np  # takes 40 ms, and only numbers of 32 bits need it

    return float(str(np.float32(single)))


def _number_of(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        # Longer ones are not made decimal text: that takes a time that grows with the square of their length.
        if value.bit_length() > 4 * MAXIMUM_DIGITS:
            raise ValueMismatchError(f"a number of more than {MAXIMUM_DIGITS} digits")
        return Decimal(value)
    if isinstance(value, str) and len(value) <= 2 * MAXIMUM_DIGITS and _PLAIN_NUMBER.fullmatch(value):
        return Decimal(value)
    if isinstance(value, JsonNumber) and len(value) > 2 * MAXIMUM_DIGITS:
        raise ValueMismatchError(f"a number of {len(value)} characters")
    raise ValueMismatchError(described(value))


def decimal_of(raw: bytes, scale: int) -> Decimal:
    """A big-endian two's complement times 10^-scale, exactly. Raises ValueMismatchError when it is no amount."""
    if not raw or len(raw) > MAXIMUM_DIGITS or abs(scale) > MAXIMUM_DIGITS:
        raise ValueMismatchError(f"a decimal of {len(raw)} bytes and scale {scale}")
    number = Decimal(int.from_bytes(raw, "big", signed=True))
    sign, digits, _ = number.as_tuple()
    return Decimal((sign, digits, -scale))


def scaled_decimal(value: Any) -> Any:
    """The number in Debezium's record of scale and value; any other value as it is. Raises ValueMismatchError.

    https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-decimal-types
    """
    if not isinstance(value, dict) or value.keys() != {"scale", "value"}:
        return value
    places, unscaled = scale_of(value["scale"]), value["value"]
    if isinstance(unscaled, bytes):
        return decimal_of(unscaled, places)
    return unscaled_base64(unscaled, places)


_MONEY = frozenset({"currency_code", "currencyCode", "units", "nanos"})


def is_money(value: Any) -> bool:
    """Whether it is Google's Money. In JSON a field is left out that is zero: both units and nanos may be.

    https://github.com/googleapis/googleapis/blob/master/google/type/money.proto
    """
    return isinstance(value, dict) and bool(value) and (value.keys() <= _MONEY or {"units", "nanos"} <= value.keys())


def scale_of(value: Any) -> int:
    """How many digits a decimal has after the point, where a record or a schema says it. Raises ValueMismatchError."""
    if isinstance(value, int | str) and not isinstance(value, bool) and _SCALE.fullmatch(str(value)):
        return int(value)
    raise ValueMismatchError(f"a decimal whose scale is {described(value)}")


def unscaled_base64(text: Any, scale: int) -> Decimal:
    """The decimal whose unscaled number is base64 text of a two's complement. Raises ValueMismatchError."""
    if isinstance(text, JsonNumber):
        raise ValueMismatchError(f"{described(text)}, which is no base64 of a decimal")
    try:
        return decimal_of(base64.b64decode(text, validate=True), scale)
    except (binascii.Error, TypeError, ValueError) as error:
        raise ValueMismatchError(f"{described(text)}, which is no base64 of a decimal") from error


# ---- times


@dataclass(frozen=True, slots=True)
class Times:
    """How values become epoch milliseconds. `unit` is that of plain numbers; `zone` that of times without one."""

    unit: str = "ms"
    zone: tzinfo | None = None

    def millis(self, value: Any) -> int:
        """Epoch milliseconds of a value; what is finer is cut off. Raises ValueMismatchError."""
        millis = self._millis(value)
        if not FIRST_MS <= millis <= LAST_MS:
            raise ValueMismatchError(f"{described(value)}, outside of the years 1 to 9999")
        return millis

    def _millis(self, value: Any) -> int:
        if isinstance(value, Instant):
            return self._of_instant(value)
        if isinstance(value, str) and (match := _ISO_TIME.fullmatch(value)):
            return self._of_iso(value, match)
        if _is_number(value) or (isinstance(value, str) and _DIGITS.fullmatch(value)):
            number = _number_of(value)
            if abs(number.adjusted()) > MAXIMUM_DIGITS:
                raise ValueMismatchError(f"{described(value)}, outside of the years 1 to 9999")
            return int(_EXACT.multiply(number, _MS_PER_UNIT[self.unit]).__floor__())
        raise ValueMismatchError(described(value))

    def _of_instant(self, instant: Instant) -> int:
        millis = instant.units * 1000 // instant.per_second
        if instant.zoned:
            return millis
        if not FIRST_MS <= millis <= LAST_MS:
            return millis
        seconds, rest = divmod(millis, 1000)
        return (
            self._epoch_s(datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None), described(instant)) * 1000 + rest
        )

    def _of_iso(self, text: str, match: re.Match[str]) -> int:
        minute, second, fraction, zone = match.groups()
        second_ms = 0 if second is None else int(second[1:]) * 1000
        rest_ms = 0 if fraction is None else int(fraction[:3].ljust(3, "0"))
        try:
            minute_ms = _minute_ms(minute, zone or "", self.zone)
        except ValueError as error:
            raise ValueMismatchError(f'a text ("{text}"), which is no date and time') from error
        if minute_ms is None:
            raise ValueMismatchError(f'a text ("{text}") without a zone; `zone` would say which')
        if second_ms > 59_000:
            raise ValueMismatchError(f'a text ("{text}"), which is no date and time')
        return minute_ms + second_ms + rest_ms

    def _epoch_s(self, on_the_wall: datetime, found: str) -> int:
        if self.zone is None:
            raise ValueMismatchError(f"{found}; `zone` would say which")
        return _epoch_s(on_the_wall, self.zone)


@lru_cache(maxsize=4096)
def _minute_ms(minute: str, zone_text: str, zone: tzinfo | None) -> int | None:
    """Epoch milliseconds of a minute, as the text says it; None where neither it nor the mapping names a zone.

    Kept, because orders come minute by minute. Raises ValueError on what is no date and time.
    """
    moment = datetime.fromisoformat(f"{minute}{zone_text}")
    if moment.tzinfo is not None:
        return int((moment - _EPOCH).total_seconds()) * 1000
    return None if zone is None else _epoch_s(moment, zone) * 1000


def _epoch_s(on_the_wall: datetime, zone: tzinfo) -> int:
    """Of a time that comes twice, when clocks are set back, the first."""
    return int((on_the_wall.replace(tzinfo=zone) - _EPOCH).total_seconds())
