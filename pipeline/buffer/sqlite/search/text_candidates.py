"""Which dead letters may be meant by a query that asks for texts: the text index names them, newest first.

All that are meant are among them. Whoever asks holds each against the whole query.
"""

from __future__ import annotations

import heapq
import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, groupby, islice
from typing import NamedTuple

from pipeline.buffer.sqlite.search.letter_texts import SHORT_HEADER_LETTERS, match_of
from pipeline.buffer.sqlite.stored_once.names import stored_name
from pipeline.search.fields import FIELDS_BY_NAME
from pipeline.search.folding import FOLDING, folded
from pipeline.search.query import All, Either, InHeader, Leaf, Named, Part, Query, Text

PROBED = 2000
"""So many of each way to candidates are counted to tell which way is the shorter one."""
FEW_LEFT = 50
"""So few are held against the query sooner than against what else the index tells."""
MOST_SHARED = 5000
"""More stack traces or header sets are not named one by one: a text that so many hold is found soon without that."""
SORTED_LETTERS = 100_000
"""So many dead letters of some of these are sorted; of more, all are gone through from the newest on."""
_FOLDED_HEADER_LETTERS = SHORT_HEADER_LETTERS // 4
"""A longer header's value may be longer than a short one before it is folded, four letters to one."""
_OUR_DIGITS = 32
_BEGINS_A_NAME = re.compile("[0-9a-f]{3,32}")
_INDEXED_FIELDS = ("class", "reason", "key", "order", "customer", "product", "stack")

_OF_INDEX = (
    "SELECT rowid FROM letter_index WHERE letter_index MATCH :match "
    "AND rowid BETWEEN :first AND :last ORDER BY rowid DESC"
)
_LONG = "SELECT dead_letter_id FROM long_letters WHERE dead_letter_id BETWEEN :first AND :last ORDER BY 1 DESC"
_OF_STACKS = "stack_ref IN (SELECT value FROM json_each(:stacks))"
_OF_SETS = "set_ref IN (SELECT value FROM json_each(:sets))"
_SPAN = "id BETWEEN :first AND :last"
_SHARING = (
    f"SELECT id FROM dead_letter_rows WHERE {_OF_STACKS} AND {_SPAN} "
    f"UNION SELECT id FROM dead_letter_rows WHERE {_OF_SETS} AND {_SPAN} ORDER BY id DESC"
)
_SHARING_ROW_BY_ROW = (
    f"SELECT id FROM dead_letter_rows WHERE (+{_OF_STACKS} OR +{_OF_SETS}) AND {_SPAN} ORDER BY id DESC"
)
_NAMED = "SELECT id FROM dead_letter_rows WHERE dead_letter_id BETWEEN ? AND ? AND id BETWEEN ? AND ?"
HOLDING_STACKS = (
    "SELECT stack_ref FROM stacktraces WHERE stack_holds({wanted}, stacktrace, in_pieces) AND stack_ref IN ("
    "SELECT rowid FROM stack_index WHERE stack_index MATCH {match} UNION ALL SELECT stack_ref FROM long_stacks "
    "UNION ALL SELECT stack_ref FROM stacktraces "
    "WHERE stack_ref > coalesce((SELECT stacks_to FROM text_index WHERE folding = {folding}), 0))"
)
"""The stack traces that hold a text, which is folded. The index names those that may; each is held against it once."""
_HOLDING_STACKS = HOLDING_STACKS.format(wanted=":wanted", match=":match", folding=":folding")
_HOLDING_SETS = (
    "SELECT set_ref FROM header_sets WHERE set_holds(:wanted, pieces) AND set_ref IN ("
    "SELECT rowid FROM set_index WHERE set_index MATCH :match "
    "UNION ALL SELECT set_ref FROM header_sets "
    "WHERE set_ref > coalesce((SELECT sets_to FROM text_index WHERE folding = :folding), 0))"
)
"""The same of header sets, of the values that are the same in all their dead letters."""


