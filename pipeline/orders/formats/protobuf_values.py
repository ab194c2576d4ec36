"""Reads what paths want out of Protobuf messages, by the descriptors of their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, ClassVar, Literal

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from pipeline.errors import UndecodableError
from pipeline.orders.mapping.paths import MAXIMUM_ITEMS, Path, RecordValue
from pipeline.orders.mapping.selection import WHOLE, Selection
from pipeline.orders.mapping.value_columns import Column, Counted, Found, plain_values
from pipeline.orders.mapping.values import Instant, ValueMismatchError, decimal_of, shortest

RULE = "protobuf"
NANOS = 1_000_000_000
TIMESTAMP = "google.protobuf.Timestamp"
_FAR_S = 9_000_000_000
MAXIMUM_DEPTH = 64
"""Messages within each other that are looked at; the library reads no more than 100."""

Make = Callable[[Any], Any]


class DescriptorError(ValueError):
    """Descriptors cannot be used; the message says why."""


class MessageTypes:
    """The message types of some files, which need each other."""

    kind: ClassVar[Literal["PROTOBUF"]] = "PROTOBUF"

    def __init__(self, files: Sequence[descriptor_pb2.FileDescriptorProto], main: str = "") -> None:
        """`main` is the name of the file whose messages records count by index. Raises DescriptorError."""
        self._pool = descriptor_pool.DescriptorPool()
        try:
            for each in files:
                self._pool.Add(each)
            self._main = self._pool.FindFileByName(main) if main else None
        except (TypeError, KeyError, ValueError) as error:
            raise DescriptorError(f"its files cannot be put together: {_one_line(error)}") from error

    def named(self, name: str) -> Descriptor:
        """The message of this full name. Raises DescriptorError."""
        try:
            return self._pool.FindMessageTypeByName(name)
        except KeyError as error:
            raise DescriptorError(f"it has no message {name}") from error

    def index_of(self, name: str) -> tuple[int, ...] | None:
        """The index of the message of this simple name at the top of the file."""
        assert self._main is not None
        names = list(self._main.message_types_by_name)
        return (names.index(name),) if name in names else None

    def at(self, indexes: Sequence[int]) -> Descriptor:
        """The message that Confluent's message indexes name: the third of the file, the first in it, and so on.

        Raises DescriptorError.
        """
        assert self._main is not None
        inside = list(self._main.message_types_by_name.values())
        found: Descriptor | None = None
        for index in indexes:
            if not 0 <= index < len(inside):
                raise DescriptorError(f"it has no message at {list(indexes)}")
            found = inside[index]
            inside = list(found.nested_types)
        assert found is not None
        return found


def read_descriptor_set(content: bytes) -> MessageTypes:
    """The types of a descriptor set file, as `protoc --include_imports --descriptor_set_out` writes it.

    Raises DescriptorError.
    """
    files = descriptor_pb2.FileDescriptorSet()
    try:
        files.ParseFromString(content)
    except DecodeError as error:
        raise DescriptorError("it is no descriptor set") from error
    if not files.file:
        raise DescriptorError("it is a descriptor set without a file")
    return MessageTypes(list(files.file))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


class ProtobufReader:
    """Reads the wanted part of messages of one type; slots are the indexes of `paths`."""

    def __init__(self, descriptor: Descriptor, wanted: Selection, paths: Sequence[Path]) -> None:
        self.name = descriptor.full_name
        self._class = message_factory.GetMessageClass(descriptor)
        # The library makes the class of a message inside of another one anew when nobody holds it.
        self._inside = [message_factory.GetMessageClass(each) for each in _reachable(descriptor)]
        self._make = _message_value(descriptor, wanted, 0)
        self._slots = len(paths)
        self._fields: _Node | None = _Node("", has_presence=False)
        try:
            for slot, path in enumerate(paths):
                self._fields.add(descriptor, path.steps, slot)
        except NotByColumns:
            self._fields = None

    def read(self, data: bytes) -> Any:
        """What is wanted of the message. Raises UndecodableError."""
        return self._make(self._parsed(data))

    def has_fields(self, data: bytes) -> bool:
        """Whether any field of the type is in it: nearly all bytes are fields that a type has not.

        Raises UndecodableError.
        """
        return bool(self._parsed(data).ListFields())

    def _parsed(self, data: bytes) -> Message:
        message = self._class()
        try:
            message.ParseFromString(data)
        except DecodeError as error:
            raise UndecodableError(f"value is no {self.name}: {_one_line(error)}", RULE) from error
        return message

    def read_many(self, values: Sequence[bytes]) -> Found:
        """The indexes of those that are messages of this type, and for each slot their values."""
        if self._fields is None:
            return [], [()] * self._slots
        columns: list[Column] = [()] * self._slots
        indexes, messages = self._parsed_ones(values)
        self._fields.read(messages, columns)
        return indexes, columns

    def _parsed_ones(self, values: Sequence[bytes]) -> tuple[list[int], list[Message]]:
        parse = self._class.FromString
        try:
            return list(range(len(values))), list(map(parse, values))
        except DecodeError:
            pass  # as hardly ever
        indexes, messages = list[int](), list[Message]()
        for index, value in enumerate(values):
            try:
                messages.append(parse(value))
            except DecodeError:
                continue
            indexes.append(index)
        return indexes, messages


def _reachable(descriptor: Descriptor) -> list[Descriptor]:
    """A message type, and those of its fields, of their fields, and so on."""
    found, left = dict[str, Descriptor](), [descriptor]
    while left:
        each = left.pop()
        if each.full_name not in found:
            found[each.full_name] = each
            left.extend(field.message_type for field in each.fields if field.message_type is not None)
    return list(found.values())


# ---- a message as a value


def _message_value(descriptor: Descriptor, wanted: Selection, depth: int) -> Make:
    """What makes a value of a message. What is wanted whole is followed to a depth: a message may contain itself."""
    known = _KNOWN.get(descriptor.full_name)
    if known is not None and wanted.whole:
        return known
    if depth > MAXIMUM_DEPTH:
        return lambda message: ValueMismatchError("a message that is nested too deeply")
    lazily: list[tuple[str, bool, Make]] = []
    fields = [(each, wanted.of_field(each.name)) for each in descriptor.fields]

    def make(message: Any) -> RecordValue:
        if not lazily:
            lazily.extend(
                (each.name, each.has_presence, _field_value(each, below, depth + 1))
                for each, below in fields
                if below is not None
            )
        found = {
            name: make_field(getattr(message, name)) if not has_presence or message.HasField(name) else None
            for name, has_presence, make_field in lazily
        }
        return RecordValue(found, descriptor.full_name)

    return make


def _field_value(field: FieldDescriptor, wanted: Selection, depth: int) -> Make:
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        inner = _single_value(entry.fields_by_name["value"], WHOLE, depth)
        return lambda entries: _map(entries, inner, wanted)
    if field.is_repeated:
        below = wanted.of_items()
        if below is None:
            return lambda items: []
        item = _single_value(field, below, depth)
        return lambda items: _list(items, item, field.name)
    return _single_value(field, wanted, depth)


def _list(items: Any, make: Make, name: str) -> Any:
    if len(items) > MAXIMUM_ITEMS:
        raise UndecodableError(f"{name} has {len(items)} items; expected at most {MAXIMUM_ITEMS}", RULE)
    return [make(each) for each in items]


def _map(entries: Any, make: Make, wanted: Selection) -> dict[str, Any]:
    # Reading an entry that is not there would make one.
    names = [key for key in entries if wanted.whole or str(key) in wanted.fields]
    if len(names) > MAXIMUM_ITEMS:
        raise UndecodableError(f"a map has {len(names)} entries; expected at most {MAXIMUM_ITEMS}", RULE)
    return {str(key): make(entries[key]) for key in names}


def _single_value(field: FieldDescriptor, wanted: Selection, depth: int) -> Make:
    if field.message_type is not None:
        return _message_value(field.message_type, wanted, depth)
    return _scalar(field)


def _scalar(field: FieldDescriptor) -> Make:
    if field.enum_type is not None:
        names = field.enum_type.values_by_number
        return lambda number: names[number].name if number in names else number
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return shortest
    return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _decimal(message: Any) -> Any:
    try:
        return decimal_of(message.value, message.scale)
    except ValueMismatchError as error:
        return error


def _money(message: Any) -> RecordValue:
    found = {"units": message.units, "nanos": message.nanos, "currency_code": message.currency_code}
    return RecordValue(found, "google.type.Money")


# Types that stand for one value. https://protobuf.dev/reference/protobuf/google.protobuf/ and
# https://github.com/googleapis/googleapis/tree/master/google/type and Confluent's confluent/type/decimal.proto
_KNOWN: dict[str, Make] = {
    TIMESTAMP: lambda message: Instant(message.seconds * NANOS + message.nanos, NANOS),
    "google.type.Money": _money,
    "google.type.Decimal": attrgetter("value"),
    "confluent.type.Decimal": _decimal,
    **{
        f"google.protobuf.{kind}Value": attrgetter("value")
        for kind in ("String", "Int32", "Int64", "UInt32", "UInt64", "Bool", "Bytes", "Double")
    },
    "google.protobuf.FloatValue": lambda message: shortest(message.value),
}


# ---- many messages at once


class NotByColumns(Exception):
    """A path needs more than fields that stand there once."""


@dataclass(slots=True)
class _Node:
    """A field that is read of many messages: the slots that it fills, and the fields below it."""

    name: str
    has_presence: bool
    make: Callable[[list[Any]], Column] | None = None
    """What makes a column of its values, where it is a value; none of them is None."""
    slots: list[int] = field(default_factory=list)
    below: dict[str, _Node] = field(default_factory=dict)

    def add(self, descriptor: Descriptor | None, steps: Sequence[Any], slot: int) -> None:
        """Reads what these steps lead to, too. Raises NotByColumns."""
        step = steps[0] if steps else None
        found = descriptor.fields_by_name.get(step) if descriptor is not None and isinstance(step, str) else None
        if found is None or found.is_repeated:
            raise NotByColumns
        node = self.below.setdefault(found.name, _Node(found.name, found.has_presence))
        if len(steps) > 1:
            node.add(found.message_type, steps[1:], slot)
        else:
            node.make = _maker(found)
            node.slots.append(slot)
        if node.slots and node.below:
            raise NotByColumns  # a part of what is wanted whole

    def read(self, messages: list[Any], columns: list[Column]) -> None:
        """Makes the columns of the slots; a message that is not there is None."""
        for node in self.below.values():
            found = node.picked(messages)
            if node.slots and node.make is not None:
                column = _column_with_gaps(found, node.make)
                for slot in node.slots:
                    columns[slot] = column
            node.read(found, columns)

    def picked(self, messages: list[Any]) -> list[Any]:
        """This field of each message; None where it is not there."""
        get, name = attrgetter(self.name), self.name
        if self.has_presence:
            return [get(each) if each is not None and each.HasField(name) else None for each in messages]
        if None in messages:
            return [None if each is None else get(each) for each in messages]
        return list(map(get, messages))


def _maker(found: FieldDescriptor) -> Callable[[list[Any]], Column]:
    if found.message_type is not None:
        name = found.message_type.full_name
        if name not in _KNOWN:
            raise NotByColumns
        make = _KNOWN[name]
        return _times if name == TIMESTAMP else lambda values: list(map(make, values))
    scalar = _scalar(found)
    return _as_it_is if scalar is _as_it_is else lambda values: list(map(scalar, values))


def _times(timestamps: list[Any]) -> Column:
    seconds, nanos = list(map(attrgetter("seconds"), timestamps)), list(map(attrgetter("nanos"), timestamps))
    # Nanoseconds of these fit 64 bits.
    if timestamps and min(seconds) > -_FAR_S and max(seconds) < _FAR_S:
        return Counted(np.array(seconds, np.int64) * NANOS + np.array(nanos, np.int64), NANOS)
    return list(map(_KNOWN[TIMESTAMP], timestamps))


def _column_with_gaps(found: list[Any], make: Callable[[list[Any]], Column]) -> Column:
    if None not in found:
        return make(found)
    made = iter(plain_values(make([each for each in found if each is not None])))
    return [None if each is None else next(made) for each in found]
