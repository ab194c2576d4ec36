"""What is inside of a dead letter's value, held against what a query asks for there."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from pipeline.orders.mapping.paths import Path, look_up, parse_path
from pipeline.orders.mapping.values import JsonNumber, ValueMismatchError
from pipeline.records import Headers
from pipeline.search.folding import folded

MAXIMUM_BYTES = 1_000_000
"""All of a value becomes objects, which take ten times its room: into larger ones nobody looks."""
_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_STANDS: dict[str, Callable[[Any, Any], bool]] = {
    ":": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Stored(NamedTuple):
    """What of a dead letter its value is read by. `topic` is the dead-letter topic."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    topic: str | None
    source_topic: str | None


class ReadValue(NamedTuple):
    """A value as plain data. `unread`: why it is none although it should be; empty for what is no data at all."""

    data: Any
    unread: str = ""


ValueReader = Callable[[Stored], ReadValue]
"""Reads the value of a dead letter, whatever it is written in. Raises nothing."""


def stands(data: Any, path: str, sign: str, wanted: str) -> bool:
    """Whether what a path leads to in a value stands so to a text; through a list, whether one of its items does.

    Numbers are compared as numbers where the text is one too, all else as texts in any case. What is not there, null,
    an object or a list does not stand so to anything.
    """
    try:
        found = look_up(data, _path(path))
    except ValueMismatchError:
        return False
    items = found if isinstance(found, list) and _path(path).has_each else [found]
    return any(_stands(item, sign, wanted) for item in items)


def _stands(found: Any, sign: str, wanted: str) -> bool:
    if found is None or isinstance(found, (dict, list)):
        return False
    if isinstance(found, bool):
        return _STANDS[sign](str(found).lower(), folded(wanted))
    if isinstance(found, (int, JsonNumber)) and _NUMBER.fullmatch(wanted):
        return _STANDS[sign](Decimal(found), Decimal(wanted))
    return _STANDS[sign](folded(str(found)), folded(wanted))


@lru_cache(maxsize=64)
def _path(text: str) -> Path:
    return parse_path(text)
