"""A registry that is asked once for each schema: a command over all dead letters must not wait at each of them."""

from __future__ import annotations

from pipeline.errors import RegistryUnavailableError, SchemaPendingError, SchemaUnusableError, UndecodableError
from pipeline.schema_source import RegisteredSchema, SchemaRef, SchemaSource

MOST_UNKNOWN = 1_000
"""Garbage that looks like Avro names another schema in every record: after so many unknown ones none is asked for."""


class AskedOnce:
    """What a registry answers first stays its answer. Without one it is asked no more."""

    def __init__(self, registry: SchemaSource) -> None:
        self._registry = registry
        self._refused: dict[SchemaRef, str] = {}
        self.trouble = ""
        """Why the registry gives no answers; empty while it does."""

    def get(self, ref: SchemaRef) -> RegisteredSchema | None:
        """See SchemaSource."""
        if ref in self._refused:
            raise SchemaUnusableError(self._refused[ref])
        if self.trouble:
            raise RegistryUnavailableError(self.trouble)
        if len(self._refused) >= MOST_UNKNOWN:
            raise SchemaUnusableError(f"{ref} is not asked for: {MOST_UNKNOWN:,} others were unknown")
        try:
            found = self._registry.get(ref)
        except RegistryUnavailableError as error:
            self.trouble = str(error)
            raise
        except (SchemaPendingError, UndecodableError) as error:
            self._refused[ref] = error.reason
            raise
        if found is None:
            self._refused[ref] = f"unknown {ref}"
        return found
