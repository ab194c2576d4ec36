"""What a dialect of dead-letter headers is: the names of its headers, how to read them, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.headers.values import HeadersByName
from pipeline.records import Failure

HeaderOrder = Literal["appended", "prepended", "unordered"]
"""What the writer does with the headers that the record came with.

- `appended`: it puts its own after them.
- `prepended`: it puts its own before them.
- `unordered`: it keeps all headers in a hash map, and writes all of them, its own and those that were there, in any
  order. Only values of one name stay in their order, where it keeps more than one. What the order of a record's headers
  says is lost as soon as one such writer had it, so nothing depends on it any more: `failure_order` decides by what the
  headers say.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dialect:
    """How one program describes a failure in headers.

    A record carries the dialect when it has any of `header_names`, and all of `required`: names that others may use too
    do not suffice alone. No two dialects share a name in `header_names`.
    """

    name: str
    header_names: frozenset[str]
    """Every header that `read` looks at, and those that the program writes beside them."""
    read: Callable[[HeadersByName], Failure]
    """What the headers say; called for records that carry the dialect. It never raises: what is malformed is None."""
    header_order: HeaderOrder
    required: frozenset[str] = frozenset()
    binary_numbers: Mapping[str, Callable[[bytes | None], int | None]] = field(default_factory=dict)
    """Headers that hold a binary number, and how to read it."""
    keeps_timestamp: bool = False
    """Whether the dead letter has the timestamp of the record that failed; else it has that of the failure."""
    writer: tuple[str, ...] = ()
    """Headers that together name who failed it, where that is no consumer group."""
    not_replayed: frozenset[str] = frozenset()
    """Headers that a replay leaves out, in `header_names` or not: they hold the failure that it is to undo, or count
    attempts, so that the record would go to the dead-letter topic at its first hiccup. Where only they tell the origin,
    the replay names it in headers of ours.
    """
    may_lack_body: bool = False
    """Whether it writes dead letters without the record's key and value: where neither is there, they are elsewhere."""
    never_written: frozenset[str] = frozenset()
    """Values of `stage` of records that could not be written: the source topic has never had them, and the dead letter
    holds them in another form.
    """
    refuses_value: Callable[[bytes | None], bool] | None = None
    """Header values that the program cannot take: a replay to it leaves out headers of all dialects that have one."""
    topics: str = ""
    """A regular expression of the names that the program gives its topics of dead letters and of retries, unless it is
    told otherwise. Such a topic is never read as orders because of a pattern.
    """
    older: tuple[Dialect, ...] = ()
    """The same program's headers before they got other names."""
    borrows_from: Dialect | None = None
    """The dialect whose headers it writes too, beside its own: both then name the same position."""
    not_borrowed: frozenset[str] = frozenset()
    """Headers of that dialect that it never writes: where one is there, that program has written, too."""
