"""Avro of any schema for property tests: drawn with its bytes and, worked out plainly, what is to be read of them."""

from __future__ import annotations

import math
import struct
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from pipeline.orders.mapping.values import Instant

Draw = Callable[[st.SearchStrategy[Any]], Any]
Schema = Any
UNITS = {"millis": 1_000, "micros": 1_000_000, "nanos": 1_000_000_000}
LEAVES: list[Schema] = [
    "null",
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "bytes",
    "string",
    {"type": "string", "logicalType": "uuid"},
    {"type": "int", "logicalType": "date"},
    *({"type": "long", "logicalType": f"{kind}timestamp-{unit}"} for unit in UNITS for kind in ("", "local-")),
    {"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"},
    *({"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": scale} for scale in (0, 2, 6)),
]
FIXED = [
    {"size": 3},
    {"size": 16, "logicalType": "uuid"},
    {"size": 5, "logicalType": "decimal", "precision": 9, "scale": 2},
    {"size": 12, "logicalType": "decimal", "precision": 20, "scale": 4},
]
BRANCHES: list[Schema] = ["null", "string", {"type": "long", "logicalType": "timestamp-millis"}, "boolean", "double"]


@dataclass(frozen=True)
class Drawn:
    """A value: its bytes, what a reader without logical types makes of it, and what it means."""

    encoded: bytes
    plain: Any
    meant: Any


class SchemaMaker:
    """Draws schemas. Named types may be used again, and, unless it is to be `plain`, within themselves too."""

    def __init__(self, draw: Draw, plain: bool = False) -> None:
        self._draw = draw
        self._plain = plain
        self._known: list[str] = []
        self._count = 0

    def record(self, depth: int = 3) -> Schema:
        """A record whose types are nested so deep at most."""
        name = self._new_name("Record")
        fields = [
            {"name": f"f{at}", "type": self._schema(depth - 1, name)} for at in range(self._draw(st.integers(1, 4)))
        ]
        self._known.append(name)
        return {"type": "record", "name": name, "fields": fields}

    def _new_name(self, kind: str) -> str:
        self._count += 1
        return f"shop.{kind}{self._count}"

    def _schema(self, depth: int, within: str) -> Schema:
        kinds = ["leaf"] * 5 + ["enum", "fixed", "nullable", "nullable"]
        if depth > 0:
            kinds += ["record", "record", "array", "map"] + ([] if self._plain else ["union", "itself"])
        if self._known:
            kinds += ["again"]
        kind = self._draw(st.sampled_from(kinds))
        if kind == "record":
            return self.record(depth)
        if kind == "array":
            return {"type": "array", "items": self._schema(depth - 1, within)}
        if kind == "map":
            return {"type": "map", "values": self._schema(depth - 1, within)}
        if kind == "union":
            return [self.record(depth - 1), self.record(depth - 1), *BRANCHES[: self._draw(st.integers(0, 5))]]
        if kind == "itself":
            return ["null", within]
        if kind == "again":
            return self._draw(st.sampled_from(self._known))
        return self._nullable(depth, within) if kind == "nullable" else self._single(kind)

    def _nullable(self, depth: int, within: str) -> Schema:
        inner = self._schema(depth - 1, within)
        if inner == "null" or isinstance(inner, list):
            return inner
        return ["null", inner] if self._draw(st.booleans()) else [inner, "null"]

    def _single(self, kind: str) -> Schema:
        if kind == "leaf":
            return self._draw(st.sampled_from(LEAVES))
        name = self._new_name(kind.title())
        self._known.append(name)
        if kind == "enum":
            return {"type": "enum", "name": name, "symbols": ["NEW", "PAID", "SENT"][: self._draw(st.integers(1, 3))]}
        return {"type": "fixed", "name": name, **self._draw(st.sampled_from(FIXED))}


