"""The schemas that records name, looked up and parsed once each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from pipeline.errors import UndecodableError
from pipeline.orders.avro import UnresolvableError
from pipeline.orders.avro_schemas import SchemaStore, WriterSchema, parse
from pipeline.orders.formats.framing import Fingerprint
from pipeline.schema_source import RegisteredSchema, SchemaRef, SchemaSource

if TYPE_CHECKING:
    from pipeline.orders.formats.protobuf_values import MessageTypes


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """A record is JSON; its schema has nothing to add but how it is called."""

    title: str = ""
    kind: ClassVar[Literal["JSON"]] = "JSON"


Parsed: TypeAlias = "WriterSchema | MessageTypes | JsonSchema"


class Schemas:
    """Finds schemas in the schemas folder and in the registry."""

    def __init__(self, store: SchemaStore, registry: SchemaSource | None) -> None:
        self._store = store
        self._registry = registry
        self._known: dict[SchemaRef, Parsed] = {}
        self._refused: dict[SchemaRef, tuple[str, str]] = {}
        """Reason and rule of those that cannot be read: protoc takes 50 ms to say so of one, and 20 s at worst."""

    def get(self, ref: SchemaRef | Fingerprint) -> Parsed:
        """The schema. Raises UndecodableError, SchemaPendingError and RegistryUnavailableError."""
        if isinstance(ref, Fingerprint):
            return self._in_folder(ref)
        found = self._known.get(ref)
        if found is None:
            if ref in self._refused:
                raise UndecodableError(*self._refused[ref])
            found = self._known[ref] = self._parsed(self.registered(ref), ref)
        return found

    def _parsed(self, found: RegisteredSchema, ref: SchemaRef) -> Parsed:
        try:
            return _parsed(found, ref)
        except UndecodableError as error:
            self._refused[ref] = error.reason, error.rule
            raise

    def _in_folder(self, ref: Fingerprint) -> WriterSchema:
        # Some writers turn the fingerprint's bytes round.
        found = self._store.by_fingerprint(ref.value) or self._store.by_fingerprint(ref.value[::-1])
        if found is None:
            raise UndecodableError(f"unknown schema fingerprint {ref.value.hex()}")
        return found

    def registered(self, ref: SchemaRef) -> RegisteredSchema:
        """The schema as the registry has it. Raises as `get` does."""
        if self._registry is None:
            raise UndecodableError(f"{ref} needs a registry (ORDERPULSE_SCHEMA_REGISTRY_URL is not set)")
        found = self._registry.get(ref)
        if found is None:
            raise UndecodableError(f"unknown {ref}")
        return found


def _parsed(found: RegisteredSchema, ref: SchemaRef) -> Parsed:
    if found.kind == "JSON":
        return JsonSchema(_title(found.text))
    if found.kind == "PROTOBUF":
        return _message_types(found, ref)
    try:
        return parse(found.text, [each.text for each in found.referenced])
    except UnresolvableError as error:
        raise UndecodableError(f"{ref} cannot be read: {error}") from error


def _title(text: str) -> str:
    """The title of a JSON Schema, as far as it is one that has one."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    title = found.get("title") if isinstance(found, dict) else None
    return title if isinstance(title, str) else ""


def _message_types(found: RegisteredSchema, ref: SchemaRef) -> MessageTypes:
    # Only where there is such a schema: the library takes its time to be imported.
    from pipeline.orders.formats.protobuf_files import types_of
    from pipeline.orders.formats.protobuf_values import DescriptorError

    try:
        return types_of(found)
    except DescriptorError as error:
        raise UndecodableError(f"{ref} cannot be read: {error}", "protobuf") from error
