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

from pipeline.buffer.sqlite.search.letter_texts import folded_values, short_values
from pipeline.buffer.sqlite.stored_once.names import is_ours, stored_name
from pipeline.buffer.sqlite.stored_once.storing import STACK_MARKER
from pipeline.buffer.sqlite.stored_once.together import fixed_texts, headers_of_set, own_lines
from pipeline.search.folding import folded

_Cell = str | bytes | None
_LAST_PART = re.compile(r"[.$:/\\]")


def register(connection: sqlite3.Connection) -> None:
    """Makes them known to a connection."""
    for name, arguments, function in (
        ("folded", 1, _folded),
        ("holds", 2, _holds),
        ("is_class", 2, is_class),
        ("letter_holds", -1, _letter_holds),
        ("short_header_holds", 3, _short_header_holds),
        ("has_header", 3, _has_header),
        ("has_stack", 2, _has_stack),
        ("stored_name", 1, stored_name),
        ("headers_of_set", -1, headers_of_set),
        ("stack_holds", 3, _stack_holds),
        ("own_lines_hold", 4, _own_lines_hold),
        ("set_holds", 2, _set_holds),
    ):
        connection.create_function(name, arguments, function, deterministic=True)


def text_of(cell: _Cell) -> str | None:
    """The text in a cell, as far as its bytes are UTF-8; NULL stays NULL."""
    return cell.decode(errors="replace") if isinstance(cell, bytes) else cell


def _text(cell: _Cell) -> str:
    return text_of(cell) or ""


def _folded(cell: _Cell) -> str | None:
    """The text folded; NULL stays NULL."""
    return None if cell is None else folded(_text(cell))


def _holds(wanted: str, cell: _Cell) -> bool:
    """Whether a text holds another, which is folded."""
    return wanted in folded(_text(cell))


def _set_holds(wanted: str, pieces: str) -> bool:
    """Whether a short value that is the same in all dead letters of a header set holds a text, which is folded."""
    return any(wanted in value for value in folded_values(pieces))


def _stack_holds(wanted: str, stacktrace: str, in_pieces: int) -> bool:
    """Whether what is the same in all stack traces that are stored so holds a text, which is folded."""
    return any(wanted in folded(text) for text in fixed_texts(stacktrace, in_pieces))


def _own_lines_hold(wanted: str, pieces: str | None, own: str | None, reason: str) -> bool:
    """Whether the lines hold it that are a letter's own."""
    return pieces is not None and any(wanted in folded(line) for line in own_lines(pieces, own, reason))


@lru_cache(maxsize=256)
def is_class(wanted: str, error_class: _Cell) -> bool | None:
    """Whether that is an error's class, with or without its package; NULL stays NULL."""
    if error_class is None:
        return None
    name = folded(_text(error_class))
    return name == wanted or _LAST_PART.split(name)[-1] == wanted


def _letter_holds(wanted: str, name: str, *cells: _Cell) -> bool:
    """Whether one of these texts or a dead letter's name holds a text, which is folded.

    A name of ours does where it begins with it.
    """
    texts = [_text(cell) for cell in cells]
    if not is_ours(name):
        texts.append(name)
    elif name.startswith(wanted):
        return True
    if "\0" in wanted:
        return any(wanted in folded(text) for text in texts)
    # At once: no match begins in one of them and ends in the next.
    return wanted in folded("\0".join(texts))


def _short_header_holds(wanted: str, headers: str, name: str) -> bool:
    """Whether the value of a short header holds a text, which is folded."""
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
    return f"[{quoted(name)}, {STACK_MARKER}]" in headers
