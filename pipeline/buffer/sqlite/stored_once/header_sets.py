"""Header sets in pieces: names, their order, and values that repeat are the same in all dead letters of one cause."""

from __future__ import annotations

from collections.abc import Hashable
from json.encoder import encode_basestring as quoted
from typing import NamedTuple

from pipeline.buffer.sqlite.stored_once.letter import COLUMNS, WholeLetter, column_of, says
from pipeline.buffer.sqlite.stored_once.places import SHORTEST_REFERENCE, FromReason, Place, Varying
from pipeline.headers.codec import value_to_json
from pipeline.records import Headers


class _OfColumn(NamedTuple):
    """One of COLUMNS, by its number there."""

    number: int
    kind: str = "column"


class _TheStack(NamedTuple):
    """The row's stack trace."""

    kind: str = "stack"


_STACK = _TheStack()
_OF_COLUMNS = tuple(map(_OfColumn, range(len(COLUMNS))))


class HeaderPlaces:
    """What is known of headers with the same names in the same order, of one group."""

    __slots__ = ("_places",)

    def __init__(self, letter: WholeLetter, stack: bytes | None) -> None:
        self._places = [_HeaderPlace(value, letter, stack) for _, value in letter.headers]

    def apart(self, letter: WholeLetter, stack: bytes | None) -> tuple[tuple[Hashable, ...], list[str]]:
        """What stands for the value of each header, and those texts of it that are the row's own.

        `stack`: the bytes of the stack trace, where it is stored elsewhere.
        """
        own: list[str] = []
        parts = [
            # Nearly always it is one that was there before. The stack trace is not: to look for it takes long.
            value if not place.refers and value in place.fixed else place.apart(value, letter, stack, own)
            for place, (_, value) in zip(self._places, letter.headers, strict=True)
        ]
        return tuple(parts), own


class _HeaderPlace(Place):
    """The value of a header. What it repeats, the stack trace or the reason's end, is seen at the first one."""

    __slots__ = ("refers",)

    def __init__(self, value: bytes | None, letter: WholeLetter, stack: bytes | None) -> None:
        super().__init__()
        self.refers = ""
        if value is not None and value == stack:
            self.refers = "stack"
        elif _from_reason(value, letter.reason) is not None:
            self.refers = "reason"

    def apart(self, value: bytes | None, letter: WholeLetter, stack: bytes | None, own: list[str]) -> Hashable:
        if self.refers == "stack" and value is not None and value == stack:
            return _STACK
        if self.refers == "reason" and (start := _from_reason(value, letter.reason)) is not None:
            return start
        if not self.varies:
            if value in self.fixed or self.takes(value, value_to_json(value)):
                return value
            self.column = column_of(letter, value)
        if self.column is not None and says(letter, self.column, value):
            return _OF_COLUMNS[self.column]
        return self.own(value_to_json(value), own)


def _from_reason(value: bytes | None, reason: str) -> FromReason | None:
    """From which character on the reason is the whole of a header's value."""
    if value is None or len(value) < SHORTEST_REFERENCE or "\0" in reason or not reason.encode().endswith(value):
        return None
    # Whatever begins in the middle of a character is no text.
    try:
        return FromReason(len(reason) - len(value.decode()) + 1)
    except UnicodeDecodeError:
        return None


def header_pieces(headers: Headers, parts: tuple[Hashable, ...]) -> str:
    """The parts as pieces."""
    pieces: list[str] = []
    text = "["
    number = 0
    for index, ((name, _), part) in enumerate(zip(headers, parts, strict=True)):
        text += f"{', ' if index else ''}[{quoted(name)}, "
        if part is None or isinstance(part, bytes):
            text += value_to_json(part)
        elif isinstance(part, Varying):
            pieces += [quoted(text + part.begin), str(number)]
            text, number = part.end, number + 1
        else:
            pieces += [quoted(text), _reference(part)]
            text = ""
        text += "]"
    return f"[{','.join([*pieces, quoted(text + ']')])}]"


def _reference(part: Hashable) -> str:
    if isinstance(part, FromReason):
        return f"[{part.start}]"
    if isinstance(part, _OfColumn):
        # In quotes, which a text of JSON has.
        return f'"\\"",{-1 - part.number},"\\""'
    return "null"
