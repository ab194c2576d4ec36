"""What is odd about a decoded value beside good ones: paths that are missing, new, of another type, null or empty, and
values that none of the good ones has.

Plain data is compared, whatever format it was read from. Items of lists are held against all items at that path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from pipeline.orders.formats.plain_values import is_number, json_text
from pipeline.orders.mapping.paths import Path

DifferenceKind = Literal["missing", "type", "null", "empty", "value", "extra"]
MOST_DIFFERENCES = 100
MOST_LOOKED_AT = 20_000
"""Of a larger value only so many fields and items are compared."""
SHOWN_LETTERS = 120
ENOUGH = 5
"""Before so many values were seen, no number is out of their range."""
ENOUGH_TEXTS, FEW_TEXTS = 20, 8
"""So many values with so few different texts are a choice of these."""
_SHAPES = (
    ("a number", re.compile(r"[+-]?\d+(?:\.\d+)?")),
    ("a date or time", re.compile(r"\d{4}-\d\d-\d\d(?:[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?)?")),
    ("a UUID", re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")),
    ("an e-mail address", re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")),
)
_KINDS: dict[type, str] = {dict: "object", list: "list", str: "text", bool: "true or false", type(None): "null"}
_SEVERITY: dict[DifferenceKind, int] = {"missing": 0, "type": 1, "null": 2, "empty": 3, "extra": 4, "value": 5}


@dataclass(frozen=True, slots=True)
class Difference:
    """What is odd at a path: what stands `here`, and what good values have there, both in words."""

    path: str
    kind: DifferenceKind
    here: str
    good: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences, the worst first. `cut` says what was not compared, empty when all was."""

    differences: tuple[Difference, ...]
    cut: str = ""


@dataclass(slots=True)
class _Seen:
    """What good values have at one path."""

    count: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    fields: dict[str, _Seen] = field(default_factory=dict)
    items: _Seen | None = None
    empty: int = 0
    low: Decimal | None = None
    high: Decimal | None = None
    texts: dict[str, None] = field(default_factory=dict)
    shapes: set[str] = field(default_factory=set)
    example: Any = None

    def add(self, value: Any, room: _Room) -> None:
        """Takes note of a value."""
        if not room.take():
            return
        kind = _kind(value)
        self.count += 1
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self.empty += _is_empty(value)
        if self.example is None:
            self.example = value
        if isinstance(value, dict):
            for name, each in value.items():
                self.fields.setdefault(name, _Seen()).add(each, room)
        elif isinstance(value, list):
            self.items = self.items or _Seen()
            for each in value:
                self.items.add(each, room)
        elif is_number(value):
            number = Decimal(str(value))
            self.low = number if self.low is None else min(self.low, number)
            self.high = number if self.high is None else max(self.high, number)
        elif isinstance(value, str):
            self.shapes.add(_shape(value))
            if len(self.texts) <= FEW_TEXTS:
                self.texts[value] = None

    @property
    def words(self) -> str:
        """What stands there in good values."""
        kinds = " or ".join(self.kinds)
        if self.example is None or isinstance(self.example, dict | list):
            return kinds
        return f"{kinds}, as {_shown(self.example)}"


@dataclass(slots=True)
class _Room:
    """How much may still be looked at."""

    left: int

    def take(self) -> bool:
        self.left -= 1
        return self.left >= 0


def compare(value: Any, good: Sequence[Any], most: int = MOST_DIFFERENCES, room: int = MOST_LOOKED_AT) -> Comparison:
    """What is odd about a value beside good ones, of which the first is the one to show. All are plain data."""
    seen, rooms = _Seen(), (_Room(room), _Room(room))
    for each in good:
        seen.add(each, rooms[0])
    found: list[Difference] = []
    if good:
        _compare(value, seen, (), found, rooms[1])
    found.sort(key=lambda each: _SEVERITY[each.kind])
    cut = f"only the first {room:,} fields and items were compared" if min(each.left for each in rooms) < 0 else ""
    if len(found) > most:
        cut = "; ".join(filter(None, (f"the first {most:,} of {len(found):,} differences", cut)))
    return Comparison(tuple(found[:most]), cut)


def _compare(value: Any, seen: _Seen, steps: tuple[str | int, ...], found: list[Difference], room: _Room) -> None:
    if not room.take():
        return
    odd = _oddity(value, seen)
    if odd is not None:
        kind, good = odd
        found.append(Difference(str(Path(steps)) if steps else "(all of it)", kind, _shown(value), good))
    elif isinstance(value, dict):
        _compare_fields(value, seen, steps, found, room)
    elif isinstance(value, list) and seen.items is not None and seen.items.count:
        for index, each in enumerate(value):
            _compare(each, seen.items, (*steps, index), found, room)


def _compare_fields(
    value: dict[str, Any], seen: _Seen, steps: tuple[str | int, ...], found: list[Difference], room: _Room
) -> None:
    objects = seen.kinds.get("object", 0)
    for name, field_seen in seen.fields.items():
        # What some good ones lack too is optional.
        if name not in value and field_seen.count >= objects:
            found.append(Difference(str(Path((*steps, name))), "missing", "", field_seen.words))
    for name, each in value.items():
        if name in seen.fields:
            _compare(each, seen.fields[name], (*steps, name), found, room)
        else:
            found.append(Difference(str(Path((*steps, name))), "extra", _shown(each), "not there"))


def _oddity(value: Any, seen: _Seen) -> tuple[DifferenceKind, str] | None:
    """What is odd about a value itself, whatever it holds."""
    kind = _kind(value)
    if kind not in seen.kinds:
        return ("null" if value is None else "type"), seen.words
    if _is_empty(value) and not seen.empty:
        return "empty", seen.words
    if is_number(value):
        return _odd_number(Decimal(str(value)), seen)
    return _odd_text(value, seen) if isinstance(value, str) and value else None


def _odd_number(number: Decimal, seen: _Seen) -> tuple[DifferenceKind, str] | None:
    if seen.low is None or seen.high is None or seen.kinds["number"] < ENOUGH or seen.low <= number <= seen.high:
        return None
    return "value", f"from {seen.low} to {seen.high}"


def _odd_text(value: str, seen: _Seen) -> tuple[DifferenceKind, str] | None:
    count = seen.kinds["text"]
    if count >= ENOUGH and len(seen.shapes) == 1 and (shape := next(iter(seen.shapes))) and _shape(value) != shape:
        return "value", f"{shape}, as {_shown(next(iter(seen.texts)))}"
    if count >= ENOUGH_TEXTS and len(seen.texts) <= FEW_TEXTS and value not in seen.texts:
        return "value", f"one of {', '.join(map(_shown, seen.texts))}"
    return None


def _kind(value: Any) -> str:
    return "number" if is_number(value) else _KINDS.get(type(value)) or _of_subclass(value)


def _of_subclass(value: Any) -> str:
    return next((name for kind, name in _KINDS.items() if isinstance(value, kind)), type(value).__name__)


def _is_empty(value: Any) -> bool:
    return isinstance(value, str | list | dict) and not value


def _shape(value: str) -> str:
    """What a text looks like; empty where it looks like nothing in particular."""
    return next((name for name, pattern in _SHAPES if pattern.fullmatch(value)), "") if len(value) < 80 else ""


def _shown(value: Any) -> str:
    is_text = isinstance(value, str) and not is_number(value)
    text = f'"{value}"' if is_text else json_text(value, maximum_letters=SHOWN_LETTERS)
    return text if len(text) <= SHOWN_LETTERS else f"{text[:SHOWN_LETTERS]}…"
