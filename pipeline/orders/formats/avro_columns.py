"""Reads many Avro records of one schema at once, field by field, with numpy.

What is rare is declined, not judged: numbers of more than 8 bytes, blocks with their size in front, long lists, text
that is no UTF-8, bytes too few or too many. `avro_values` says what is wrong with those. What is not declined is
read to the same values by both.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.orders.avro import Names, Schema, logical_type_of, type_of
from pipeline.orders.columns import Flags, Integers, Values, spans, texts_of, varints
from pipeline.orders.formats.avro_values import time_of
from pipeline.orders.mapping.batches import Column, Counted, Scaled
from pipeline.orders.mapping.paths import Path
from pipeline.orders.mapping.values import MAXIMUM_DIGITS, shortest

MAXIMUM_ITEMS = 64
"""Records with a longer list are declined: each item is a step of its own here."""
MAXIMUM_DEPTH = 32
MAXIMUM_STEPS = 2_000
"""A schema of more types, each counted wherever it is used, is not planned: one that contains itself has no end."""
MAXIMUM_LISTS = 2
"""Lists within lists: the items of all take so many steps as their numbers make when multiplied."""
_WORD_BYTES = 8

Nulls = Flags | None
"""Which records have null here; None: none has."""


class NotByColumns(Exception):
    """A schema, or what is wanted of it, that is read one record at a time."""


@dataclass(slots=True)
class _Batch:
    """The values of many records, and what of them was found so far."""

    values: Values
    found: dict[int, Callable[[Flags], Column]] = field(default_factory=dict)
    """By slot: the column of the records that are fine."""
    texts: list[tuple[Integers, Integers, Flags]] = field(default_factory=list)
    """Where texts begin and end, which must be UTF-8, of the records that are meant."""


Step = Callable[[_Batch, Integers, Flags, Nulls], tuple[Integers, Flags]]
"""Reads a field of all records: from where it begins and which are fine, to where it ends and which still are."""


@dataclass(frozen=True, slots=True)
class AvroColumns:
    """How records of one schema are read at once."""

    step: Step
    slots: int

    def read(self, values: Values, indexes: Integers, begin: int) -> tuple[Integers, list[Column]]:
        """Of the values with these indexes, those that are plain, and for each slot what it is in each of them."""
        batch = _Batch(values)
        at = values.within(values.begins[indexes] + begin)
        fine: Flags = np.ones(len(indexes), np.bool_)
        at, fine = self.step(batch, at, fine, None)
        fine &= at == values.ends[indexes]
        fine = _all_utf8(batch, fine)
        missing: list[Any] = [None] * int(np.count_nonzero(fine))
        columns = [batch.found[slot](fine) if slot in batch.found else missing for slot in range(self.slots)]
        # What makes a column holds the batch: without this its bytes stay until the garbage collector comes.
        batch.found.clear()
        return indexes[fine], columns


def avro_columns(schema: Schema, names: Names, paths: Sequence[Path]) -> AvroColumns | None:
    """How records of a writer's schema are read at once; None: they have to be read one by one."""
    root = _Wanted()
    try:
        for slot, path in enumerate(paths):
            root.add(path.steps, slot)
        return AvroColumns(_Planner(names).step(schema, root, 0), len(paths))
    except NotByColumns:
        return None


@dataclass(slots=True)
class _Wanted:
    """Which slots are filled from here, and what is wanted of the fields below."""

    slots: list[int] = field(default_factory=list)
    fields: dict[str, _Wanted] = field(default_factory=dict)

    def add(self, steps: Sequence[Any], slot: int) -> None:
        if not steps:
            self.slots.append(slot)
            return
        if not isinstance(steps[0], str) or steps[0].startswith("@"):
            raise NotByColumns
        self.fields.setdefault(steps[0], _Wanted()).add(steps[1:], slot)


_NOTHING = _Wanted()


