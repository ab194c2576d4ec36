"""Reads what paths lead to out of JSON: each number as its digits, of repeated keys the last.

msgspec checks the whole text and makes objects only of what is asked for, so a value of any size costs little memory.
What nobody asks for is never made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from types import NoneType
from typing import Annotated, Any

import msgspec
from msgspec import Raw

from pipeline.errors import UndecodableError
from pipeline.orders.mapping.paths import EACH, MAXIMUM_ITEMS, Each, Path, Step
from pipeline.orders.mapping.value_columns import Column, Found, numerals_of, plain_values
from pipeline.orders.mapping.values import JsonNumber, Unread, ValueMismatchError, described

RULE = "json"
SHOWN_BYTES = 4096
"""An object or a list that stands where a single value should is not looked into where it is longer."""
MAXIMUM_DEPTH = 400
"""Objects and lists within each other. Parsers end at what is left of Python's stack, which is no rule."""
_NOTHING = Raw(b"")
_TEXT = msgspec.json.Decoder(str)
_ITEMS = msgspec.json.Decoder(Annotated[list[Raw], msgspec.Meta(max_length=MAXIMUM_ITEMS)])
_NUMBER_BEGINS = frozenset(b"-0123456789")


class JsonReader:
    """Reads the values of some paths; slots are the indexes of `paths`."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._root, self._decoder = _tree(paths, frozenset())
        self._texts: frozenset[int] | None = None
        self._quick: tuple[_Node, msgspec.json.Decoder[Any] | None] | None = None
        """Takes texts alone in the slots `_texts`, which saves a third."""

    def read(self, value: bytes) -> list[Any]:
        """What each path leads to; a ValueMismatchError in its place where something else stands in the way.

        Raises UndecodableError when the value is no JSON.
        """
        check_json(value)
        return [_found(Raw(value), path) for path in self._paths]

    def read_many(self, values: Sequence[bytes]) -> Found:
        """The indexes of those that have plain objects all along the paths, and for each slot their values."""
        if self._decoder is None:
            return [], [[] for _ in self._paths]
        if self._quick is not None and not any_is_too_deep(values):
            try:
                return list(range(len(values))), self._read_quickly(values)
            except (UnicodeDecodeError, msgspec.DecodeError):
                pass  # one of them is not as all were before
        indexes, columns = self._read_each(values)
        self._learn(columns)
        return indexes, columns

    def _read_quickly(self, values: Sequence[bytes]) -> list[Column]:
        """What `_read_each` reads. Raises what it goes past."""
        assert self._quick is not None
        root, decoder = self._quick
        assert decoder is not None
        if not all(map(bytes.isascii, values)):
            str(b" ".join(values), "utf-8")  # no character goes over a blank
        return root.columns(list(map(decoder.decode, values)), len(self._paths))

    def _read_each(self, values: Sequence[bytes]) -> Found:
        assert self._decoder is not None
        decode = self._decoder.decode
        indexes, found = list[int](), list[Any]()
        for index, value in enumerate(values):
            if is_too_deep(value):
                continue
            try:
                if not value.isascii():
                    str(value, "utf-8")
                found.append(decode(value))
            except (UnicodeDecodeError, msgspec.DecodeError):
                continue
            indexes.append(index)
        return indexes, self._root.columns(found, len(self._paths))

    def _learn(self, columns: Sequence[Column]) -> None:
        """Notes which slots have held texts alone from the beginning on: they only become fewer."""
        texts = frozenset(slot for slot, column in enumerate(columns) if _are_texts(column))
        texts = texts if self._texts is None else texts & self._texts
        if texts != self._texts:
            self._texts = texts
            self._quick = _tree(self._paths, texts) if texts else None


def _are_texts(column: Column) -> bool:
    kinds = set(map(type, column)) if isinstance(column, list) else set()
    return str in kinds and kinds <= {str, NoneType}


def check_json(value: bytes) -> None:
    """Raises UndecodableError when a value is no JSON in UTF-8, or one that is nested too deeply."""
    if is_too_deep(value):
        raise UndecodableError(f"value is JSON that is nested more than {MAXIMUM_DEPTH} deep", RULE)
    try:
        value.decode()
        msgspec.json.decode(value, type=Raw)
        _SKIPPED.decode(value)
    except UnicodeDecodeError as error:
        raise UndecodableError(f"value is no JSON: byte {error.start} is no UTF-8", RULE) from error
    except msgspec.ValidationError:
        return  # JSON, but no object
    except msgspec.DecodeError as error:
        raise UndecodableError(f"value is no JSON: {_in_words(error)}", RULE) from error


def is_too_deep(value: bytes, maximum_depth: int = MAXIMUM_DEPTH) -> bool:
    """Whether objects and lists within each other are more than are read, wherever that may be."""
    # Each has two brackets: in what is short, or has few of them, there cannot be so many.
    if len(value) < 2 * maximum_depth or value.count(b"{") + value.count(b"[") <= maximum_depth:
        return False
    depth = 0
    for token in _BRACKETS.finditer(value):
        depth += _STEP_OF.get(token.group(), 0)
        if depth > maximum_depth:
            return True
    return False


def any_is_too_deep(values: Sequence[bytes]) -> bool:
    """Whether one of them is."""
    # Most are too short for it, which is quicker to see of all of them than of each.
    return max(map(len, values), default=0) >= 2 * MAXIMUM_DEPTH and any(map(is_too_deep, values))


# Texts too, because there may be brackets in them.
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\]]', re.DOTALL)
_STEP_OF = {b"{": 1, b"[": 1, b"}": -1, b"]": -1}


class _Skipped(msgspec.Struct):
    """An object of which nothing is read: it is only checked."""


_SKIPPED = msgspec.json.Decoder(_Skipped)


def _in_words(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ")


# ---- one path at a time


@lru_cache(maxsize=1024)
def _field_decoder(name: str) -> Callable[[Raw], Raw]:
    """What finds the field of this name in an object. Raises msgspec.ValidationError when it is given none."""
    if _can_be_picked(name):
        made = msgspec.defstruct("Field", [("f", Raw, _NOTHING)], rename={"f": name})
        decoder = msgspec.json.Decoder(made)
        return lambda raw: decoder.decode(raw).f  # type: ignore[attr-defined] # made when it runs
    return lambda raw: _FIELDS.decode(raw).get(name, _NOTHING)


_FIELDS = msgspec.json.Decoder(dict[str, Raw])


def _can_be_picked(name: str) -> bool:
    """Whether msgspec finds a field of this name without making all others: it has no escapes in JSON."""
    return not any(character in '"\\' or character < " " for character in name)


def _found(raw: Raw, path: Path) -> Any:
    try:
        return _follow(raw, path, 0)
    except ValueMismatchError as error:
        return error


def _follow(raw: Raw, path: Path, depth: int) -> Any:
    for at in range(depth, len(path.steps)):
        step = path.steps[at]
        if not memoryview(raw):
            return None
        if isinstance(step, str):
            raw = _field(raw, step, path, at)
            continue
        items = _items(raw, path, at)
        if items is None:
            return None
        if isinstance(step, Each):
            return [_follow(each, path, at + 1) for each in items]
        raw = items[step] if -len(items) <= step < len(items) else _NOTHING
    return json_value(raw)


def _field(raw: Raw, name: str, path: Path, at: int) -> Raw:
    if _first_byte(raw) == b"n":
        return _NOTHING
    try:
        return _field_decoder(name)(raw)
    except msgspec.ValidationError as error:
        raise ValueMismatchError(
            f"{path.upto(at)} is {described(json_value(raw))}; expected an object with {name}"
        ) from error


def _items(raw: Raw, path: Path, at: int) -> list[Raw] | None:
    first = _first_byte(raw)
    if first == b"n":
        return None
    try:
        found: list[Raw] = _ITEMS.decode(raw)
    except msgspec.ValidationError as error:
        if first == b"[":
            too_many = f"a list of more than {MAXIMUM_ITEMS}; expected at most so many"
            raise ValueMismatchError(f"{path.upto(at)} is {too_many}") from error
        raise ValueMismatchError(f"{path.upto(at)} is {described(json_value(raw))}; expected a list") from error
    return found


def _first_byte(raw: Raw) -> bytes:
    view = memoryview(raw)
    for at in range(len(view)):
        if view[at] not in b" \t\r\n":
            return bytes(view[at : at + 1])
    return b""


def json_value(raw: Raw) -> Any:
    """A piece of JSON as a value of ours; a long object or list is Unread."""
    text = bytes(raw)
    if not text:
        return None
    first = text[0]
    if first in _NUMBER_BEGINS:
        return JsonNumber(text.decode())
    if first == 0x22:
        try:
            return _TEXT.decode(raw)
        except msgspec.DecodeError as error:
            raise ValueMismatchError("a text that is no Unicode") from error
    if first in b"tfn":
        return {b"t": True, b"f": False, b"n": None}[text[:1]]
    if len(text) <= SHOWN_BYTES:
        return whole_json(text)
    return Unread(f"{'an object' if first == 0x7B else 'a list'} of {len(text)} bytes")


def whole_json(text: bytes) -> Any:
    """JSON that was found good, all of it, with each number as its digits."""
    return json.loads(text, parse_float=JsonNumber, parse_int=JsonNumber)


# ---- many records at once


def _tree(paths: Sequence[Path], texts: frozenset[int]) -> tuple[_Node, msgspec.json.Decoder[Any] | None]:
    """Where paths go, and what decodes records into objects of just that; None where they go other ways than plain.

    `texts`: slots that hold a text or nothing in every record.
    """
    root = _Node()
    for slot, path in enumerate(paths):
        root.add(path.steps, slot, is_text=slot in texts)
    return root, root.decoder()


@dataclass(slots=True)
class _Node:
    """Where paths part: the slots that end here, and where they go on."""

    slots: list[int] = field(default_factory=list)
    is_text: bool = False
    """Whether the value is a text or nothing, which is read at once."""
    below: dict[Step, _Node] = field(default_factory=dict)
    attributes: dict[Step, str] = field(default_factory=dict)
    empty: Any = None
    """An object of this node's type with nothing in it."""

    def add(self, steps: Sequence[Step], slot: int, is_text: bool) -> None:
        """Reads what these steps lead to, too."""
        if not steps:
            self.slots.append(slot)
            self.is_text = is_text
            return
        self.below.setdefault(steps[0], _Node()).add(steps[1:], slot, is_text)

    def decoder(self) -> msgspec.json.Decoder[Any] | None:
        """What decodes records into objects of just what is asked for; None where paths go other ways than plain."""
        kind = self._type()
        return None if kind is None or not self.below or EACH in self.below else msgspec.json.Decoder(kind)

    def _type(self) -> Any:
        if not self.below:
            return str if self.is_text else Raw
        plain = all(isinstance(step, str) and _can_be_picked(step) for step in self.below)
        if self.slots or not (plain or set(self.below) == {EACH}):
            return None  # a value that is looked at whole and in parts, an item by its index, or an odd name
        types = {step: node._type() for step, node in self.below.items()}
        if None in types.values():
            return None
        if EACH in types:
            item = types[EACH]
            items = list[item] if item is Raw else list[item | None]  # type: ignore[valid-type] # made when it runs
            return Annotated[items, msgspec.Meta(max_length=MAXIMUM_ITEMS)]
        return self._struct(types)

    def _struct(self, types: dict[Step, Any]) -> Any:
        self.attributes = {step: f"f{index}" for index, step in enumerate(types)}
        fields = [
            (self.attributes[step], kind if kind is Raw else kind | None, _NOTHING if kind is Raw else None)
            for step, kind in types.items()
        ]
        made = msgspec.defstruct("Picked", fields, rename={v: str(k) for k, v in self.attributes.items()}, gc=False)
        self.empty = made()
        return made

    def columns(self, found: list[Any], slots: int) -> list[Column]:
        """What each slot is in the objects that were decoded."""
        columns: list[Column] = [()] * slots
        try:
            self._extract_all(found, columns, "")
        except AttributeError:
            self.extract(found, columns)  # an object on the way is not there in all of them
        return columns

    def _extract_all(self, found: list[Any], columns: list[Column], above: str) -> None:
        """As `extract`. Raises AttributeError where an object on the way is not there."""
        for step, attribute in self.attributes.items():
            node, name = self.below[step], above + attribute
            if node.slots:
                node.fill(list(map(attrgetter(name), found)), columns)
            elif EACH in node.below:
                node.below[EACH].extract_items(list(map(attrgetter(name), found)), columns)
            else:
                node._extract_all(found, columns, f"{name}.")

    def fill(self, picked: list[Any], columns: list[Column]) -> None:
        """Makes the columns of the slots that end here of what was decoded for them."""
        values = picked if self.is_text else _values(picked)
        for slot in self.slots:
            columns[slot] = values

    def extract(self, found: list[Any], columns: list[Column]) -> None:
        """Makes the columns of the slots of the objects that were decoded."""
        for step, attribute in self.attributes.items():
            node = self.below[step]
            picked = list(map(attrgetter(attribute), found))
            if node.slots:
                node.fill(picked, columns)
            elif EACH in node.below:
                node.below[EACH].extract_items(picked, columns)
            else:
                node.extract([each or node.empty for each in picked] if None in picked else picked, columns)

    def extract_items(self, lists: list[list[Any] | None], columns: list[Column]) -> None:
        flat = list(chain.from_iterable(each or () for each in lists))
        inner: list[Column] = [()] * len(columns)
        if self.slots:
            for slot in self.slots:
                inner[slot] = _values(flat)
        else:
            self.extract([each or self.empty for each in flat], inner)
        for slot in self._slots_below():
            columns[slot] = list(_split(plain_values(inner[slot]), lists))

    def _slots_below(self) -> Iterator[int]:
        yield from self.slots
        for node in self.below.values():
            yield from node._slots_below()


def _split(flat: Sequence[Any], lists: Sequence[list[Any] | None]) -> Iterator[Sequence[Any] | None]:
    at = 0
    for each in lists:
        if each is None:
            yield None
        else:
            yield flat[at : at + len(each)]
            at += len(each)


def _values(raws: list[Raw]) -> Column:
    try:
        return list(map(_TEXT.decode, raws))  # most are texts, and then this is all
    except msgspec.DecodeError:
        # A text is in quotes, so what looks like numbers is numbers.
        return numerals_of(b"\n".join(raws), len(raws)) or list(map(_value, raws))


def _value(raw: Raw) -> Any:
    try:
        return json_value(raw)
    except ValueMismatchError as error:
        return error