class Sources(NamedTuple):
    """Where candidates come from: what the index is asked for, stack traces, header sets, how names of ours begin."""

    match: str
    stacks: tuple[int, ...] = ()
    sets: tuple[int, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextCandidates:
    """Dead letters that may be meant, up to `last`: the index lacks those that are newer."""

    connection: sqlite3.Connection
    sources: Sources
    last: int
    first: int = 0
    others: tuple[Sources, ...] = ()
    """What other parts of the query leave, each of which has what is meant, too."""

    @cached_property
    def _coming(self) -> list[Iterator[int]]:
        """What comes after those that were asked for."""
        return [iter(self)]

    def narrowed(self, ids: Sequence[int]) -> list[int]:
        """Of some ids, newest first, those that may be meant. To be asked from the newest on."""
        if not ids:
            return []
        named: set[int] = set()
        for identifier in self._coming[0]:
            if identifier < ids[-1]:
                # It belongs to those that are asked for next.
                self._coming[0] = chain((identifier,), self._coming[0])
                break
            named.add(identifier)
        left = [identifier for identifier in ids if identifier > self.last or identifier in named]
        for sources in self.others:
            if len(left) <= FEW_LEFT:
                return left
            its = set(TextCandidates(self.connection, sources, min(self.last, left[0]), left[-1]).by_index())
            left = [identifier for identifier in left if identifier > self.last or identifier in its]
        return left

    def by_index(self) -> Iterator[int]:
        """Their ids, without looking at those between them."""
        return self._merged(_SHARING)

    def __iter__(self) -> Iterator[int]:
        """Their ids, newest first, each once."""
        return self._merged(_SHARING if self._sharing_letters <= SORTED_LETTERS else _SHARING_ROW_BY_ROW)

    def _merged(self, sharing: str) -> Iterator[int]:
        ways = [self._ids(_OF_INDEX), self._ids(_LONG), *(iter(self._named(name)) for name in self.sources.names)]
        if self.sources.stacks or self.sources.sets:
            ways.append(self._ids(sharing))
        return (identifier for identifier, _ in groupby(heapq.merge(*ways, reverse=True)))

    @cached_property
    def size(self) -> int:
        """How many they are: counted where they are few, else judged by how close to each other the newest stand."""
        newest = list(islice(self, PROBED))
        if len(newest) < PROBED:
            return len(newest)
        return PROBED * self.last // (self.last - newest[-1] + 1)

    def _ids(self, sql: str) -> Iterator[int]:
        told: dict[str, object] = {"match": self.sources.match, **self._refs}
        told |= {"first": self.first, "last": self.last}
        return (identifier for (identifier,) in self.connection.execute(sql, told))

    def _named(self, beginning: str) -> list[int]:
        low, high = (beginning.ljust(_OUR_DIGITS, digit) for digit in "0f")
        # Rows of before layout 11 have them as text.
        ranges = ((stored_name(low), stored_name(high)), (low, high))
        found = [self.connection.execute(_NAMED, (*ends, self.first, self.last)).fetchall() for ends in ranges]
        return sorted((identifier for rows in found for (identifier,) in rows), reverse=True)

    @property
    def _refs(self) -> dict[str, object]:
        return {"stacks": json.dumps(self.sources.stacks), "sets": json.dumps(self.sources.sets)}

    @cached_property
    def _sharing_letters(self) -> int:
        """How many have one of the stack traces or header sets, at most."""
        (letters,) = self.connection.execute(
            f"SELECT (SELECT coalesce(sum(dead_letters), 0) FROM stacktraces WHERE {_OF_STACKS}) "
            f"+ (SELECT coalesce(sum(dead_letters), 0) FROM header_sets WHERE {_OF_SETS})",
            self._refs,
        ).fetchone()
        return int(letters)


def text_candidates(connection: sqlite3.Connection, query: Query, up_to_id: int | None) -> TextCandidates | None:
    """The fewest candidates that a part of a query leaves; None where the index can tell of no part."""
    last = indexed_to(connection)
    last = last if up_to_id is None else min(last, up_to_id)
    if not last:
        return None
    ways = [TextCandidates(connection, sources, last) for sources in _Planner(connection).of_all(query.parts)]
    if not ways:
        return None
    shortest = min(ways, key=lambda way: way.size)
    return replace(shortest, others=tuple(way.sources for way in ways if way is not shortest))


def what_the_index_lacks(connection: sqlite3.Connection, query: Query, up_to_id: int | None) -> str:
    """From which dead letter on a text that a query asks for was not looked up, in words; empty where all were."""
    last = indexed_to(connection)
    (newest,) = connection.execute("SELECT coalesce(max(id), 0) FROM dead_letter_rows").fetchone()
    if last >= (newest if up_to_id is None else min(newest, up_to_id)):
        return ""
    if not any(match_of(folded(_asked_text(leaf))) for leaf in query.leaves()):
        return ""
    return f"dead letters from id {last + 1} on are not in the text index yet; they were looked through"


def indexed_to(connection: sqlite3.Connection) -> int:
    """Up to which dead letter the index is filled; 0 while it has nothing that can be asked for here."""
    found = connection.execute("SELECT letters_to FROM text_index WHERE folding = ?", (FOLDING,)).fetchone()
    return 0 if found is None else int(found[0])


class _Planner:
    """Finds ways to the candidates of a query's parts. Each way is enough; no way: the index cannot tell."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def of(self, part: Part) -> list[Sources]:
        if isinstance(part, All):
            return self.of_all(part.parts)
        if isinstance(part, Either):
            return self._of_either(part)
        if isinstance(part, (Text, Named, InHeader)):
            return self._of_leaf(part)
        return []

    def of_all(self, parts: Sequence[Part]) -> list[Sources]:
        """Those of each part, and what the index tells of several together first."""
        ways = [way for part in parts for way in self.of(part)]
        together = dict.fromkeys(way.match for way in ways if not (way.stacks or way.sets or way.names))
        if len(together) < 2:
            return ways
        return [Sources(" AND ".join(f"({match})" for match in together)), *ways]

    def _of_either(self, either: Either) -> list[Sources]:
        ways = [self.of(part)[:1] for part in either.parts]
        if not all(ways):
            return []
        match = " OR ".join(f"({way.match})" for (way,) in ways)
        stacks = tuple({ref for (way,) in ways for ref in way.stacks})
        sets = tuple({ref for (way,) in ways for ref in way.sets})
        return [Sources(match, stacks, sets, tuple({name for (way,) in ways for name in way.names}))]

    def _of_leaf(self, leaf: Leaf) -> list[Sources]:
        wanted = folded(_asked_text(leaf))
        match = match_of(wanted)
        if match is None:
            return []
        names = (wanted,) if _BEGINS_A_NAME.fullmatch(wanted) else ()
        asked = {"wanted": wanted, "match": match, "folding": FOLDING}
        stacks = self._refs(_HOLDING_STACKS, asked) if _may_be_in_a_stack(leaf) else ()
        sets = self._refs(_HOLDING_SETS, asked) if isinstance(leaf, (Text, InHeader)) else ()
        if len(stacks) > MOST_SHARED or len(sets) > MOST_SHARED:
            return []
        return [Sources(match, stacks, sets, names)]

    def _refs(self, holding: str, asked: dict[str, str]) -> tuple[int, ...]:
        rows = self._connection.execute(f"{holding} LIMIT {MOST_SHARED + 1}", asked)
        return tuple(ref for (ref,) in rows)


def _may_be_in_a_stack(leaf: Leaf) -> bool:
    # A header whose value is the stack trace is not stored beside it.
    return isinstance(leaf, (Text, InHeader)) or (isinstance(leaf, Named) and leaf.field == "stack")


def _asked_text(leaf: Leaf) -> str:
    """What the index has of each dead letter that a leaf means; empty where it need not have anything."""
    if isinstance(leaf, Text):
        return leaf.text
    if isinstance(leaf, Named):
        return leaf.text if FIELDS_BY_NAME[leaf.field].name in _INDEXED_FIELDS else ""
    if isinstance(leaf, InHeader) and len(folded(leaf.text)) <= _FOLDED_HEADER_LETTERS and "\ufffd" not in leaf.text:
        # Bytes that are no text read with that letter, and are not indexed.
        return leaf.text
    return ""
