"""Dead letters as they are stored: what they have in common by reference, the rest in cells of their own."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Hashable, Sequence
from json.encoder import encode_basestring as quoted
from operator import itemgetter
from typing import NamedTuple

from pipeline.buffer.sqlite.stored_once.header_sets import HeaderPlaces, header_pieces
from pipeline.buffer.sqlite.stored_once.letter import WholeLetter
from pipeline.buffer.sqlite.stored_once.names import stored_name
from pipeline.buffer.sqlite.stored_once.places import Place
from pipeline.buffer.sqlite.stored_once.shared import Cells, SharedRows
from pipeline.buffer.sqlite.stored_once.stacks import StackPlaces, stack_pieces
from pipeline.headers.codec import headers_to_json
from pipeline.records import Headers

SHORTEST_STACK = 60
"""Characters from which on a reference is worth it."""
SMALLEST_SET_BYTES = 60
LARGEST_SET_BYTES = 16_384
MOST_HEADERS = 64
LARGEST_STACK = 65_536
"""What is larger hardly repeats: such headers stay in the row, and such a stack trace is one text."""
LARGEST_KIND = 1000
REMEMBERED_BYTES = 24_000_000
"""Of what is known of places, roughly. Beyond it, all is forgotten and learned again."""
STACK_MARKER = '{"stacktrace":1}'
"""Stands in headers that are no set for the stack trace: no value of a header is such an object."""

_SETS = SharedRows("set_ref", ("pieces",))
_STACKS = SharedRows("stack_ref", ("stacktrace", "in_pieces"))
_KINDS = SharedRows(
    "kind_ref",
    (
        *("topic", "source_topic", "error_class", "rule", "stage", "consumer_group", "dialect"),
        *("reason_begins", "reason_ends"),
    ),
)
_name_of = itemgetter(0)
_OF_A_KIND = (*(None,) * 6, "")
"""What stands in the row in place of what its kind says."""

STORED_COLUMNS = (
    *("headers", "set_ref", "stacktrace", "stack_ref", "reason", "kind_ref", "dead_letter_id"),
    *("topic", "source_topic", "error_class", "rule", "stage", "consumer_group", "dialect"),
)
"""Columns of `dead_letter_rows` that `store` gives."""


class _Part(NamedTuple):
    """Something that is stored once, by its digest, and what the row has of its own."""

    digest: bytes | None
    own: str | None


_Known = dict[Hashable, tuple[bytes, Cells]]
"""What is stored of parts that were met: a digest, and the cells."""


class _Memory:
    """What is known of places, and the pieces that were made of them."""

    def __init__(self) -> None:
        self.header_places: dict[Hashable, HeaderPlaces] = {}
        self.stack_places: dict[str, StackPlaces] = {}
        self.reason_places: dict[str, Place] = {}
        self.sets: _Known = {}
        self.stacks: _Known = {}
        self.kinds: _Known = {}
        self._bytes = 0

    def make_room(self, size: int) -> None:
        """Forgets all when it has become too much with that."""
        self._bytes += 2 * size + 500
        if self._bytes > REMEMBERED_BYTES:
            for places in (self.header_places, self.stack_places, self.reason_places):
                places.clear()
            for known in (self.sets, self.stacks, self.kinds):
                known.clear()
            self._bytes = 0


class Prepared(NamedTuple):
    """Dead letters apart: what of each is stored once, and what is its own."""

    letters: Sequence[WholeLetter]
    stacks: Sequence[_Part]
    headers: Sequence[_Part]
    kinds: Sequence[_Part]
    cells: dict[bytes, Cells]
    """What is to be stored once, by its digest."""

    def refer(self, connection: sqlite3.Connection) -> list[Cells]:
        """The cells of STORED_COLUMNS of each; what they refer to is counted by now."""
        set_refs = _SETS.refer(connection, [each.digest for each in self.headers], self.cells)
        stack_refs = _STACKS.refer(connection, [each.digest for each in self.stacks], self.cells)
        kind_refs = _KINDS.refer(connection, [each.digest for each in self.kinds], self.cells)
        rows: list[Cells] = []
        for letter, stack, headers, kind, set_ref, stack_ref, kind_ref in zip(
            self.letters, self.stacks, self.headers, self.kinds, set_refs, stack_refs, kind_refs, strict=True
        ):
            inline = _kind_of(letter) if kind_ref is None else _OF_A_KIND
            name = stored_name(letter.dead_letter_id)
            rows.append((headers.own, set_ref, stack.own, stack_ref, kind.own, kind_ref, name, *inline))
        return rows


class Storing:
    """Stores dead letters of one writer, and learns from each."""

    def __init__(self) -> None:
        self._memory = _Memory()

    def store(self, connection: sqlite3.Connection, letters: Sequence[WholeLetter]) -> list[Cells]:
        """The cells of STORED_COLUMNS of each, in the transaction that is about to insert them."""
        return self.prepare(letters).refer(connection)

    def prepare(self, letters: Sequence[WholeLetter]) -> Prepared:
        """All of that which takes no buffer: what of each is its own, and what is to be stored once."""
        cells: dict[bytes, Cells] = {}
        stacks = [self._stack(letter, cells) for letter in letters]
        headers = [self._headers(letter, stack.digest, cells) for letter, stack in zip(letters, stacks, strict=True)]
        kinds = [self._kind(letter, cells) for letter in letters]
        return Prepared(letters, stacks, headers, kinds, cells)

    # -- what is stored once, and what is not

    def _stack(self, letter: WholeLetter, cells: dict[bytes, Cells]) -> _Part:
        stack = letter.stacktrace
        # SQLite's functions end a text at a NUL.
        if stack is None or len(stack) < SHORTEST_STACK or "\0" in stack:
            return _Part(None, stack)
        parts: tuple[Hashable, ...] = (stack,)
        own: list[str] = []
        if len(stack) <= LARGEST_STACK and "\0" not in letter.reason:
            places = self._memory.stack_places.get(letter.fingerprint)
            if places is None:
                self._memory.make_room(len(stack))
                places = self._memory.stack_places[letter.fingerprint] = StackPlaces()
            parts, own = places.apart(stack, letter.reason)
        known = self._memory.stacks.get(parts)
        if known is None:
            self._memory.make_room(len(stack))
            pieces = stack_pieces(parts)
            # No stack trace that is one text has a NUL in it.
            known = (_digest(stack), (stack, 0)) if pieces is None else (_digest(f"\0{pieces}"), (pieces, 1))
            self._memory.stacks[parts] = known
        digest, cells[digest] = known
        return _Part(digest, _own(own) if own else None)

    def _headers(self, letter: WholeLetter, stack_digest: bytes | None, cells: dict[bytes, Cells]) -> _Part:
        headers = letter.headers
        stack = None if stack_digest is None or letter.stacktrace is None else letter.stacktrace.encode()
        names = tuple(map(_name_of, headers))
        scope = (letter.fingerprint, names, stack is None)
        places = self._memory.header_places.get(scope)
        if places is None:
            size = sum(len(name) + (0 if value is None else len(value)) for name, value in headers)
            size_of_others = size if stack is None else max(0, size - len(stack))
            if size < SMALLEST_SET_BYTES or size_of_others > LARGEST_SET_BYTES or len(headers) > MOST_HEADERS:
                return _Part(None, _whole(headers, letter.stacktrace if stack_digest else None))
            self._memory.make_room(size_of_others)
            places = self._memory.header_places[scope] = HeaderPlaces(letter, stack)
        parts, own = places.apart(letter, stack)
        key = (names, parts)
        known = self._memory.sets.get(key)
        if known is None:
            pieces = header_pieces(headers, parts)
            self._memory.make_room(len(pieces))
            known = self._memory.sets[key] = (_digest(pieces), (pieces,))
        digest, cells[digest] = known
        return _Part(digest, _own(own))

    def _kind(self, letter: WholeLetter, cells: dict[bytes, Cells]) -> _Part:
        kind = _kind_of(letter)
        own: list[str] = []
        around = self._around_reason(letter, own)
        key = (*kind, *around)
        known = self._memory.kinds.get(key)
        if known is None:
            size = sum(len(text) for text in key if text is not None)
            if size > LARGEST_KIND:
                return _Part(None, letter.reason)
            self._memory.make_room(size)
            known = self._memory.kinds[key] = (_digest(repr(key)), key)
        digest, cells[digest] = known
        return _Part(digest, "".join(own))

    def _around_reason(self, letter: WholeLetter, own: list[str]) -> tuple[str, str]:
        """What stands before and after what of the reason is the row's own, which is added to `own`."""
        reason = letter.reason
        if "\0" in reason or len(reason) > LARGEST_KIND:
            own.append(reason)
            return "", ""
        place = self._memory.reason_places.get(letter.fingerprint)
        if place is None:
            self._memory.make_room(len(reason))
            place = self._memory.reason_places[letter.fingerprint] = Place()
        if reason in place.fixed or place.takes(reason, reason):
            return reason, ""
        around = place.own(reason, own)
        return around.begin, around.end


def _kind_of(letter: WholeLetter) -> tuple[str | None, ...]:
    return letter[-7:]


def _own(texts: list[str]) -> str:
    return f"[{','.join(map(quoted, texts))}]"


def _whole(headers: Headers, stack: str | None) -> str:
    text = headers_to_json(headers)
    return text if stack is None else text.replace(quoted(stack), STACK_MARKER)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
