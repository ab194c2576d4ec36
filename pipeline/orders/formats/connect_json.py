"""Kafka Connect's JSON with its schema beside it: what its logical types make of plain JSON values.

https://github.com/apache/kafka/tree/trunk/connect/json, `JsonConverter`: an object of `schema` and `payload`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec
from msgspec import Raw

from pipeline.orders.formats.avro_values import CONNECT_TIMES, DAY_S
from pipeline.orders.formats.json_values import is_too_deep, whole_json
from pipeline.orders.mapping.paths import Each, Path
from pipeline.orders.mapping.values import Instant, JsonNumber, ValueMismatchError, scale_of, unscaled_base64

_BEGINS = b'{"schema":'
_PAYLOAD = b',"payload":'
_DECIMAL = "org.apache.kafka.connect.data.Decimal"
_DATE = "org.apache.kafka.connect.data.Date"
MAXIMUM_SCHEMA_BYTES = 256_000
"""A schema that is longer is not looked at, and its payload is plain JSON."""


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    schema: Raw
    payload: Raw


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def _as_it_is(value: Any) -> Any:
    return value


Typed = Callable[[Any], Any]
"""Makes of a plain value what its schema says. Never raises: a ValueMismatchError stands in a value's place."""


def envelope_prefix(value: bytes) -> bytes:
    """What a value with a schema beside it begins with, up to its payload; nothing for any other value."""
    if not value.startswith(_BEGINS) or is_too_deep(value):
        return b""
    try:
        schema = bytes(_ENVELOPE.decode(value).schema)
    except msgspec.DecodeError:
        return b""
    prefix = _BEGINS + schema + _PAYLOAD
    return prefix if len(schema) <= MAXIMUM_SCHEMA_BYTES and value.startswith(prefix) else b""


def none_has_a_schema(values: Iterable[bytes]) -> bool:
    """Whether no value begins as one with a schema beside it does."""
    return _BEGINS not in map(itemgetter(slice(len(_BEGINS))), values)


@lru_cache(maxsize=64)
def types_of(prefix: bytes, paths: tuple[Path, ...]) -> tuple[Typed, ...]:
    """For each path, what its value becomes by the schema in an envelope's prefix."""
    schema = whole_json(prefix[len(_BEGINS) : -len(_PAYLOAD)])
    return tuple(_typed(schema, path) for path in paths)


def typed_payload(prefix: bytes, payload: Any) -> Any:
    """All of a payload, as the schema in its envelope's prefix says."""
    return _typed_whole(whole_json(prefix[len(_BEGINS) : -len(_PAYLOAD)]), payload)


def _typed_whole(schema: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _typed_whole(_below(schema, name), each) for name, each in value.items()}
    if isinstance(value, list):
        return [_typed_whole(_below(schema, 0), each) for each in value]
    return _leaf(schema)(value)


def _typed(schema: Any, path: Path) -> Typed:
    if path.steps[:1] != ("payload",):
        return _as_it_is
    for at, step in enumerate(path.steps[1:], start=2):
        schema = _below(schema, step)
        if isinstance(step, Each):
            each = _followed(schema, path.steps[at:])
            return lambda values: [each(value) for value in values] if isinstance(values, list) else values
    return _leaf(schema)


def _followed(schema: Any, steps: Sequence[Any]) -> Typed:
    for step in steps:
        schema = _below(schema, step)
    return _leaf(schema)


def _below(schema: Any, step: Any) -> Any:
    """The schema of a field, of a map's values or of a list's items; None where there is none."""
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "struct" and isinstance(schema.get("fields"), list):
        named = (each for each in schema["fields"] if isinstance(each, dict) and each.get("field") == step)
        return next(named, None)
    return schema.get("items" if schema.get("type") == "array" else "values")


def _leaf(schema: Any) -> Typed:
    name = schema.get("name") if isinstance(schema, dict) else None
    if name == _DECIMAL:
        return _decimal(schema)
    if name == _DATE:
        return lambda value: Instant(int(value) * DAY_S, 1, zoned=False) if _is_whole(value) else value
    per_second = CONNECT_TIMES.get(name) if isinstance(name, str) else None
    if per_second is None:
        return _as_it_is
    return lambda value: Instant(int(value), per_second) if _is_whole(value) else value


def _is_whole(value: Any) -> bool:
    return isinstance(value, JsonNumber) and len(value) <= 20 and value.lstrip("-").isdigit()


def _decimal(schema: dict[str, Any]) -> Typed:
    parameters = schema.get("parameters")
    text = parameters.get("scale") if isinstance(parameters, dict) else None
    try:
        scale = 0 if text is None else scale_of(text)
    except ValueMismatchError:
        return _as_it_is

    def decimal(value: Any) -> Any:
        # Numbers stand there with `decimal.format=NUMERIC`.
        if not isinstance(value, str) or isinstance(value, JsonNumber):
            return value
        try:
            return unscaled_base64(value, scale)
        except ValueMismatchError as error:
            return error

    return decimal
