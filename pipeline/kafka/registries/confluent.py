"""Schemas by Confluent's API, which other registries speak, too.

https://docs.confluent.io/platform/current/schema-registry/develop/api.html#schemas
"""

from __future__ import annotations

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient, SchemaRegistryError

from pipeline.errors import SchemaUnusableError
from pipeline.kafka.registries.answers import UNKNOWN, Answer, Reference, kind_of, whole
from pipeline.schema_source import RegisteredSchema, SchemaGuid, SchemaId, SchemaRef


def by_id(client: SchemaRegistryClient, ref: SchemaId) -> RegisteredSchema:
    """The schema with this id. Raises what the client raises, and SchemaUnusableError."""
    return _registered(client, ref, client.get_schema(ref.value))


def by_guid(client: SchemaRegistryClient, ref: SchemaGuid, place: str) -> RegisteredSchema:
    """The schema with this GUID; `place` is the registry in messages.

    Raises what the client raises, and SchemaUnusableError, also where the registry knows no GUIDs.
    """
    try:
        schema = client.get_schema_by_guid(str(ref.uuid))
    except SchemaRegistryError as error:
        if error.http_status_code != 404 or error.error_code in UNKNOWN:
            raise
        client.get_schema_types()  # raises where nothing answers: then it is no registry, or has another path
        raise SchemaUnusableError(f"{ref} cannot be looked up: {place} knows no GUIDs") from error
    return _registered(client, ref, schema)


def _registered(client: SchemaRegistryClient, ref: SchemaRef, schema: Schema) -> RegisteredSchema:
    return whole(ref, kind_of(ref, schema.schema_type or "AVRO"), _answer(client, schema))


def _answer(client: SchemaRegistryClient, schema: Schema) -> Answer:
    if not isinstance(schema.schema_str, str):
        raise ValueError("an answer without a schema")
    return Answer(schema.schema_str, tuple(_reference(client, each) for each in schema.references or []))


def _reference(client: SchemaRegistryClient, told: SchemaReference) -> Reference:
    name, subject, version = told.name, told.subject, told.version
    if name is None or subject is None or version is None:
        raise ValueError("a reference to nothing")

    def ask() -> Answer:
        # Deleted ones too: records that were written with them are still there.
        return _answer(client, client.get_version(subject, version, deleted=True).schema)

    return Reference(name, ask)
