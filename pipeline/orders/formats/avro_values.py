"""Reads what paths want out of Avro of any schema, by the types that its writer gave it.

Every byte is checked, also of what nobody wants: see `pipeline.orders.avro`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UndecodableError
from pipeline.orders.avro import (
    MAXIMUM_DEPTH,
    TOO_DEEP,
    Names,
    Reader,
    Schema,
    boolean_reader,
    bytes_reader,
    fixed_reader,
    float_reader,
    index_reader,
    int_reader,
    logical_type_of,
    passing_over,
    read_long,
    refusing,
    string_reader,
    type_of,
    union_reader,
)
from pipeline.orders.mapping.paths import MAXIMUM_ITEMS, RecordValue
from pipeline.orders.mapping.selection import Selection
from pipeline.orders.mapping.values import Instant, ValueMismatchError, decimal_of, shortest

PER_SECOND = {"millis": 1_000, "micros": 1_000_000, "nanos": 1_000_000_000}
# What Kafka Connect, and Debezium with it, calls a long.
# https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-temporal-types
CONNECT_TIMES = {
    "org.apache.kafka.connect.data.Timestamp": PER_SECOND["millis"],
    "io.debezium.time.Timestamp": PER_SECOND["millis"],
    "io.debezium.time.MicroTimestamp": PER_SECOND["micros"],
    "io.debezium.time.NanoTimestamp": PER_SECOND["nanos"],
}
DAY_S = 86_400
MAXIMUM_EMPTY_ITEMS = 64
"""Of a list that is wanted: items that take no bytes, such as nulls."""


@dataclass(frozen=True, slots=True)
class AvroReader:
    """Reads the wanted part of records of one writer's schema."""

    read_value: Reader

    def read(self, data: bytes, begin: int) -> Any:
        """The value that begins at `begin` and ends with the data. Raises UndecodableError."""
        try:
            value, at = self.read_value(data, begin)
        except RecursionError as error:
            raise UndecodableError(TOO_DEEP) from error
        if at != len(data):
            extra = len(data) - at
            raise UndecodableError(f"{extra} trailing {'byte' if extra == 1 else 'bytes'} after the record")
        return value


def avro_reader(schema: Schema, names: Names, wanted: Selection, maximum_depth: int = MAXIMUM_DEPTH) -> AvroReader:
    """Works out how records of a writer's schema are read; `names` are its named types."""
    return AvroReader(_picking(schema, names, "the record", wanted, maximum_depth))


def _picking(schema: Schema, names: Names, where: str, wanted: Selection | None, depth: int) -> Reader:
    """A reader for what is wanted of a value. `depth` is how many types within it may still be met."""
    if wanted is None:
        return passing_over(schema, names, where, depth)
    if depth < 0:
        return refusing(TOO_DEEP)
    if isinstance(schema, list):
        return union_reader([_picking(each, names, where, wanted, depth - 1) for each in schema], where)
    kind = type_of(schema)
    if kind in ("record", "error"):
        return _record_reader(schema, names, where, wanted, depth)
    if kind == "array":
        item = _picking(schema["items"], names, f"{where}[]", wanted.of_items(), depth - 1)
        return _array_reader(item, where)
    if kind == "map":
        return _map_reader(schema, names, where, wanted, depth)
    if kind in _LEAVES:
        return _LEAVES[kind](schema, where)
    return _named_reader(kind, names, where, wanted, depth)


def _record_reader(schema: Schema, names: Names, where: str, wanted: Selection, depth: int) -> Reader:
    inner = "" if where == "the record" else f"{where}."
    steps = [
        (
            each["name"],
            wanted.of_field(each["name"]) is not None,
            _picking(each["type"], names, f"{inner}{each['name']}", wanted.of_field(each["name"]), depth - 1),
        )
        for each in schema["fields"]
    ]
    type_name = str(schema.get("name", ""))

    def read(data: bytes, at: int) -> tuple[RecordValue, int]:
        found: dict[str, Any] = {}
        for name, is_wanted, read_field in steps:
            value, at = read_field(data, at)
            if is_wanted:
                found[name] = value
        return RecordValue(found, type_name), at

    return read


def _array_reader(read_item: Reader, where: str) -> Reader:
    def read(data: bytes, at: int) -> tuple[list[Any], int]:
        found: list[Any] = []
        while True:
            count, at = _block(data, at, where, len(found))
            if count == 0:
                return found, at
            begin = at
            value, at = read_item(data, at)
            if at == begin:
                # Nothing but the schema says what they are, so they are all alike. Lists of lists of them would take
                # room that no byte of the record stands for.
                if len(found) + count > MAXIMUM_EMPTY_ITEMS:
                    raise UndecodableError(f"{where} has {len(found) + count} items without a byte")
                found += [value] * count
                continue
            found.append(value)
            for _ in range(count - 1):
                value, at = read_item(data, at)
                found.append(value)

    return read


