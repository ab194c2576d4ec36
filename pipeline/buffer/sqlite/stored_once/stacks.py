"""Stack traces in pieces: the frames of one cause are the same, what was thrown says another id each time."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable
from json.encoder import encode_basestring as quoted

from pipeline.buffer.sqlite.stored_once.places import SHORTEST_REFERENCE, FromReason, Place, Varying, end_of_reason

MOST_HEADS = 24
_HEAD = re.compile(r"\n(?:[^\s]| *---> )[^\n]*")
"""The end of a line, and one that is no frame: frames are indented. .NET indents its inner exceptions, too. That it
begins with a letter makes the search several times as fast."""


class StackPlaces:
    """What is known of the stack traces of one group."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: defaultdict[int, _Head] = defaultdict(_Head)

    def apart(self, stack: str, reason: str) -> tuple[tuple[Hashable, ...], list[str]]:
        """The parts of a stack trace in order, and those texts of it that are the row's own."""
        parts: list[Hashable] = []
        own: list[str] = []
        begin = stack.find("\n")
        if begin < 0:
            return self._heads[0].apart(stack, reason, own), own
        parts += self._heads[0].apart(stack[:begin], reason, own)
        for number, head in enumerate(_HEAD.finditer(stack, begin), 1):
            if number == MOST_HEADS:
                return (stack,), []
            first = head.start() + 1
            parts.append(stack[begin:first])
            begin = head.end()
            parts += self._heads[number].apart(stack[first:begin], reason, own)
        parts.append(stack[begin:])
        return tuple(parts), own


class _Head:
    """A line that says what was thrown: the n-th of a stack trace."""

    __slots__ = ("_from_reason", "_is_new", "_place")

    def __init__(self) -> None:
        self._place = Place()
        self._from_reason: FromReason | None = None
        self._is_new = True

    def apart(self, line: str, reason: str, own: list[str]) -> tuple[Hashable, ...]:
        if self._is_new:
            self._is_new = False
            self._from_reason = end_of_reason(line, reason)
        if self._from_reason is not None:
            end = reason[self._from_reason.start - 1 :]
            if len(end) >= SHORTEST_REFERENCE and line.endswith(end):
                return self._before(line[: -len(end)], own), self._from_reason
        return (self._before(line, own),)

    def _before(self, text: str, own: list[str]) -> Hashable:
        place = self._place
        return text if text in place.fixed or place.takes(text, text) else place.own(text, own)


def stack_pieces(parts: tuple[Hashable, ...]) -> str | None:
    """The parts as pieces; None where the stack trace is one text without gaps."""
    pieces: list[str] = []
    text = ""
    number = 0
    for part in parts:
        if isinstance(part, str):
            text += part
        elif isinstance(part, Varying):
            pieces += [quoted(text + part.begin), str(number)]
            text, number = part.end, number + 1
        elif isinstance(part, FromReason):
            pieces += [quoted(text), f"[{part.start}]"]
            text = ""
    if not pieces:
        return None
    return f"[{','.join([*pieces, quoted(text)])}]"
