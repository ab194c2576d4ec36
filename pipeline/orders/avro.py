"""Reads Avro's binary encoding of an order, strictly: every byte is checked before it is believed.

fastavro is a third faster on valid data, but it was seen to end the process on input of strangers (1.13.1), takes some
broken data for whole, and cannot say which field was broken. What arrives on a topic is not ours to trust, so it is
read here, along a plan made once for each writer's schema.
Wire format: https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.errors import UndecodableError
from pipeline.orders.fields import ORDER_FIELDS
from pipeline.records import Order, OrderField, OrderFieldKind

Schema = Any
"""A parsed Avro schema: the name of a type, a list (a union) or a dict."""

Names = Mapping[str, Schema]
"""The named types of a schema by their full name."""

Reader = Callable[[bytes, int], tuple[Any, int]]
"""Takes the data and where to begin; returns the value and where it ended. Raises UndecodableError."""

Conversion = Callable[[Schema, Names, str], Reader]
"""Makes the reader of a writer's type for one field. Raises UnresolvableError when that type cannot fill the field."""

PRICE_SCALE = 2
CENTS_LIMIT = 10**12
"""Prices are decimal(12, 2): their cents have 12 digits at most, so sums of millions of them still fit 64 bits."""
DECIMAL_LIMIT = 64
"""A decimal of more bytes, or of a greater scale, is not looked at."""
MAXIMUM_DEPTH = 256
"""Types within types that are followed in a field that no order has; a type that contains itself counts each time."""
TOO_DEEP = "its fields are nested too deeply"

FIRST_MS = int(datetime(1, 1, 2, tzinfo=UTC).timestamp()) * 1000
LAST_MS = int(datetime(9999, 12, 30, tzinfo=UTC).timestamp()) * 1000
_UNITS_PER_MS = {
    None: 1,
    "timestamp-millis": 1,
    "timestamp-micros": 1_000,
    "timestamp-nanos": 1_000_000,
}
"""By logical type. A plain number is in milliseconds, unless its writer calls it something else."""
_CONNECT_TIMESTAMP = "org.apache.kafka.connect.data.Timestamp"


class UnresolvableError(Exception):
    """A writer's schema cannot be read as an order; the text says why."""


# ---- numbers and lengths


def read_long(data: bytes, at: int, where: str) -> tuple[int, int]:
    """Reads a zig-zag variable-length number of at most 64 bits."""
    # Most numbers are lengths of one byte.
    if at < len(data) and (byte := data[at]) < 0x80:
        return (byte >> 1) ^ -(byte & 1), at + 1
    unsigned = shift = 0
    while True:
        if at >= len(data):
            raise _truncated(data, where)
        byte = data[at]
        at += 1
        unsigned |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise UndecodableError(f"{where} is a number of more than 64 bits")
    if unsigned >> 64:
        raise UndecodableError(f"{where} is a number of more than 64 bits")
    return (unsigned >> 1) ^ -(unsigned & 1), at


def _read_bytes(data: bytes, at: int, where: str) -> tuple[bytes, int]:
    length, at = read_long(data, at, where)
    if length < 0:
        raise UndecodableError(f"{where} has a negative length ({length})")
    return _take(data, at, length, where)


def _take(data: bytes, at: int, length: int, where: str) -> tuple[bytes, int]:
    end = at + length
    if end > len(data):
        raise _truncated(data, where)
    return data[at:end], end


def _truncated(data: bytes, where: str) -> UndecodableError:
    return UndecodableError(f"truncated after {len(data)} bytes, in {where}")


def written_long(number: int) -> bytes:
    """A number of at most 64 bits, zig-zag and of variable length: what `read_long` reads."""
    unsigned = (number << 1) ^ (number >> 63)
    written = bytearray()
    while unsigned > 0x7F:
        written.append(unsigned & 0x7F | 0x80)
        unsigned >>= 7
    return bytes((*written, unsigned))


# ---- one reader for each type of Avro