def names_of(schema: Schema) -> dict[str, Schema]:
    """The named types in a schema."""
    if isinstance(schema, list):
        return {name: found for each in schema for name, found in names_of(each).items()}
    if not isinstance(schema, dict):
        return {}
    found = {schema["name"]: schema} if "name" in schema else {}
    for inner in [each["type"] for each in schema.get("fields", [])] + [schema.get("items"), schema.get("values")]:
        found |= names_of(inner)
    return found


def without_logical_types(schema: Schema) -> Schema:
    """The schema as a reader sees it that knows no logical types."""
    if isinstance(schema, list):
        return [without_logical_types(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key not in ("logicalType", "connect.name")}
    if "fields" in schema:
        kept["fields"] = [{"name": e["name"], "type": without_logical_types(e["type"])} for e in schema["fields"]]
    return kept | {key: without_logical_types(schema[key]) for key in ("items", "values") if key in schema}


# ---- values


def drawn_value(draw: Draw, schema: Schema, names: Mapping[str, Schema], depth: int = 6) -> Drawn:
    """A value of a schema. Beyond `depth` lists are empty, and what may be null is."""
    if isinstance(schema, str) and schema in names:
        schema = names[schema]
    if isinstance(schema, list):
        at = draw(st.integers(0, len(schema) - 1))
        if depth <= 0 and "null" in schema:
            at = schema.index("null")
        inner = drawn_value(draw, schema[at], names, depth - 1)
        return Drawn(long_bytes(at) + inner.encoded, inner.plain, inner.meant)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "record":
        return _record(draw, schema, names, depth)
    if kind in ("array", "map"):
        return _items(draw, schema, names, depth)
    encoded, plain = _single(draw, kind, schema)
    return Drawn(encoded, plain, _meaning(schema, kind, plain))


def _record(draw: Draw, schema: Schema, names: Mapping[str, Schema], depth: int) -> Drawn:
    found = {each["name"]: drawn_value(draw, each["type"], names, depth - 1) for each in schema["fields"]}
    return Drawn(
        b"".join(each.encoded for each in found.values()),
        {name: each.plain for name, each in found.items()},
        {name: each.meant for name, each in found.items()},
    )


def _items(draw: Draw, schema: Schema, names: Mapping[str, Schema], depth: int) -> Drawn:
    is_map = schema["type"] == "map"
    count = 0 if depth <= 0 else draw(st.integers(0, 3))
    keys = ["a", "b", "ü"][:count] if is_map else [""] * count
    found = [drawn_value(draw, schema["values" if is_map else "items"], names, depth - 1) for _ in keys]
    parts = [(text_bytes(key) if is_map else b"") + each.encoded for key, each in zip(keys, found, strict=True)]
    encoded = b"".join(map(_block, draw(_CUTS)(parts)))
    if is_map:
        by_key = dict(zip(keys, found, strict=True))
        plain: Any = {key: each.plain for key, each in by_key.items()}
        return Drawn(encoded + b"\0", plain, {key: each.meant for key, each in by_key.items()})
    return Drawn(encoded + b"\0", [each.plain for each in found], [each.meant for each in found])


def _one_block(parts: list[bytes]) -> list[tuple[int, list[bytes]]]:
    return [(len(parts), parts)] if parts else []


def _sized_blocks(parts: list[bytes]) -> list[tuple[int, list[bytes]]]:
    return [(-1, [part]) for part in parts]


_CUTS = st.sampled_from([_one_block, _one_block, _one_block, _sized_blocks])


def _block(block: tuple[int, list[bytes]]) -> bytes:
    """A block of a list; one with a negative count has its size in bytes behind that."""
    count, parts = block
    body = b"".join(parts)
    return long_bytes(count) + (long_bytes(len(body)) if count < 0 else b"") + body


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
_LONGS = st.integers(-(2**63), 2**63 - 1) | st.integers(-70, 70) | st.integers(1_600_000_000_000, 1_900_000_000_000)
_DOUBLES = st.floats() | st.sampled_from([0.1, 12.345, -0.0])


def _single(draw: Draw, kind: str, schema: Schema) -> tuple[bytes, Any]:
    if kind == "null":
        return b"", None
    if kind == "boolean":
        flag = draw(st.booleans())
        return bytes([flag]), flag
    if kind in ("int", "long"):
        number = draw(st.integers(-(2**31), 2**31 - 1) if kind == "int" else _LONGS)
        return long_bytes(number), number
    if kind in ("float", "double"):
        raw = struct.pack("<f", draw(st.floats(width=32))) if kind == "float" else struct.pack("<d", draw(_DOUBLES))
        return raw, struct.unpack("<f" if kind == "float" else "<d", raw)[0]
    if kind == "string":
        text = draw(_TEXTS)
        return text_bytes(text), text
    if kind == "enum":
        at = draw(st.integers(0, len(schema["symbols"]) - 1))
        return long_bytes(at), schema["symbols"][at]
    if kind == "fixed":
        raw = draw(st.binary(min_size=schema["size"], max_size=schema["size"]))
        return raw, raw
    raw = draw(st.binary(max_size=10))
    return long_bytes(len(raw)) + raw, raw


def _meaning(schema: Schema, kind: str, plain: Any) -> Any:
    """What a writer's type says of a value; Ellipsis of a decimal in no bytes, which is none."""
    if kind == "float":
        return shortest_single(plain)
    logical = schema.get("logicalType", "") if isinstance(schema, dict) else ""
    if logical == "decimal":
        return Decimal(f"{int.from_bytes(plain, 'big', signed=True)}e-{schema['scale']}") if plain else ...
    if logical == "uuid" and kind == "fixed":
        return str(uuid.UUID(bytes=plain))
    if logical == "date":
        return Instant(plain * 86_400, 1, zoned=False)
    if "timestamp" in logical:
        return Instant(plain, UNITS[logical.rpartition("-")[2]], zoned=not logical.startswith("local"))
    return Instant(plain, 1_000_000) if isinstance(schema, dict) and "connect.name" in schema else plain


def shortest_single(number: float) -> float:
    """The decimal of fewest digits that is this number in 32 bits."""
    if not math.isfinite(number):
        return number
    wanted = struct.pack("<f", number)
    for digits in range(1, 10):
        found = float(f"{number:.{digits}g}")
        try:
            if struct.pack("<f", found) == wanted:
                return found
        except OverflowError:
            continue
    raise AssertionError(number)


def long_bytes(number: int) -> bytes:
    """A number of 64 bits, zig-zag and of variable length."""
    left, found = (number << 1) ^ (number >> 63), bytearray()
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*found, left])


def text_bytes(text: str) -> bytes:
    """A text with its length in front."""
    return long_bytes(len(text.encode())) + text.encode()


# ---- paths


def paths_into(schema: Schema, names: Mapping[str, Schema], depth: int = 4) -> list[tuple[Any, ...]]:
    """The steps to every value that a record of this schema may have, and some that lead nowhere; "[]" is each item."""
    if isinstance(schema, str) and schema in names:
        schema = names[schema]
    if depth == 0:
        return [()]
    if isinstance(schema, list):
        return list(dict.fromkeys(steps for each in schema for steps in paths_into(each, names, depth)))
    kind = schema["type"] if isinstance(schema, dict) else schema
    found: list[tuple[Any, ...]] = [(), ("nowhere",), (0,)]
    if kind == "record":
        for each in schema["fields"]:
            found += [(each["name"], *rest) for rest in paths_into(each["type"], names, depth - 1)]
    if kind == "map":
        found += [("a", *rest) for rest in paths_into(schema["values"], names, depth - 1)]
    if kind == "array":
        found += [(step, *rest) for rest in paths_into(schema["items"], names, depth - 1) for step in ("[]", 0, -1)]
    return [steps for steps in found if steps.count("[]") < 2]
