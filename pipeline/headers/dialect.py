"""What a dialect of dead-letter headers is: the names that give it away, and how to read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipeline.headers.values import ByName
from pipeline.records import Failure


@dataclass(frozen=True, slots=True)
class Dialect:
    """One program's way to describe a failure in headers.

    A record speaks it when it has any of `marks`, and all of `needed`: names that others may use too do not suffice
    alone. No two dialects share a mark.
    """

    name: str
    marks: frozenset[str]
    read: Callable[[ByName], Failure]
    needed: frozenset[str] = frozenset()
    numbers: Mapping[str, Callable[[bytes | None], int | None]] = field(default_factory=dict)
    """Headers that hold a binary number, and how to read it."""
    prepends: bool = False
    """Whether it puts its headers before those that the record came with; all others put theirs after them."""
    keeps_timestamp: bool = False
    """Whether the dead letter has the timestamp of the record that failed."""
    same_places_as: str = ""
    """The dialect whose headers for places it uses: both name the same origin."""