def int_reader(bits: int, where: str) -> Reader:
    """A number of 32 or 64 bits."""

    def read(data: bytes, at: int) -> tuple[int, int]:
        number, at = read_long(data, at, where)
        if bits == 32 and not -(2**31) <= number < 2**31:
            raise UndecodableError(f"{where} is an int of more than 32 bits")
        return number, at

    return read


def bytes_reader(where: str) -> Reader:
    """A length, and so many bytes."""
    return lambda data, at: _read_bytes(data, at, where)


def string_reader(where: str) -> Reader:
    """A length, and so many bytes of UTF-8."""

    def read(data: bytes, at: int) -> tuple[str, int]:
        raw, at = _read_bytes(data, at, where)
        try:
            return raw.decode(), at
        except UnicodeDecodeError as error:
            raise UndecodableError(f"{where} is not valid UTF-8") from error

    return read


def fixed_reader(size: int, where: str) -> Reader:
    """So many bytes."""
    return lambda data, at: _take(data, at, size, where)


def float_reader(layout: str, where: str) -> Reader:
    """A number of this layout of `struct`."""

    def read(data: bytes, at: int) -> tuple[float, int]:
        raw, at = _take(data, at, struct.calcsize(layout), where)
        return struct.unpack(layout, raw)[0], at

    return read


def boolean_reader(where: str) -> Reader:
    """One byte, 0 or 1."""

    def read(data: bytes, at: int) -> tuple[bool, int]:
        raw, at = _take(data, at, 1, where)
        if raw not in (b"\0", b"\1"):
            raise UndecodableError(f"{where} is a boolean of 0x{raw.hex()}")
        return raw == b"\1", at

    return read


def index_reader(count: int, what: str, where: str) -> Reader:
    """The index of one of so many; `what` is for the error's words."""

    def read(data: bytes, at: int) -> tuple[int, int]:
        index, at = read_long(data, at, where)
        if not 0 <= index < count:
            raise UndecodableError(f"{where} has {what} {index} of {count}")
        return index, at

    return read


def union_reader(branches: list[Reader], where: str) -> Reader:
    """The index of a branch, and its value."""
    read_index = index_reader(len(branches), "union branch", where)

    def read(data: bytes, at: int) -> tuple[Any, int]:
        index, at = read_index(data, at)
        return branches[index](data, at)

    return read


# ---- what an order has no field for is checked and passed over


def passing_over(schema: Schema, names: Names, where: str, depth: int) -> Reader:
    """A reader for a value of any type that nobody wants: it is checked all the same.

    `depth` is how many types within it may still be met in the data.
    """
    if depth < 0:
        return refusing(TOO_DEEP)
    if isinstance(schema, list):
        return union_reader([passing_over(branch, names, where, depth - 1) for branch in schema], where)
    kind = type_of(schema)
    if kind in ("record", "error"):
        fields = schema["fields"]
        return _passing_over_fields(
            [passing_over(each["type"], names, f"{where}.{each['name']}", depth - 1) for each in fields]
        )
    if kind == "array":
        return _passing_over_blocks(passing_over(schema["items"], names, where, depth - 1), where)
    if kind == "map":
        entry = [string_reader(where), passing_over(schema["values"], names, where, depth - 1)]
        return _passing_over_blocks(_passing_over_fields(entry), where)
    if kind == "fixed":
        return fixed_reader(schema["size"], where)
    if kind == "enum":
        return index_reader(len(schema["symbols"]), "symbol", where)
    if kind in _PRIMITIVES:
        return _PRIMITIVES[kind](where)
    return _passing_over_named(kind, names, where, depth)


_PRIMITIVES: dict[str, Callable[[str], Reader]] = {
    "null": lambda where: lambda data, at: (None, at),
    "boolean": boolean_reader,
    "int": lambda where: int_reader(32, where),
    "long": lambda where: int_reader(64, where),
    "float": lambda where: float_reader("<f", where),
    "double": lambda where: float_reader("<d", where),
    "bytes": bytes_reader,
    "string": string_reader,
}


