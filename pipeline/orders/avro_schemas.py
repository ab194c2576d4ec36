"""Avro schemas as they are written down: parsed, checked, and the ones in the schemas folder.

https://avro.apache.org/docs/1.12.0/specification/#schema-declaration
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastavro import parse_schema
from fastavro.schema import SchemaParseException, fingerprint, to_parsing_canonical_form

from pipeline.errors import SettingsError
from pipeline.orders.avro import Names, Schema, UnresolvableError, plan_order

MAXIMUM_SCHEMA_DEPTH = 256
"""So many objects and arrays within each other are handed on to fastavro: no schema of an order needs a tenth of it."""
_FAULT_LENGTH = 100
PRIMITIVE_NAMES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_VERSIONED_FILE = re.compile(r"order\.v(\d+)\.avsc")
# What fastavro raises on JSON that is no schema: it checks some of it and trips over the rest.
SCHEMA_FAULTS = (SchemaParseException, ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class WriterSchema:
    """A parsed schema with its named types, and the text it was parsed from."""

    text: str
    parsed: Schema
    names: Names

    def fingerprint(self) -> bytes:
        """CRC-64-AVRO of the canonical form, little-endian as in single-object encoding."""
        return bytes.fromhex(fingerprint(to_parsing_canonical_form(json.loads(self.text)), "CRC-64-AVRO"))


def parse(text: str, referenced: Sequence[str] = (), maximum_depth: int = MAXIMUM_SCHEMA_DEPTH) -> WriterSchema:
    """Parses a schema's JSON, after that of the schemas it refers to. Raises UnresolvableError saying what is wrong."""
    names: dict[str, Schema] = {}
    try:
        for each in referenced:
            parse_schema(_json_of(each, maximum_depth), names)
        parsed = parse_schema(_json_of(text, maximum_depth), names)
    except SCHEMA_FAULTS as error:
        raise UnresolvableError(f"it is no Avro schema ({_schema_fault(error)})") from error
    for name, schema in names.items():
        _check_named_type(name, schema)
    return WriterSchema(text, parsed, names)


def _schema_fault(error: Exception) -> str:
    """What is wrong, in a line. fastavro quotes the schema, or the part that it tripped over: that is left out."""
    said = re.split(r"[{\[<]", str(error), maxsplit=1)[0]
    return f"{type(error).__name__}: {' '.join(said.split())[:_FAULT_LENGTH]}"


def _json_of(text: str, maximum_depth: int) -> Any:
    """The JSON. Raises UnresolvableError when more than so many objects and arrays are within each other."""
    found = json.loads(text)
    within, depth = [found], 0
    while nodes := [each for each in within if isinstance(each, dict | list)]:
        depth += 1
        if depth > maximum_depth:
            raise UnresolvableError("it is nested too deeply")
        within = [part for node in nodes for part in (node.values() if isinstance(node, dict) else node)]
    return found


def _check_named_type(name: str, schema: Schema) -> None:
    """What the plan of a reader takes for granted of a named type."""
    size = schema.get("size", 0)
    if not isinstance(size, int) or size < 0:
        raise UnresolvableError(f"the size of {name} is {repr(size)[:_FAULT_LENGTH]}")
    for named in (schema, *schema.get("fields", [])):
        aliases = named.get("aliases", [])
        if not isinstance(aliases, list) or not all(isinstance(text, str) for text in (named["name"], *aliases)):
            raise UnresolvableError(f"{name} has a name or an alias that is no text")