def _map_reader(schema: Schema, names: Names, where: str, wanted: Selection, depth: int) -> Reader:
    read_key = string_reader(where)
    pass_over = passing_over(schema["values"], names, where, depth - 1)
    readers = {
        key: _picking(schema["values"], names, f"{where}.{key}", wanted.of_field(key), depth - 1)
        for key in wanted.fields
    }
    read_any = _picking(schema["values"], names, where, wanted, depth - 1) if wanted.whole else pass_over

    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        seen = 0
        while True:
            count, at = _block(data, at, where, seen)
            if count == 0:
                return found, at
            for _ in range(count):
                key, at = read_key(data, at)
                value, at = readers.get(key, read_any)(data, at)
                if wanted.whole or key in readers:
                    found[key] = value
            seen += count

    return read


def _block(data: bytes, at: int, where: str, seen: int) -> tuple[int, int]:
    """How many items a block has, after `seen` of the blocks before; 0 at the end of all.

    A negative count is followed by the size of its block in bytes.
    """
    count, at = read_long(data, at, where)
    if count < 0:
        size, at = read_long(data, at, where)
        if size < 0:
            raise UndecodableError(f"{where} has a negative length ({size})")
        count = -count
    if seen + count > MAXIMUM_ITEMS:
        raise UndecodableError(f"{where} has {seen + count} items; expected at most {MAXIMUM_ITEMS}")
    return count, at


def _named_reader(name: str, names: Names, where: str, wanted: Selection, depth: int) -> Reader:
    """Looks the type up when it is first met in the data, because a type may contain itself."""
    found: list[Reader] = []

    def read(data: bytes, at: int) -> tuple[Any, int]:
        if not found:
            found.append(_picking(names[name], names, where, wanted, depth))
        return found[0](data, at)

    return read


# ---- single values, as their writer means them


def _read_as(read_raw: Reader, make: Callable[[Any], Any]) -> Reader:
    """What cannot be made is the value's fault, not that of the bytes: its ValueMismatchError stands in its place."""

    def read(data: bytes, at: int) -> tuple[Any, int]:
        raw, at = read_raw(data, at)
        try:
            return make(raw), at
        except ValueMismatchError as error:
            return error, at

    return read


def _bytes_value(schema: Schema, where: str) -> Reader:
    return _maybe_decimal(schema, bytes_reader(where))


def _fixed_value(schema: Schema, where: str) -> Reader:
    read_raw = fixed_reader(schema["size"], where)
    if logical_type_of(schema) == "uuid" and schema["size"] == 16:
        return _read_as(read_raw, lambda raw: str(uuid.UUID(bytes=raw)))
    return _maybe_decimal(schema, read_raw)


def _maybe_decimal(schema: Schema, read_raw: Reader) -> Reader:
    if logical_type_of(schema) != "decimal":
        return read_raw
    scale = schema.get("scale") or 0
    return _read_as(read_raw, lambda raw: decimal_of(raw, scale))


def _integer_value(bits: int) -> Callable[[Schema, str], Reader]:
    def reader(schema: Schema, where: str) -> Reader:
        read_raw = int_reader(bits, where)
        made = time_of(schema)
        return read_raw if made is None else _read_as(read_raw, made)

    return reader


def time_of(schema: Schema) -> Callable[[int], Instant] | None:
    """What makes a time of a number of this type; None where its writer does not call it one."""
    logical = logical_type_of(schema) or ""
    if logical == "date":
        return lambda days: Instant(days * DAY_S, 1, zoned=False)
    for prefix, zoned in (("timestamp-", True), ("local-timestamp-", False)):
        if logical.startswith(prefix) and logical.removeprefix(prefix) in PER_SECOND:
            return _times(PER_SECOND[logical.removeprefix(prefix)], zoned)
    called = schema.get("connect.name") if isinstance(schema, dict) else None
    return _times(CONNECT_TIMES[called]) if isinstance(called, str) and called in CONNECT_TIMES else None


def _times(per_second: int, zoned: bool = True) -> Callable[[int], Instant]:
    return lambda units: Instant(units, per_second, zoned)


def _enum_value(schema: Schema, where: str) -> Reader:
    symbols = schema["symbols"]
    return _read_as(index_reader(len(symbols), "symbol", where), lambda index: symbols[index])


_LEAVES: dict[str, Callable[[Schema, str], Reader]] = {
    "null": lambda schema, where: lambda data, at: (None, at),
    "boolean": lambda schema, where: boolean_reader(where),
    "int": _integer_value(32),
    "long": _integer_value(64),
    "float": lambda schema, where: _read_as(float_reader("<f", where), shortest),
    "double": lambda schema, where: float_reader("<d", where),
    "bytes": _bytes_value,
    "string": lambda schema, where: string_reader(where),
    "fixed": _fixed_value,
    "enum": _enum_value,
}