def _passing_over_named(name: str, names: Names, where: str, depth: int) -> Reader:
    """Looks the type up when it is first met in the data, because a type may contain itself."""
    found: list[Reader] = []

    def read(data: bytes, at: int) -> tuple[None, int]:
        if not found:
            found.append(passing_over(names[name], names, where, depth))
        return found[0](data, at)

    return read


def _passing_over_fields(readers: list[Reader]) -> Reader:
    def read(data: bytes, at: int) -> tuple[None, int]:
        for pass_over in readers:
            _, at = pass_over(data, at)
        return None, at

    return read


def _passing_over_blocks(pass_over: Reader, where: str) -> Reader:
    """Arrays and maps: blocks of a count and so many items, ended by a count of 0.

    A negative count is followed by the size of its block in bytes.
    """

    def read(data: bytes, at: int) -> tuple[None, int]:
        while True:
            count, at = read_long(data, at, where)
            if count == 0:
                return None, at
            if count < 0:
                size, at = read_long(data, at, where)
                if size < 0:
                    raise UndecodableError(f"{where} has a negative length ({size})")
            at = _pass_over_items(pass_over, data, at, abs(count))

    return read


def _pass_over_items(pass_over: Reader, data: bytes, at: int, count: int) -> int:
    for _ in range(count):
        _, after = pass_over(data, at)
        # Items without bytes (nulls) are all alike: one look is enough, whatever their count.
        if after == at:
            return at
        at = after
    return at


# ---- what an order is made of


def _resolving(schema: Schema, names: Names, where: str, convert: Conversion) -> Reader:
    """Applies `convert` to every branch of a union and to what a name stands for."""
    if isinstance(schema, str) and schema in names:
        schema = names[schema]
    if isinstance(schema, list):
        return _resolving_union(schema, names, where, convert)
    return convert(schema, names, where)


def _resolving_union(branches: list[Schema], names: Names, where: str, convert: Conversion) -> Reader:
    readers: list[Reader] = []
    problems: list[str] = []
    for branch in branches:
        try:
            readers.append(_resolving(branch, names, where, convert))
        except UnresolvableError as error:
            problems.append(str(error))
            readers.append(refusing(f"{where} is null" if branch == "null" else str(error)))
    if len(problems) == len(branches):
        raise UnresolvableError("; ".join(dict.fromkeys(problems)) or f"{where} is an empty union")
    return union_reader(readers, where)


def refusing(reason: str) -> Reader:
    """Reads nothing, and says why."""

    def read(data: bytes, at: int) -> tuple[None, int]:
        raise UndecodableError(reason)

    return read


def type_of(schema: Schema) -> str:
    """The name of a type."""
    return str(schema["type"] if isinstance(schema, dict) else schema)


def logical_type_of(schema: Schema) -> str | None:
    """What a writer calls a type beyond its name; None where it does not."""
    logical = schema.get("logicalType") if isinstance(schema, dict) else None
    return logical if isinstance(logical, str) else None


def _to_text(schema: Schema, names: Names, where: str) -> Reader:
    # Avro promotes bytes to string.
    if type_of(schema) in ("string", "bytes") and logical_type_of(schema) != "decimal":
        return string_reader(where)
    raise UnresolvableError(f"{where} is of type {type_of(schema)} and must be a string")


def _to_cents(schema: Schema, names: Names, where: str) -> Reader:
    kind = type_of(schema)
    if kind not in ("bytes", "fixed") or logical_type_of(schema) != "decimal":
        raise UnresolvableError(f"{where} is of type {kind} and must be a decimal")
    scale = schema.get("scale") or 0
    take = fixed_reader(schema["size"], where) if kind == "fixed" else bytes_reader(where)

    def read(data: bytes, at: int) -> tuple[int, int]:
        raw, at = take(data, at)
        return cents_of(raw, scale, where), at

    return read


