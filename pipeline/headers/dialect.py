"""What a dialect of dead-letter headers is: the names that give it away, and how to read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipeline.records import Failure, Headers


@dataclass(frozen=True, slots=True)
class Dialect:
    """One program's way to describe a failure in headers.

    A record speaks it when it has any of `marks`, and all of `needed`: names that others may use too do not suffice
    alone.
    """

    name: str
    marks: frozenset[str]
    read: Callable[[Headers], Failure]
    needed: frozenset[str] = frozenset()
    numbers: Mapping[str, Callable[[bytes | None], int | None]] = field(default_factory=dict)
    """Headers that hold a binary number, and how to read it."""
    prepends: bool = False
    """Whether it puts its headers before those that the record came with; all others put theirs after them."""
    keeps_timestamp: bool = False
    """Whether the dead letter has the timestamp of the record that failed."""

    def span(self, headers: Headers) -> tuple[int, int] | None:
        """The places of the first and the last of its marks among the headers; None when it is not spoken."""
        places = [place for place, (name, _) in enumerate(headers) if name in self.marks]
        if not places or not self.needed <= {name for name, _ in headers}:
            return None
        return places[0], places[-1]