class SchemaStore:
    """The schemas of the schemas folder. `order.vN.avsc` are ours; other files hold what others write with."""

    def __init__(self, folder: Path) -> None:
        """Reads the folder once. Raises SettingsError when it holds no usable Order."""
        files = sorted(folder.glob("*.avsc")) if folder.is_dir() else []
        schemas = {path.name: _read_schema_file(path) for path in files}
        self._versions = _versions(schemas)
        if not self._versions:
            raise SettingsError(f"the schemas folder {folder} has no order.v1.avsc or order.v2.avsc")
        self._by_fingerprint = {
            mark: schema
            for schema in schemas.values()
            for mark in (fingerprint_by_python(schema.text), schema.fingerprint())
        }
        _check_usable(folder, self._versions, self.latest)

    @property
    def latest(self) -> WriterSchema:
        """The version that orders are read into."""
        return self._versions[self.latest_version]

    @property
    def latest_version(self) -> int:
        """The highest number of an `order.vN.avsc`."""
        return max(self._versions)

    def version(self, version: int) -> WriterSchema:
        """The schema that is written as this version. Raises SettingsError when there is none."""
        if version not in self._versions:
            raise SettingsError(f"the schemas folder has no order.v{version}.avsc")
        return self._versions[version]

    def by_fingerprint(self, fingerprint: bytes) -> WriterSchema | None:
        """The schema with this CRC-64-AVRO fingerprint (8 bytes, little-endian)."""
        return self._by_fingerprint.get(fingerprint)


def fingerprint_by_python(text: str) -> bytes:
    """The fingerprint that Apache's own Python package gives a schema: primitives with attributes stay objects there.

    Of a schema without logical types and the like it is the fingerprint of the specification.
    """
    return bytes.fromhex(fingerprint(_canonical_by_python(json.loads(text), ""), "CRC-64-AVRO"))


def _canonical_by_python(schema: Any, namespace: str) -> str:
    if isinstance(schema, str):
        known = schema in PRIMITIVE_NAMES or "." in schema or not namespace
        return json.dumps(schema if known else f"{namespace}.{schema}")
    if isinstance(schema, list):
        return f"[{','.join(_canonical_by_python(each, namespace) for each in schema)}]"
    kind = schema["type"]
    if not isinstance(kind, str):
        return _canonical_by_python(kind, namespace)
    if kind in PRIMITIVE_NAMES:
        return f'{{"type":{json.dumps(kind)}}}' if len(schema) > 1 else json.dumps(kind)
    parts = []
    if "name" in schema:
        namespace = schema.get("namespace", namespace)
        full = schema["name"] if "." in schema["name"] or not namespace else f"{namespace}.{schema['name']}"
        namespace = full.rpartition(".")[0]
        parts.append(f'"name":{json.dumps(full)}')
    parts.append(f'"type":{json.dumps(kind)}')
    if "fields" in schema:
        fields = (
            f'{{"name":{json.dumps(each["name"])},"type":{_canonical_by_python(each["type"], namespace)}}}'
            for each in schema["fields"]
        )
        parts.append(f'"fields":[{",".join(fields)}]')
    if "symbols" in schema:
        parts.append(f'"symbols":{json.dumps(schema["symbols"], separators=(",", ":"))}')
    parts += [f'"{key}":{_canonical_by_python(schema[key], namespace)}' for key in ("items", "values") if key in schema]
    if "size" in schema:
        parts.append(f'"size":{schema["size"]}')
    return f"{{{','.join(parts)}}}"


def _read_schema_file(path: Path) -> WriterSchema:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the schema {path} cannot be read: {error}") from error
    except UnresolvableError as error:
        raise SettingsError(f"the schema {path} cannot be used: {error}") from error


def _versions(schemas: dict[str, WriterSchema]) -> dict[int, WriterSchema]:
    named = ((_VERSIONED_FILE.fullmatch(name), schema) for name, schema in schemas.items())
    return {int(match[1]): schema for match, schema in named if match}


def _check_usable(folder: Path, versions: dict[int, WriterSchema], latest: WriterSchema) -> None:
    for number, schema in versions.items():
        try:
            plan_order(schema.parsed, schema.names, latest.parsed)
        except UnresolvableError as error:
            raise SettingsError(f"the schema {folder / f'order.v{number}.avsc'} describes no Order: {error}") from error