def cents_of(raw: bytes, scale: int, where: str = "price") -> int:
    """Whole cents of an Avro decimal: a two's complement big-endian integer times 10^-scale, exactly.

    Raises UndecodableError when it is not in whole cents or has more digits than a price may have.
    """
    # What is longer is no price, and need not become a number to be refused.
    if not raw or len(raw) > DECIMAL_LIMIT or scale > DECIMAL_LIMIT:
        raise UndecodableError(f"{where} is a decimal of {len(raw)} bytes and scale {scale}")
    unscaled = int.from_bytes(raw, "big", signed=True)
    tenth_powers = scale - PRICE_SCALE
    shift: int = 10 ** abs(tenth_powers)
    cents, rest = divmod(unscaled, shift) if tenth_powers > 0 else (unscaled * shift, 0)
    if rest:
        raise UndecodableError(f"{where} is not in whole cents")
    if not -CENTS_LIMIT < cents < CENTS_LIMIT:
        raise UndecodableError(f"{where} has more than 12 digits")
    return cents


def decimal_bytes(cents: int) -> bytes:
    """Whole cents as an Avro decimal of scale 2: the shortest two's complement, big-endian."""
    if not -CENTS_LIMIT < cents < CENTS_LIMIT:
        raise ValueError(f"{cents} cents do not fit decimal(12, 2)")
    return cents.to_bytes((cents if cents >= 0 else ~cents).bit_length() // 8 + 1, "big", signed=True)


def _to_millis(schema: Schema, names: Names, where: str) -> Reader:
    kind, logical = type_of(schema), logical_type_of(schema)
    if kind not in ("int", "long") or logical not in _UNITS_PER_MS:
        why = ": it names no time zone" if logical and logical.startswith("local-timestamp-") else ""
        raise UnresolvableError(f"{where} is of type {logical or kind} and must be a timestamp{why}")
    # Kafka Connect, and Debezium with it, says here what a long is: microseconds, nanoseconds, days.
    called = schema.get("connect.name") if isinstance(schema, dict) and logical is None else None
    if called is not None and called != _CONNECT_TIMESTAMP:
        raise UnresolvableError(f"{where} is of type {called} and must be a timestamp")
    read_number, units_per_ms = int_reader(32 if kind == "int" else 64, where), _UNITS_PER_MS[logical]

    def read(data: bytes, at: int) -> tuple[int, int]:
        number, at = read_number(data, at)
        millis = number // units_per_ms
        if not FIRST_MS <= millis <= LAST_MS:
            raise UndecodableError(f"{where} is {number}, outside of the years 1 to 9999")
        return millis, at

    return read


# What a writer's type must become for each kind of field.
_CONVERSIONS: dict[OrderFieldKind, Conversion] = {"text": _to_text, "cents": _to_cents, "millis": _to_millis}
_FIELDS = {field.avro_name: field for field in ORDER_FIELDS}
_SLOTS = {name: slot for slot, name in enumerate(_FIELDS)}
_UNWANTED = len(_FIELDS)


# ---- the plan


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """How records of one writer's schema become orders: what to read in turn, and which value of an order that is.

    A slot is the index of a field in ORDER_FIELDS; the one after the last is for what an order has no field for.
    `kinds` names the same steps where all are of the plainest types (text, a decimal of scale 2 in bytes, milliseconds
    in a long), so that many records can be read at once; else it is None.
    """

    steps: tuple[tuple[Reader, int], ...]
    defaults: tuple[Any, ...]
    kinds: tuple[OrderFieldKind, ...] | None = None

    def read(self, data: bytes, at: int) -> Order:
        """Reads the order that begins at `at` and ends with the data. Raises UndecodableError and nothing else."""
        values = list(self.defaults)
        try:
            for read, slot in self.steps:
                values[slot], at = read(data, at)
        except RecursionError as error:
            raise UndecodableError(TOO_DEEP) from error
        if at != len(data):
            extra = len(data) - at
            raise UndecodableError(f"{extra} trailing {'byte' if extra == 1 else 'bytes'} after the order")
        return Order(*values[:_UNWANTED])


def plan_order(writer: Schema, names: Names, reader: Schema, maximum_depth: int = MAXIMUM_DEPTH) -> OrderPlan:
    """Works out how a writer's records are read into the fields of `reader`, by Avro's rules of schema resolution.

    `names` are the writer's named types. A record whose fields hold more than `maximum_depth` types within types is
    refused when it is read. Raises UnresolvableError.
    """
    _check_record(writer, reader)
    sources = _sources(writer, reader)
    steps: list[tuple[Reader, int]] = []
    for field in writer["fields"]:
        name = sources.get(field["name"])
        if name is None:
            steps.append((passing_over(field["type"], names, field["name"], maximum_depth), _UNWANTED))
        else:
            convert = _CONVERSIONS[_FIELDS[name].kind]
            steps.append((_resolving(field["type"], names, name, convert), _SLOTS[name]))
    kinds = [_kind_of(field["type"], sources.get(field["name"])) for field in writer["fields"]]
    flat = tuple(kind for kind in kinds if kind is not None)
    return OrderPlan(
        tuple(steps), (*_defaults(reader, set(sources.values())), None), flat if len(flat) == len(kinds) else None
    )


def _kind_of(schema: Schema, name: str | None) -> OrderFieldKind | None:
    """The kind of a writer's field that fills the field `name` of an order; None where it is not of the plainest."""
    if name is None:
        return None
    kind, logical = type_of(schema), logical_type_of(schema)
    plainest: dict[OrderFieldKind, bool] = {
        "text": kind == "string",
        "cents": (kind, logical) == ("bytes", "decimal") and schema.get("scale") == PRICE_SCALE,
        "millis": (kind, logical) == ("long", "timestamp-millis"),
    }
    return _FIELDS[name].kind if plainest[_FIELDS[name].kind] else None


def _check_record(writer: Schema, reader: Schema) -> None:
    if type_of(writer) != "record" or not isinstance(writer, dict):
        raise UnresolvableError("it is no record")
    name = unqualified(writer["name"])
    if name not in {unqualified(known) for known in (reader["name"], *reader.get("aliases", []))}:
        raise UnresolvableError(f"its record is {name}, not {unqualified(reader['name'])}")


def unqualified(name: str) -> str:
    """A name without its namespace."""
    return name.rpartition(".")[2]


def _sources(writer: Schema, reader: Schema) -> dict[str, str]:
    """Which field of an order each of the writer's fields is: by its name, else by an alias of the reader's."""
    written = {field["name"] for field in writer["fields"]}
    sources = {}
    for field in reader["fields"]:
        known = [name for name in (field["name"], *field.get("aliases", [])) if name in written]
        if known and field["name"] in _FIELDS:
            sources[known[0]] = field["name"]
    return sources


def _defaults(reader: Schema, filled: set[str]) -> list[Any]:
    """The values of an order before anything was read; fields that will be read have no need of one."""
    # What an older version does not have, an order knows by itself.
    known = {name: field.default for name, field in _FIELDS.items() if field.default is not None}
    for field in reader["fields"]:
        if "default" in field and field["name"] in _FIELDS and field["name"] not in filled:
            known[field["name"]] = _default_value(_FIELDS[field["name"]], field["default"])
    missing = [name for name in _FIELDS if name not in filled and name not in known]
    if missing:
        raise UnresolvableError(f"it has no field {', '.join(missing)}")
    return [None if name in filled else known[name] for name in _FIELDS]


def _default_value(field: OrderField, default: Any) -> str | int:
    """A default as the schema's JSON has it; that of a decimal is a string of its bytes."""
    wanted = int if field.kind == "millis" else str
    if not isinstance(default, wanted):
        raise UnresolvableError(f"the default of {field.avro_name} is {default!r}")
    if field.kind != "cents":
        return default
    try:
        return cents_of(str(default).encode("latin-1"), PRICE_SCALE, field.avro_name)
    except (UndecodableError, UnicodeEncodeError) as error:
        raise UnresolvableError(f"the default of {field.avro_name} is no decimal: {error}") from error
