"""Paths into the payload of a dead letter: `order.customer.country`, `value.order.id`, `key.id`.

They are the paths of the mapping file. What begins with `value` or `key` goes into that part; all else into the value,
so that a field of the value that is itself called so is `value.value` or `value.key`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UsageError
from pipeline.orders.formats.framing import Part
from pipeline.orders.formats.plain_values import plain_text
from pipeline.orders.mapping.paths import Path, PathError, look_up, parse_path
from pipeline.orders.mapping.values import ValueMismatchError

CELL_LETTERS = 2_000
"""An object or a list in a cell is written up to here."""
MAXIMUM_STEPS = 8
"""Paths that are suggested are not longer."""
_PART = re.compile(r"(key|value)(?=[.\[]|$)")


@dataclass(frozen=True, slots=True)
class PayloadPath:
    """Where in a dead letter's key or value something stands. Without steps it is all of that part."""

    part: Part
    path: Path

    def __str__(self) -> str:
        """As people write it, and as columns are called: the part first, whatever the field is called."""
        steps = str(self.path) if self.path.steps else ""
        return f"{self.part}{'' if not steps or steps.startswith('[') else '.'}{steps}"

    def of(self, data: Any) -> Any:
        """What it leads to in the decoded part; None where it leads nowhere."""
        try:
            return look_up(data, self.path)
        except ValueMismatchError:
            return None


def parse_payload_path(text: str) -> PayloadPath:
    """The path that a text writes. Raises UsageError."""
    written = text.strip()
    begins = _PART.match(written)
    part: Part = "key" if begins and begins[1] == "key" else "value"
    rest = written[begins.end() :] if begins else written
    if begins and not rest:
        return PayloadPath(part, Path(()))
    try:
        return PayloadPath(part, parse_path(rest.removeprefix(".") if begins else rest))
    except PathError as error:
        raise UsageError(str(error)) from error


def cell_text(found: Any) -> str | None:
    """What a path leads to as a table shows it: a text as it is, a number by its digits, else JSON."""
    if found is None or isinstance(found, str):
        return found
    text = plain_text(found, CELL_LETTERS)
    return text if len(text) <= CELL_LETTERS else f"{text[:CELL_LETTERS]}…"


def paths_in(values: Sequence[Any], most: int) -> list[str]:
    """The paths to the single values in some decoded values, as people write them: not more than so many."""
    found: dict[str, None] = {}
    for value in values:
        for steps in _leaves(value, ()):
            text = str(Path(steps))
            found[f"value.{text}" if _PART.match(text) else text] = None
            if len(found) >= most:
                return list(found)
    return list(found)


def _leaves(value: Any, steps: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """The steps to each single value; into lists by their first item."""
    if len(steps) >= MAXIMUM_STEPS:
        return
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, (*steps, name))
    elif isinstance(value, list):
        if value:
            yield from _leaves(value[0], (*steps, 0))
    elif steps:
        yield steps
