"""Values of readers as plain data that JSON can write, for people to read: no number loses a digit.

=============================  ===========================================================================
number                         its digits, as an int or a JsonNumber; a decimal with the places of its scale
binary floating-point number   its shortest digits; `"NaN"`, `"Infinity"` and `"-Infinity"`, which JSON lacks, as texts
time                           ISO 8601: with `Z`, without a zone where its writer means a clock on the wall, or a date
bytes                          `"hex:00ff"`, of long ones the beginning
a value that cannot be         `"unreadable: …"`, and what it is
=============================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from json.encoder import encode_basestring as quoted
from typing import Any

from pipeline.errors import UndecodableError
from pipeline.orders.mapping.paths import RecordValue
from pipeline.orders.mapping.values import (
    Instant,
    JsonNumber,
    Unread,
    ValueMismatchError,
    described,
    scaled_decimal,
)

MAXIMUM_DEPTH = 100
"""Objects and lists within each other: deeper ones are no data that anybody reads."""
MAXIMUM_VALUES = 200_000
"""Objects take ten times the room of the bytes that they are made of, and more where these are few for each."""
SHOWN_BYTES = 4_096
"""Of longer bytes only so many are written; whoever wants all of them has the record."""
_EPOCH = datetime(1970, 1, 1)
_FARTHEST_DIGITS = 400
"""A decimal whose point is farther away is written with an exponent."""


class Budget:
    """How many values may still be made of a record's."""

    def __init__(self, values: int = MAXIMUM_VALUES) -> None:
        self._values = values
        self._left = values

    def spend(self, values: int) -> None:
        """Raises UndecodableError when they are more than there may be."""
        self._left -= values
        if self._left < 0:
            raise UndecodableError(f"value holds more than {self._values:,} values", "size")


def plain(value: Any, budget: Budget | None = None, depth: int = MAXIMUM_DEPTH) -> Any:
    """All of a value as dict, list, str, bool, None, int and JsonNumber.

    Raises UndecodableError when it is nested too deeply or holds too many values.
    """
    if isinstance(value, dict):
        return _plain_object(value, budget or Budget(), depth)
    if isinstance(value, list):
        budget = budget or Budget()
        budget.spend(len(value))
        _check_depth(depth)
        return [plain(each, budget, depth - 1) for each in value]
    return plain_leaf(value)


def _plain_object(value: dict[Any, Any], budget: Budget, depth: int) -> Any:
    budget.spend(len(value))
    _check_depth(depth)
    if isinstance(value, RecordValue):
        # Debezium's number of any scale.
        try:
            number = scaled_decimal(value)
        except ValueMismatchError as error:
            return plain_leaf(error)
        if number is not value:
            return plain_leaf(number)
        return RecordValue({name: plain(each, budget, depth - 1) for name, each in value.items()}, value.type_name)
    return {_text(str(name)): plain(each, budget, depth - 1) for name, each in value.items()}


def _check_depth(depth: int) -> None:
    if depth <= 0:
        raise UndecodableError(f"value is nested more than {MAXIMUM_DEPTH} deep", "size")


def plain_leaf(value: Any) -> Any:
    """A single value as str, bool, None, int or JsonNumber."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, str):
        return _text(value)
    make = next((make for kind, make in _LEAVES.items() if isinstance(value, kind)), str)
    return make(value)


_PLAIN = frozenset({JsonNumber, int, bool, type(None)})


def _text(value: str) -> str:
    # Half of a surrogate pair, which JSON may hold, can be neither shown nor written.
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _decimal(value: Decimal) -> JsonNumber | str:
    if not value.is_finite():
        return str(value)
    exponent = value.as_tuple().exponent
    near = isinstance(exponent, int) and abs(exponent) <= _FARTHEST_DIGITS
    return JsonNumber(f"{value:f}" if near else str(value))


def _float(value: float) -> JsonNumber | str:
    shown = repr(value)
    return JsonNumber(shown) if shown.lstrip("-")[0].isdigit() else _NO_NUMBERS[shown]


_NO_NUMBERS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def instant_text(instant: Instant) -> str:
    """A time in ISO 8601, with as many digits as its writer counts."""
    seconds, rest = divmod(instant.units, instant.per_second)
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return described(instant)
    if instant.per_second == 1 and not instant.zoned:
        return moment.date().isoformat()
    digits = len(str(instant.per_second)) - 1
    fraction = f".{rest:0{digits}}" if digits else ""
    return f"{moment.isoformat(timespec='seconds')}{fraction}{'Z' if instant.zoned else ''}"


def bytes_text(raw: bytes) -> str:
    """Bytes in hexadecimal, which is said; of long ones the beginning."""
    more = f"… of {len(raw):,} bytes" if len(raw) > SHOWN_BYTES else ""
    return f"hex:{raw[:SHOWN_BYTES].hex()}{more}"


_LEAVES: dict[type, Callable[[Any], Any]] = {
    float: _float,
    Decimal: _decimal,
    Instant: instant_text,
    bytes: bytes_text,
    bytearray: lambda value: bytes_text(bytes(value)),
    ValueMismatchError: lambda error: f"unreadable: {error}",
    Unread: lambda value: value.what,
}


# ---- as JSON


class _Full(Exception):
    """As many letters are written as are wanted."""


def json_text(value: Any, indent: int | None = None, maximum_letters: int | None = None) -> str:
    """Plain data as JSON, numbers with their digits. It ends soon behind so many letters, as JSON or not."""
    writer = _Writer(indent, maximum_letters)
    with suppress(_Full):
        writer.write(value, "\n")
    return "".join(writer.pieces)


def is_number(value: Any) -> bool:
    """Whether a piece of plain data is a number."""
    return isinstance(value, JsonNumber) or (isinstance(value, int) and not isinstance(value, bool))


def plain_text(value: Any, maximum_letters: int | None = None) -> str:
    """Plain data as text: a text as it is, else JSON, which ends soon behind so many letters."""
    return str(value) if isinstance(value, str) else json_text(value, maximum_letters=maximum_letters)


class _Writer:
    """Writes JSON piece by piece: the encoders that there are write numbers as floats or as texts."""

    def __init__(self, indent: int | None, maximum_letters: int | None) -> None:
        self.pieces: list[str] = []
        self._indent = None if indent is None else " " * indent
        self._colon = ":" if indent is None else ": "
        self._room = maximum_letters

    def write(self, value: Any, line: str) -> None:
        """Writes a value; `line` is what a line begins with that is as far in as the value."""
        if isinstance(value, dict) and value:
            self._write_members("{", value.items(), "}", line)
        elif isinstance(value, list) and value:
            self._write_members("[", ((None, each) for each in value), "]", line)
        else:
            self._add(_leaf_json(value))

    def _write_members(self, begin: str, members: Iterable[tuple[str | None, Any]], end: str, line: str) -> None:
        inner = "" if self._indent is None else line + self._indent
        before = begin
        for name, each in members:
            self._add(f"{before}{inner}" if name is None else f"{before}{inner}{quoted(name)}{self._colon}")
            self.write(each, inner)
            before = ","
        self._add(end if self._indent is None else f"{line}{end}")

    def _add(self, piece: str) -> None:
        self.pieces.append(piece)
        if self._room is not None:
            self._room -= len(piece)
            if self._room < 0:
                raise _Full


def _leaf_json(value: Any) -> str:
    if isinstance(value, JsonNumber):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    return str(value) if isinstance(value, int) else "[]" if isinstance(value, list) else "{}"


_WORDS = {None: "null", True: "true", False: "false"}
