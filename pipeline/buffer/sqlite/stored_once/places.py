"""What stands in the same place of texts that are alike: the same each time, or another one each time.

Nobody tells which of the two it is. It is learned from what comes, in memory alone: a wrong guess costs some bytes.
"""

from __future__ import annotations

from collections.abc import Hashable
from os.path import commonprefix
from typing import NamedTuple

MOST_FIXED = 4
"""A place that had more different values than this holds another one each time."""
SHORTEST_REFERENCE = 8
"""Characters of a reason from which on it is referred to."""


class Varying(NamedTuple):
    """A text of the row's own, and what stands before and after it each time."""

    begin: str
    end: str
    between: bool = False
    """Whether two different texts were seen: else it is all of one."""


class FromReason(NamedTuple):
    """The reason from this character on, counted from 1."""

    start: int
    kind: str = "reason"
    """Keeps it apart from others that are equal as tuples."""


class Place:
    """One place. Values are whatever can be told apart; `text` is how one is written when it varies."""

    __slots__ = ("_around", "column", "fixed", "varies")

    def __init__(self) -> None:
        self.fixed: dict[Hashable, str] = {}
        """The few values that stand here, as far as it is known by now, and how each is written."""
        self.varies = False
        """Whether it holds another value each time."""
        self._around: dict[str, Varying] = {}
        """What stands around values that vary, by the letter that they begin with: bytes that are no text begin with
        another one than texts do."""
        self.column: int | None = None
        """The column that said the same when this place began to vary; a reader looks whether it does each time."""

    def takes(self, value: Hashable, text: str) -> bool:
        """Whether the value is taken for one of few. From the first that is one too many on, the place varies."""
        if self.varies:
            return False
        if len(self.fixed) < MOST_FIXED:
            self.fixed[value] = text
            return True
        for each in self.fixed.values():
            self._learn(each)
        self.varies = True
        self.fixed = {}
        return False

    def own(self, text: str, own: list[str]) -> Varying:
        """Adds what is the row's own of a text to `own`; returns what stands around it."""
        around = self._around.get(text[:1])
        if (
            around is None
            or len(text) < len(around.begin) + len(around.end)
            or not text.startswith(around.begin)
            or not text.endswith(around.end)
        ):
            around = self._learn(text)
        own.append(text[len(around.begin) : len(text) - len(around.end)])
        return around

    def _learn(self, text: str) -> Varying:
        before = self._around.get(text[:1])
        if before is None:
            around = Varying(text, "")
        else:
            begin = commonprefix([text, before.begin])
            # Of a single one it is not known yet where it ends to be the same.
            before_end = before.end if before.between else before.begin[len(begin) :]
            around = Varying(begin, _common_end([text[len(begin) :], before_end]), between=True)
        self._around[text[:1]] = around
        return around


def end_of_reason(text: str, reason: str) -> FromReason | None:
    """From which character on the reason is how a text ends; None when too little of it is."""
    length = len(_common_end([text, reason]))
    return FromReason(len(reason) - length + 1) if length >= SHORTEST_REFERENCE else None


def _common_end(texts: list[str]) -> str:
    return commonprefix([text[::-1] for text in texts])[::-1]
