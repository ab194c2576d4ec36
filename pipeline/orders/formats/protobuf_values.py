"""Reads what paths want out of Protobuf messages, by the descriptors of their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar, Literal

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from pipeline.errors import UndecodableError
from pipeline.orders.mapping.paths import MAXIMUM_ITEMS, Path, RecordValue
from pipeline.orders.mapping.selection import WHOLE, Selection
from pipeline.orders.mapping.values import Instant, ValueMismatchError, decimal_of, shortest

RULE = "protobuf"
NANOS = 1_000_000_000
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
        self._make = _message_value(descriptor, wanted, 0)
        self._columns = [_column_getter(descriptor, path, paths) for path in paths]

    def read(self, data: bytes) -> Any:
        """What is wanted of the message. Raises UndecodableError."""
        return self._make(self._parsed(data))

    def _parsed(self, data: bytes) -> Message:
        message = self._class()
        try:
            message.ParseFromString(data)
        except DecodeError as error:
            raise UndecodableError(f"value is no {self.name}: {_one_line(error)}", RULE) from error
        return message

    def read_many(self, values: Sequence[bytes]) -> tuple[list[int], list[list[Any]]]:
        """The indexes of those that are messages of this type, and for each slot their values."""
        if None in self._columns:
            return [], [[] for _ in self._columns]
        indexes, messages, parse = list[int](), list[Message](), self._class.FromString
        for index, value in enumerate(values):
            try:
                messages.append(parse(value))
            except DecodeError:
                continue
            indexes.append(index)
        return indexes, [get(messages) for get in self._columns if get is not None]


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
    "google.protobuf.Timestamp": lambda message: Instant(message.seconds * NANOS + message.nanos, NANOS),
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


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    has_presence: bool


def _column_getter(
    descriptor: Descriptor, path: Path, paths: Sequence[Path]
) -> Callable[[list[Any]], list[Any]] | None:
    """What a path of plain fields leads to in each message; None: it needs more than that."""
    if any(path.steps[: len(each.steps)] == each.steps for each in paths if each != path):
        return None  # a part of what is wanted whole
    steps: list[_Step] = []
    at: Descriptor | None = descriptor
    field: FieldDescriptor | None = None
    for name in path.steps:
        field = at.fields_by_name.get(name) if at is not None and isinstance(name, str) else None
        if field is None or field.is_repeated:
            return None
        steps.append(_Step(str(name), field.has_presence))
        at = field.message_type
    assert field is not None
    make = _scalar(field) if at is None else _KNOWN.get(at.full_name)
    return None if make is None else _along(steps, make)


def _along(steps: Sequence[_Step], make: Make) -> Callable[[list[Any]], list[Any]]:
    def get(messages: list[Any]) -> list[Any]:
        found = messages
        for step in steps:
            picked = attrgetter(step.name)
            if step.has_presence:
                name = step.name
                found = [picked(each) if each is not None and each.HasField(name) else None for each in found]
            elif None in found:
                found = [None if each is None else picked(each) for each in found]
            else:
                found = list(map(picked, found))
        if make is _as_it_is:
            return found
        return [None if each is None else make(each) for each in found]

    return get
