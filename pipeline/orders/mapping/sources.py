"""Where a value of an order comes from: the record's value by a path, its key, a header, its timestamp."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.orders.mapping.paths import Path, PathError, quoted, read_path, unquoted
from pipeline.orders.mapping.values import ValueMismatchError
from pipeline.records import Headers

KEY = "key"
TIMESTAMP = "timestamp"
_WORD = re.compile(r"(?:key|timestamp)(?![\w.\[-])")
_HEADER = re.compile(r'header:(?:"(?P<quoted>(?:[^"\\]|\\.)+)"|(?P<name>[^\s"(),\[\]=!<>]+))', re.DOTALL)


@dataclass(frozen=True, slots=True)
class HeaderSource:
    """The last header of this name."""

    name: str

    def __str__(self) -> str:
        plain = _HEADER.fullmatch(f"header:{self.name}")
        return f"header:{self.name if plain and plain['name'] else quoted(self.name)}"


@dataclass(frozen=True, slots=True)
class RecordSource:
    """The record's key as text, or its timestamp."""

    name: str

    def __str__(self) -> str:
        return f"the record's {self.name}"


Source = Path | HeaderSource | RecordSource


@dataclass(slots=True)
class Parts:
    """What a record is made of: `values[i]` is what path i of the mapping leads to, the rest as Kafka gave it."""

    values: Sequence[Any]
    key: bytes | None = None
    headers: Headers = ()
    timestamp_ms: int = -1
    append_time: bool = False


def parse_source(text: str) -> Source:
    """The source that a text names: `key`, `timestamp`, `header:NAME`, or a path. Raises PathError."""
    at, source = read_source(text, 0)
    if at != len(text):
        raise PathError(f"{text!r} is no path: it goes wrong at character {at + 1}")
    return source


def read_source(text: str, at: int) -> tuple[int, Source]:
    """The source that begins at a character of a text, and where it ends. Raises PathError."""
    if word := _WORD.match(text, at):
        return word.end(), RecordSource(word.group())
    if header := _HEADER.match(text, at):
        name = header["name"] or unquoted(header["quoted"])
        return header.end(), HeaderSource(name)
    return read_path(text, at)


def header_text(headers: Headers, name: str) -> str | None:
    """The last header of a name as text; None when there is none. Raises ValueMismatchError when it is no UTF-8."""
    for each, value in reversed(headers):
        if each == name and value is not None:
            return _text(value)
    return None


def key_text(key: bytes | None) -> str | None:
    """A key as text. Raises ValueMismatchError when it is no UTF-8."""
    return None if key is None else _text(key)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise ValueMismatchError(f"bytes ({len(raw)}) that are no UTF-8") from error
