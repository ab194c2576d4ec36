"""Avro's JSON encoding, which Apicurio's serializer writes where it is told to.

https://avro.apache.org/docs/1.12.0/specification/#json-encoding
"""

from __future__ import annotations

import uuid
from typing import Any

from pipeline.errors import UndecodableError
from pipeline.orders.avro import TOO_DEEP, Names, Schema, logical_type_of, type_of, unqualified
from pipeline.orders.avro_schemas import WriterSchema
from pipeline.orders.formats.avro_values import time_of
from pipeline.orders.formats.json_values import check_json, whole_json
from pipeline.orders.mapping.paths import RecordValue
from pipeline.orders.mapping.values import JsonNumber, ValueMismatchError, decimal_of, described, shortest

MAXIMUM_BYTES = 1_000_000
"""All of a value becomes objects here, which take ten times its room."""
MAXIMUM_DEPTH = 128
LARGEST_SINGLE = 3.4028234663852886e38
"""Some writers write more digits of a number of 32 bits than it has: up to this one they are told by 32 bits."""


def avro_json_value(schema: WriterSchema, body: bytes, maximum_bytes: int = MAXIMUM_BYTES) -> Any:
    """The value of a record in Avro's JSON encoding. Raises UndecodableError."""
    if len(body) > maximum_bytes:
        raise UndecodableError(f"Avro's JSON of {len(body)} bytes; at most {maximum_bytes} are read")
    check_json(body)
    return _typed(schema.parsed, schema.names, whole_json(body), "the record", MAXIMUM_DEPTH)


def _typed(schema: Schema, names: Names, found: Any, where: str, depth: int) -> Any:
    if depth < 0:
        raise UndecodableError(TOO_DEEP)
    if isinstance(schema, list):
        return _typed_branch(schema, names, found, where, depth - 1)
    kind = type_of(schema)
    if kind in names:
        return _typed(names[kind], names, found, where, depth - 1)
    if kind in ("record", "error"):
        _expect(found, dict, where, "an object")
        inner = "" if where == "the record" else f"{where}."
        fields = {
            each["name"]: _typed(each["type"], names, found.get(each["name"]), f"{inner}{each['name']}", depth - 1)
            for each in schema["fields"]
        }
        return RecordValue(fields, str(schema["name"]))
    if kind == "array":
        _expect(found, list, where, "a list")
        return [_typed(schema["items"], names, each, f"{where}[]", depth - 1) for each in found]
    if kind == "map":
        _expect(found, dict, where, "an object")
        return {key: _typed(schema["values"], names, each, f"{where}.{key}", depth - 1) for key, each in found.items()}
    return _leaf(schema, kind, found, where)


def _typed_branch(branches: list[Schema], names: Names, found: Any, where: str, depth: int) -> Any:
    if found is None and "null" in branches:
        return None
    if isinstance(found, dict) and len(found) == 1:
        ((name, inner),) = found.items()
        for branch in branches:
            kind = type_of(branch)
            full = branch["name"] if isinstance(branch, dict) and "name" in branch else kind
            if name in (full, unqualified(full)):
                return _typed(branch, names, inner, where, depth)
    raise UndecodableError(f"{where} is {described(found)}; expected a branch of a union")


def _leaf(schema: Schema, kind: str, found: Any, where: str) -> Any:
    if kind in ("bytes", "fixed"):
        _expect(found, str, where, "a text of bytes")
        return _of_bytes(schema, found, where)
    if kind in ("int", "long"):
        _expect(found, JsonNumber, where, "a number")
        if not found.lstrip("-").isdigit() or len(found) > 20:
            raise UndecodableError(f"{where} is {described(found)}; expected a whole number")
        made = time_of(schema)
        return found if made is None else made(int(found))
    if kind in ("float", "double"):
        _expect(found, JsonNumber, where, "a number")
        number = float(found)
        return shortest(number) if kind == "float" and abs(number) <= LARGEST_SINGLE else number
    if kind == "null" and found is not None:
        raise UndecodableError(f"{where} is {described(found)}; expected null")
    if kind in ("string", "enum"):
        _expect(found, str, where, "a text")
    if kind == "boolean":
        _expect(found, bool, where, "a boolean")
    return found


def _of_bytes(schema: Schema, text: str, where: str) -> Any:
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise UndecodableError(f"{where} is a text of more than bytes") from error
    logical = logical_type_of(schema)
    if logical == "uuid" and len(raw) == 16:
        return str(uuid.UUID(bytes=raw))
    if logical != "decimal":
        return raw
    try:
        return decimal_of(raw, schema.get("scale") or 0)
    except ValueMismatchError as error:
        return error


def _expect(found: Any, kind: type, where: str, wanted: str) -> None:
    if not isinstance(found, kind) or (kind is str and isinstance(found, JsonNumber)):
        raise UndecodableError(f"{where} is {described(found)}; expected {wanted}")
