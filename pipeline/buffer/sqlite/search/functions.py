"""What SQLite cannot tell of texts and headers: functions of ours that conditions of queries call.

SQLite folds ASCII letters only, and knows nothing of headers as they are stored.
"""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from functools import lru_cache
from json.encoder import encode_basestring as quoted

from pipeline.buffer.sqlite.search.letter_texts import is_ours, short_values
from pipeline.search.folding import folded
from pipeline.search.inside import stands_inside

_Cell = str | bytes | None
MARKER = '{"stacktrace":1}'
"""What stands in a row's headers for its stack trace, see stores/stacktraces.py."""
_LAST_PART = re.compile(r"[.$:/\\]")


def register(connection: sqlite3.Connection) -> None:
    """Makes them known to a connection."""
    for name, arguments, function in (
        ("folded", 1, _folded),
        ("holds", 2, _holds),
        ("is_class", 2, _is_class),
        ("letter_holds", -1, _letter_holds),
        ("has_header", 3, _has_header),
        ("has_stack", 2, _has_stack),
        ("stands_inside", 4, stands_inside),
    ):
        connection.create_function(name, arguments, function, deterministic=True)


def _text(cell: _Cell) -> str:
    return "" if cell is None else cell if isinstance(cell, str) else cell.decode(errors="replace")


def _folded(cell: _Cell) -> str | None:
    """The text folded; NULL stays NULL."""
    return None if cell is None else folded(_text(cell))


def _holds(wanted: str, cell: _Cell) -> bool:
    """Whether a text holds another, which is folded."""
    return wanted in folded(_text(cell))


@lru_cache(maxsize=256)
def _is_class(wanted: str, error_class: _Cell) -> bool | None:
    """Whether that is an error's class, with or without its package; NULL stays NULL."""
    if error_class is None:
        return None
    name = folded(_text(error_class))
    return name == wanted or _LAST_PART.split(name)[-1] == wanted


def _letter_holds(wanted: str, headers: str, name: str, *cells: _Cell) -> bool:
    """Whether one of these texts, the value of a short header or a dead letter's name holds a text, which is folded.

    A name of ours begins with it.
    """
    texts = [_text(cell) for cell in cells]
    if is_ours(name):
        if name.startswith(wanted):
            return True
    else:
        texts.append(name)
    if "\0" in wanted:
        return any(wanted in folded(text) for text in texts) or _short_header_holds(wanted, headers, name)
    # At once: no match begins in one of them and ends in the next.
    return wanted in folded("\0".join(texts)) or _short_header_holds(wanted, headers, name)


def _short_header_holds(wanted: str, headers: str, name: str) -> bool:
    # As it stands in JSON it may hold no more than what it holds itself: nearly always this settles it.
    if quoted(wanted)[1:-1] not in folded(headers):
        return False
    return any(wanted in folded(value) for value in short_values(headers, name))


def _has_header(name: str, wanted: str, headers: str) -> bool:
    """Whether a header of exactly this name has that value, which is folded; a stack stored elsewhere is none."""
    # Whatever is text there stands in their JSON as it is: nearly always this settles it.
    if quoted(wanted)[1:-1] not in folded(headers) and "base64" not in headers:
        return False
    return any(each == name and wanted == _folded_header(value) for each, value in json.loads(headers))


def _folded_header(value: str | dict[str, str] | None) -> str | None:
    if isinstance(value, str):
        return folded(value)
    if value is None or "base64" not in value:
        return None
    return folded(base64.b64decode(value["base64"]).decode(errors="replace"))


def _has_stack(name: str, headers: str) -> bool:
    """Whether the value of a header of exactly this name is the stack trace that is stored elsewhere."""
    return f"[{quoted(name)}, {MARKER}]" in headers