class _Planner:
    """Makes the step of each type. Raises NotByColumns."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._steps = 0
        self._lists = 0

    def step(self, schema: Schema, wanted: _Wanted, depth: int) -> Step:
        if depth > MAXIMUM_DEPTH:
            raise NotByColumns
        if isinstance(schema, list):
            return self._nullable(schema, wanted, depth + 1)
        kind = type_of(schema)
        self._steps += 1
        if self._steps > MAXIMUM_STEPS:
            raise NotByColumns
        if kind in self._names and kind not in _LEAVES:
            return self.step(self._names[kind], wanted, depth + 1)
        if kind in ("record", "error"):
            return self._record(schema, wanted, depth + 1)
        if wanted.fields:
            raise NotByColumns  # a path goes on where there is nothing to go into, or into a map
        if kind == "array":
            return self._items(self._within(schema["items"], wanted, depth + 1))
        if kind == "map":
            entry = _in_turn([_text_step([]), self._within(schema["values"], wanted, depth + 1)])
            return self._items(entry)
        return _LEAVES[kind](schema, wanted.slots)

    def _within(self, item: Schema, wanted: _Wanted, depth: int) -> Step:
        """The step of one item of a list."""
        if wanted.slots or self._lists == MAXIMUM_LISTS:
            raise NotByColumns
        self._lists += 1
        step = self.step(item, _NOTHING, depth)
        self._lists -= 1
        return step

    def _record(self, schema: Schema, wanted: _Wanted, depth: int) -> Step:
        if wanted.slots:
            raise NotByColumns
        steps = [self.step(each["type"], wanted.fields.get(each["name"], _NOTHING), depth) for each in schema["fields"]]
        return _in_turn(steps)

    def _nullable(self, branches: list[Schema], wanted: _Wanted, depth: int) -> Step:
        if len(branches) != 2 or "null" not in branches:
            raise NotByColumns
        null_branch = branches.index("null")
        inner = self.step(branches[1 - null_branch], wanted, depth)

        def step(batch: _Batch, at: Integers, fine: Flags, nulls: Nulls) -> tuple[Integers, Flags]:
            branch, after, good = varints(batch.values, at)
            is_null = branch == null_branch
            fine = fine & good & ((branch == 0) | (branch == 1))
            ended, still_fine = inner(batch, after, fine, is_null if nulls is None else nulls | is_null)
            return np.where(is_null, after, ended), np.where(is_null, fine, still_fine)

        return step

    def _items(self, item: Step) -> Step:
        def step(batch: _Batch, at: Integers, fine: Flags, nulls: Nulls) -> tuple[Integers, Flags]:
            left, at, good = varints(batch.values, at)
            fine = fine & good & (left >= 0) & (left <= MAXIMUM_ITEMS)
            has_items = fine & (left > 0)
            if nulls is not None:
                has_items &= ~nulls
            active = np.flatnonzero(has_items)
            while len(active):
                ended, good = item(batch, at[active], np.ones(len(active), np.bool_), None)
                at[active] = ended
                fine[active] = good
                left[active] -= 1
                active = active[good & (left[active] > 0)]
            # Behind a block comes another one, or the 0 that ends the list.
            some = np.flatnonzero(has_items)
            end, after, good = varints(batch.values, at[some])
            at[some] = after
            fine[some] &= good & (end == 0)
            return at, fine

        return step


def _in_turn(steps: Sequence[Step]) -> Step:
    def step(batch: _Batch, at: Integers, fine: Flags, nulls: Nulls) -> tuple[Integers, Flags]:
        for each in steps:
            at, fine = each(batch, at, fine, nulls)
        return at, fine

    return step


# ---- single values


def _kept(column: list[Any], nulls: Nulls, fine: Flags) -> list[Any]:
    """A column of the records that are fine, with None where it is null."""
    if nulls is None or not nulls.any():
        return column
    return [None if is_null else value for value, is_null in zip(column, nulls[fine].tolist(), strict=True)]


def _text_step(slots: list[int], make: Callable[[list[Any]], list[Any]] | None = None) -> Step:
    def step(batch: _Batch, at: Integers, fine: Flags, nulls: Nulls) -> tuple[Integers, Flags]:
        (begins, ends), after, good = spans(batch.values, at)
        fine = fine & good
        batch.texts.append((begins, ends, fine if nulls is None else fine & ~nulls))

        def column(chosen: Flags) -> Column:
            found = texts_of(batch.values.data, begins[chosen].tolist(), ends[chosen].tolist())
            return _kept(found, nulls, chosen)

        for slot in slots:
            batch.found[slot] = column
        return after, fine

    return step


def _bytes_leaf(schema: Schema, slots: list[int]) -> Step:
    if logical_type_of(schema) == "decimal":
        return _decimal_step(slots, _scale(schema), spans)

    def step(batch: _Batch, at: Integers, fine: Flags, nulls: Nulls) -> tuple[Integers, Flags]:
        (begins, ends), after, good = spans(batch.values, at)
        _note_bytes(batch, slots, begins, ends, nulls, bytes)
        return after, fine & good

    return step


def _note_bytes(
    batch: _Batch, slots: list[int], begins: Integers, ends: Integers, nulls: Nulls, make: Callable[[bytes], Any]
) -> None:
    def column(chosen: Flags) -> Column:
        data = batch.values.data
        cut = [data[b:e] for b, e in zip(begins[chosen].tolist(), ends[chosen].tolist(), strict=True)]
        # What stands where there is a null is anything.
        return [None if raw is None else make(raw) for raw in _kept(cut, nulls, chosen)]

    for slot in slots:
        batch.found[slot] = column


def _scale(schema: Schema) -> int:
    scale = schema.get("scale") or 0
    if not isinstance(scale, int) or abs(scale) > MAXIMUM_DIGITS:
        raise NotByColumns
    return scale


Spans = Callable[[Values, Integers], tuple[tuple[Integers, Integers], Integers, Flags]]


def _decimal_step(slots: list[int], scale: int, find: Spans) -> Step:
    """Decimals in 1 to 8 bytes, of which `find` says where they stand."""

    def step(batch: _Batch, at: Integers, fine: Flags, nulls: Nulls) -> tuple[Integers, Flags]:
        (begins, ends), after, good = find(batch.values, at)
        lengths = ends - begins
        # What nobody wants may have any length.
        if slots:
            good &= (lengths >= 1) & (lengths <= _WORD_BYTES)
        shifts = _WORD_BYTES * (_WORD_BYTES - np.clip(lengths, 1, _WORD_BYTES))
        # Shifting a signed number right keeps its sign.
        counts = batch.values.words(begins).byteswap().view(np.int64) >> shifts
        _note_numbers(batch, slots, counts, nulls, lambda found: Scaled(found, scale))
        return after, fine & good

    return step


def _note_numbers(batch: _Batch, slots: list[int], numbers: Any, nulls: Nulls, make: Callable[[Any], Column]) -> None:
    def column(chosen: Flags) -> Column:
        made = make(numbers[chosen])
        if nulls is None or not nulls.any():
            return made
        return _kept(made.values() if isinstance(made, Scaled | Counted) else list(made), nulls, chosen)

    for slot in slots:
        batch.found[slot] = column


def _fixed_leaf(schema: Schema, slots: list[int]) -> Step:
    size, logical = schema["size"], logical_type_of(schema)

    def find(values: Values, at: Integers) -> tuple[tuple[Integers, Integers], Integers, Flags]:
        after, whole = values.ending(at + size)
        return (at, after), after, whole

    if logical == "decimal":
        if slots and not 1 <= size <= _WORD_BYTES:
            raise NotByColumns
        return _decimal_step(slots, _scale(schema), find)

    def step(batch: _Batch, at: Integers, fine: Flags, nulls: Nulls) -> tuple[Integers, Flags]:
        (begins, ends), after, whole = find(batch.values, at)
        is_uuid = logical == "uuid" and size == 16
        _note_bytes(batch, slots, begins, ends, nulls, _uuid_text if is_uuid else bytes)
        return after, fine & whole

    return step


def _uuid_text(raw: bytes) -> str:
    return str(uuid.UUID(bytes=raw))


def _integer_leaf(bits: int) -> Callable[[Schema, list[int]], Step]:
    def leaf(schema: Schema, slots: list[int]) -> Step:
        make = _integers_as(schema)

        def step(batch: _Batch, at: Integers, fine: Flags, nulls: Nulls) -> tuple[Integers, Flags]:
            numbers, after, good = varints(batch.values, at)
            if bits == 32:
                good &= (numbers >= -(2**31)) & (numbers < 2**31)
            _note_numbers(batch, slots, numbers, nulls, make)
            return after, fine & good

        return step

    return leaf


def _integers_as(schema: Schema) -> Callable[[Any], Column]:
    made = time_of(schema)
    if made is None:
        return lambda numbers: numbers.tolist()
    sample = made(0)
    if sample.zoned:
        return lambda numbers: Counted(numbers, sample.per_second)
    return lambda numbers: list(map(made, numbers.tolist()))


def _enum_leaf(schema: Schema, slots: list[int]) -> Step:
    symbols = list(schema["symbols"])

    def step(batch: _Batch, at: Integers, fine: Flags, nulls: Nulls) -> tuple[Integers, Flags]:
        numbers, after, good = varints(batch.values, at)
        good &= (numbers >= 0) & (numbers < len(symbols))
        numbers = np.where(good, numbers, 0)
        _note_numbers(batch, slots, numbers, nulls, lambda found: [symbols[each] for each in found.tolist()])
        return after, fine & good

    return step


def _boolean_leaf(schema: Schema, slots: list[int]) -> Step:
    def step(batch: _Batch, at: Integers, fine: Flags, nulls: Nulls) -> tuple[Integers, Flags]:
        byte = batch.values.words(at) & np.uint64(0xFF)
        after, whole = batch.values.ending(at + 1)
        _note_numbers(batch, slots, byte == 1, nulls, lambda found: found.tolist())
        return after, fine & whole & (byte <= 1)

    return step


def _float_leaf(size: int) -> Callable[[Schema, list[int]], Step]:
    def leaf(schema: Schema, slots: list[int]) -> Step:
        def step(batch: _Batch, at: Integers, fine: Flags, nulls: Nulls) -> tuple[Integers, Flags]:
            words = batch.values.words(at)
            after, whole = batch.values.ending(at + size)
            _note_numbers(batch, slots, words, nulls, _floats if size == _WORD_BYTES else _singles)
            return after, fine & whole

        return step

    return leaf


def _floats(words: Any) -> Column:
    found: list[Any] = words.view(np.float64).tolist()
    return found


def _singles(words: Any) -> Column:
    return [shortest(each) for each in (words & np.uint64(0xFFFFFFFF)).astype(np.uint32).view(np.float32).tolist()]


def _null_leaf(schema: Schema, slots: list[int]) -> Step:
    return lambda batch, at, fine, nulls: (at, fine)


_LEAVES: dict[str, Callable[[Schema, list[int]], Step]] = {
    "null": _null_leaf,
    "boolean": _boolean_leaf,
    "int": _integer_leaf(32),
    "long": _integer_leaf(64),
    "float": _float_leaf(4),
    "double": _float_leaf(8),
    "bytes": _bytes_leaf,
    "string": lambda schema, slots: _text_step(slots),
    "fixed": _fixed_leaf,
    "enum": _enum_leaf,
}


# ---- text that is no UTF-8


def _all_utf8(batch: _Batch, fine: Flags) -> Flags:
    """Which of the records that are fine have no text that is not UTF-8."""
    data = np.frombuffer(batch.values.data, np.uint8)
    beyond_ascii = np.zeros(len(data) + 1, np.int32)
    np.cumsum(data >> 7, dtype=np.int32, out=beyond_ascii[1:])
    for begins, ends, meant in batch.texts:
        suspect = np.flatnonzero(meant & (beyond_ascii[ends] != beyond_ascii[begins]))
        starts, stops = begins[suspect].tolist(), ends[suspect].tolist()
        texts = [batch.values.data[start:stop] for start, stop in zip(starts, stops, strict=True)]
        # No character goes over a blank, so all are UTF-8 if this is.
        if _is_utf8(b" ".join(texts)):
            continue
        # Texts of the items of lists are fewer or more than the records: one that is wrong declines the batch.
        if len(begins) != len(fine):
            return np.zeros(len(fine), np.bool_)
        fine[suspect] &= [_is_utf8(text) for text in texts]
    return fine


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
