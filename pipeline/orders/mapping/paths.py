"""Paths into a record, as the mapping file writes them: `order.lines[0].sku`, `lines[].price`, `"odd name".id`."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.orders.mapping.values import ValueMismatchError, described

MAXIMUM_ITEMS = 10_000
"""Of a list with more items none is looked at one by one: no order has so many lines."""
TYPE = "@type"
"""The last step of a path may ask for the name of the type of a record: an Avro union's branch, a Protobuf message."""

_TOKEN = re.compile(
    r'(?P<dot>\.)|\[(?P<index>(?:-?[0-9]{1,6})?)\]|"(?P<quoted>(?:[^"\\]|\\.)+)"|(?P<name>@?[^\s."\[\](){}*,=!<>]+)',
    re.DOTALL,
)


# What means something else at the beginning of a source or in `where`, unless it is quoted.
_RESERVED = re.compile(r"(?:key|timestamp|and|or|not|in|true|false|null)(?![\w.\[-])|header:|-?[0-9]|'")


class PathError(ValueError):
    """A text is no path; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Each:
    """The step `[]`: every item of a list."""

    def __str__(self) -> str:
        return "[]"


EACH = Each()
Step = str | int | Each
"""A field's name (or a map's key), an item's index (from 0; -1 is the last), or every item."""


@dataclass(frozen=True, slots=True)
class Path:
    """The way from a record's value down to one value in it, or with one EACH to one of each item."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        written = list(_written(self.steps))
        if _RESERVED.match("".join(written).removeprefix(".")):
            written[0] = f".{quoted(str(self.steps[0]))}"
        return "".join(written).removeprefix(".")

    @property
    def has_each(self) -> bool:
        """Whether it leads to a list of values, one for each item."""
        return EACH in self.steps

    @property
    def list_steps(self) -> tuple[Step, ...]:
        """The steps to the list whose items it goes through."""
        return self.steps[: self.steps.index(EACH)]

    def upto(self, count: int) -> str:
        """How its first steps are written; the value itself for none."""
        return str(Path(self.steps[:count])) if count else "the value"


def _written(steps: tuple[Step, ...]) -> Iterator[str]:
    for step in steps:
        if isinstance(step, str):
            plain = _TOKEN.fullmatch(step)
            yield f".{step if plain and plain['name'] else quoted(step)}"
        else:
            yield str(step) if isinstance(step, Each) else f"[{step}]"


def quoted(name: str) -> str:
    """A name as paths have it that is not of plain characters."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquoted(text: str) -> str:
    """What `quoted` was given, without the quotes around it."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def parse_path(text: str) -> Path:
    """The path that a text writes. Raises PathError."""
    at, path = read_path(text, 0)
    if at != len(text):
        raise PathError(f"{text!r} is no path: it goes wrong at character {at + 1}")
    return path


def read_path(text: str, at: int) -> tuple[int, Path]:
    """The path that begins at a character of a text, and where it ends. Raises PathError."""
    begin, steps = at, list[Step]()
    wants_name = True
    while match := _TOKEN.match(text, at):
        if match["dot"]:
            if wants_name:
                break
            wants_name, at = True, match.end()
            continue
        if match["index"] is not None:
            if wants_name and steps:
                break
            steps.append(int(match["index"]) if match["index"] else EACH)
        elif wants_name:
            steps.append(match["name"] or unquoted(match["quoted"]))
        else:
            break
        wants_name, at = False, match.end()
    if not steps or wants_name:
        raise PathError(f"{text!r} is no path: it goes wrong at character {at + 1}")
    _check(steps, text[begin:at])
    return at, Path(tuple(steps))


def _check(steps: list[Step], text: str) -> None:
    if steps.count(EACH) > 1:
        raise PathError(f"{text!r} goes through two lists; only one [] can be followed")
    if TYPE in steps[:-1]:
        raise PathError(f"{text!r} goes on behind {TYPE}")


def look_up(value: Any, path: Path) -> Any:
    """What a path leads to in a value that was read whole; None when it is not there.

    Raises ValueMismatchError, beginning with the path of what is in the way.
    """
    return _follow(value, path, 0)


def _follow(value: Any, path: Path, depth: int) -> Any:
    for at in range(depth, len(path.steps)):
        if value is None:
            return None
        step = path.steps[at]
        if isinstance(step, str):
            value = _field(value, step, path, at)
            continue
        if not isinstance(value, list):
            raise ValueMismatchError(f"{path.upto(at)} is {described(value)}; expected a list")
        if isinstance(step, Each):
            check_count(path, len(value))
            return [_follow(each, path, at + 1) for each in value]
        value = value[step] if -len(value) <= step < len(value) else None
    return value


def check_count(path: Path, count: int) -> None:
    """Raises ValueMismatchError when a list has too many items to go through."""
    if count > MAXIMUM_ITEMS:
        raise ValueMismatchError(f"{Path(path.list_steps)} is a list of {count}; expected at most {MAXIMUM_ITEMS}")


def _field(value: Any, name: str, path: Path, at: int) -> Any:
    if name == TYPE:
        return getattr(value, "type_name", None)
    if not isinstance(value, dict):
        raise ValueMismatchError(f"{path.upto(at)} is {described(value)}; expected an object with {name}")
    return value.get(name)


class TypeName(str):
    """The full name of a record's type, which equals its name without a namespace too."""

    __slots__ = ()

    def is_one_of(self, names: Container[str]) -> bool:
        """Whether either is among these."""
        return str(self) in names or self.rpartition(".")[2] in names


class RecordValue(dict[str, Any]):
    """A record with the name of its type: an Avro record's full name, or that of a Protobuf message."""

    __slots__ = ("type_name",)

    def __init__(self, fields: dict[str, Any], type_name: str) -> None:
        super().__init__(fields)
        self.type_name = TypeName(type_name)
