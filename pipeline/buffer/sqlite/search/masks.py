"""Which dead letters of a block a query means for sure, and which it may mean, told by the block's columns.

A mask is a byte a letter, 0 or 1, read as one number: AND, OR and NOT of thousands of letters are an operation each.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from itertools import compress
from typing import Any, NamedTuple

from pipeline.buffer.sqlite.search.blocks import Blocks
from pipeline.buffer.sqlite.search.columns import BLOCK, BLOCK_BITS, Column, hash_of, places_of_hash
from pipeline.buffer.sqlite.search.conditions import GROUPS_NAMED
from pipeline.buffer.sqlite.search.functions import is_class
from pipeline.search.fields import FIELDS_BY_NAME
from pipeline.search.folding import folded
from pipeline.search.query import All, Compared, Either, Leaf, Named, Not, Part
from pipeline.search.spans import Span, span_of

ALL = int.from_bytes(b"\1" * BLOCK, "little")


class Bounds(NamedTuple):
    """The letters of a block that are meant, whatever rows say, and those that may be."""

    sure: int
    maybe: int


class _Codes(NamedTuple):
    """For each code whether letters with it are meant: for sure, and maybe."""

    sure: bytes
    maybe: bytes


class _Wanted(NamedTuple):
    """What a leaf wants of a text: a test, and the texts that pass it where these can be told."""

    passes: Callable[[str], bool]
    texts: frozenset[str] | None


_UNKNOWN = Bounds(0, ALL)
_NOTHING = Bounds(0, 0)


class Masks:
    """What a query means, in one block after another."""

    def __init__(self, connection: sqlite3.Connection, blocks: Blocks, query: Part) -> None:
        self._connection = connection
        self._blocks = blocks
        self._query = query
        self._wanted: dict[Named, _Wanted] = {}
        # Fields hold the same in many blocks.
        self._codes: dict[tuple[Leaf, str], _Codes] = {}

    def of(self, number: int) -> Bounds:
        """The letters of a block that are meant. None that may be is one that is not there, as far as is known."""
        codes = self._blocks.there(number)
        there = int.from_bytes(codes, "little") if codes else ALL
        sure, maybe = self._part(self._query, number)
        return Bounds(sure & there if self._blocks.is_certain(number) else 0, maybe & there)

    def _part(self, part: Part, number: int) -> Bounds:
        if isinstance(part, Not):
            sure, maybe = self._part(part.part, number)
            return Bounds(ALL ^ maybe, ALL ^ sure)
        if isinstance(part, All):
            sure = maybe = ALL
            for each in part.parts:
                also = self._part(each, number)
                sure, maybe = sure & also.sure, maybe & also.maybe
                if not maybe:
                    return _NOTHING
            return Bounds(sure, maybe)
        if isinstance(part, Either):
            some = [self._part(each, number) for each in part.parts]
            return Bounds(_any(each.sure for each in some), _any(each.maybe for each in some))
        return self._leaf(part, number)

    def _leaf(self, leaf: Leaf, number: int) -> Bounds:
        if not isinstance(leaf, (Named, Compared)):
            return _UNKNOWN
        if leaf.field == "id" and isinstance(leaf, Compared):
            return _of_ids(span_of(leaf), number)
        column = self._blocks.column(number, leaf.field)
        if column is None:
            return _UNKNOWN
        if column.kind == "hashes":
            return self._hashed(leaf, column)
        codes = self._codes.get((leaf, column.meaning))
        if codes is None:
            codes = self._codes[leaf, column.meaning] = self._meant(leaf, json.loads(column.meaning))
        return Bounds(_mask(column.codes, codes.sure), _mask(column.codes, codes.maybe))

    def _meant(self, leaf: Named | Compared, meaning: list[Any]) -> _Codes:
        if isinstance(leaf, Compared):
            span = span_of(leaf)
            return _Codes(
                _table([span.holds(low, high) for low, high in meaning]),
                _table([span.meets(low, high) for low, high in meaning]),
            )
        table = _table([self._want(leaf).passes(text) for text in meaning])
        return _Codes(table, table)

    def _hashed(self, leaf: Named | Compared, column: Column) -> Bounds:
        wanted = self._want(leaf) if isinstance(leaf, Named) else None
        if wanted is None or wanted.texts is None:
            return _UNKNOWN
        found = bytearray(BLOCK)
        for each in {hash_of(text) for text in wanted.texts}:
            for place in places_of_hash(column.codes, each):
                found[place] = 1
        return Bounds(0, int.from_bytes(found, "little"))

    def _want(self, leaf: Named) -> _Wanted:
        if leaf not in self._wanted:
            self._wanted[leaf] = self._asked(leaf)
        return self._wanted[leaf]

    def _asked(self, leaf: Named) -> _Wanted:
        kind, text = FIELDS_BY_NAME[leaf.field].kind, folded(leaf.text)
        if kind == "class":
            return _Wanted(lambda name: bool(is_class(text, name)), None)
        if kind in ("status", "group"):
            exact = frozenset((leaf.text,)) if kind == "status" else self._fingerprints(leaf.text)
            return _Wanted(exact.__contains__, exact)
        return _Wanted(lambda value: folded(value) == text, frozenset((text,)))

    def _fingerprints(self, text: str) -> frozenset[str]:
        sql = GROUPS_NAMED.format(exact=":exact", wanted=":wanted")
        rows = self._connection.execute(sql, {"exact": text, "wanted": folded(text)})
        return frozenset(fingerprint for (fingerprint,) in rows)


def ids_in(mask: int, begin: int) -> list[int]:
    """The ids of a mask's letters, newest first, of a block that begins with this id."""
    if not mask:
        return []
    return list(compress(range(begin + BLOCK - 1, begin - 1, -1), mask.to_bytes(BLOCK, "big")))


def _of_ids(span: Span, number: int) -> Bounds:
    begin, end = number << BLOCK_BITS, (number + 1) << BLOCK_BITS
    first = begin if span.least is None else min(max(span.least, begin), end)
    last = end - 1 if span.greatest is None else max(min(span.greatest, end - 1), first - 1)
    mask = int.from_bytes(b"\1" * (last + 1 - first), "little") << 8 * (first - begin)
    return Bounds(mask, mask)


def _table(meant: list[bool]) -> bytes:
    """What `bytes.translate` makes 1 of the codes that are meant with; code 0 is never."""
    return bytes([0, *meant]).ljust(256, b"\0")


def _mask(codes: bytes, table: bytes) -> int:
    if not codes:
        return ALL if table[1] else 0
    return int.from_bytes(codes.translate(table), "little")


def _any(masks: Iterable[int]) -> int:
    found = 0
    for each in masks:
        found |= each
    return found
