"""What is inside of a dead letter's value, held against what a query asks for there."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from pipeline.errors import UndecodableError
from pipeline.orders.mapping.paths import Path, look_up, parse_path
from pipeline.orders.mapping.values import JsonNumber, ValueMismatchError
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


def read_value(value: bytes) -> Any:
    """All of a value. Raises UndecodableError for one that is no JSON or has more than a megabyte."""
    # Every process that opens the buffer knows this function, and hardly any calls it: the reader takes long to import.
    from pipeline.orders.formats.json_values import check_json, whole_json

    if len(value) > MAXIMUM_BYTES:
        raise UndecodableError(f"value has {len(value)} bytes; at most {MAXIMUM_BYTES} are looked at here")
    check_json(value)
    try:
        return whole_json(value)
    except RecursionError as error:
        raise UndecodableError("value is nested too deeply") from error


def stands_inside(path: str, sign: str, wanted: str, value: bytes | None) -> bool:
    """Whether what a path leads to in a value stands so to a text; through a list, whether one of its items does.

    Numbers are compared as numbers where the text is one too, all else as texts in any case. What cannot be read, is
    not there, null, an object or a list does not stand so to anything.
    """
    if not value:
        return False
    try:
        found = look_up(read_value(value), _path(path))
    except (UndecodableError, ValueMismatchError):
        return False
    items = found if isinstance(found, list) and _path(path).has_each else [found]
    return any(_stands(item, sign, wanted) for item in items)


def _stands(found: Any, sign: str, wanted: str) -> bool:
    if found is None or isinstance(found, (dict, list)):
        return False
    if isinstance(found, JsonNumber) and _NUMBER.fullmatch(wanted):
        return _STANDS[sign](Decimal(found), Decimal(wanted))
    text = str(found).lower() if isinstance(found, bool) else folded(str(found))
    return _STANDS[sign](text, folded(wanted))


@lru_cache(maxsize=64)
def _path(text: str) -> Path:
    return parse_path(text)
