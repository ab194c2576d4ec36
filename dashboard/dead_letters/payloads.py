"""Decodes what dead letters hold, for all that this page shows of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import streamlit as st

from dashboard.dead_letters.topics import dead_letter_topics
from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms, reader, wait, writer
from dashboard.shared.exports import PayloadExport
from dashboard.shared.mapping import mapping
from dashboard.shared.schemas import AwaitedSchemas, LookedUpSchemas
from dashboard.shared.session import StateKey
from pipeline.dead_letters.decoded_columns import PayloadDecoder, decoded_columns
from pipeline.dead_letters.decoding import Decoded, Decoder
from pipeline.dead_letters.payload_paths import PayloadPath
from pipeline.exports import AddedColumns
from pipeline.jobs.requests import new_request_id, request_schemas
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.formats.schemas import Schemas
from pipeline.records import Headers
from pipeline.schema_source import SchemaRef, SchemaSource
from pipeline.search.inside import ReadValue, Stored

_SEEN: StateKey[int] = StateKey("letters_schemas_seen")


def decoded_parts(
    key: bytes | None, value: bytes | None, headers: Headers, topic: str | None, source_topic: str | None
) -> tuple[Decoded, Decoded]:
    """Key and value of a dead letter. `topic` is the dead-letter topic."""
    lock, decoder = _shared()
    with lock:
        return decoder.parts(key, value, headers, topic, source_topic)


def read_value(stored: Stored) -> ReadValue:
    """The value of a dead letter as queries look into it. Schemas that it lacks are asked for as the page's are."""
    lock, decoder = _shared()
    with lock:
        return decoder.read(stored)


def note_schemas() -> None:
    """At the beginning of the page's run: what it draws is of the schemas that are there now."""
    _SEEN.set(_looked_up().poll())


def schemas_came() -> bool:
    """Whether schemas came since the page's run began: what was drawn then may read otherwise now."""
    return _SEEN.is_set() and _SEEN.get() != _looked_up().poll()


def schemas_known() -> int:
    """A number that schemas which came have changed."""
    return _looked_up().version


def ask_for_schemas() -> None:
    """Asks the worker for schemas that were wanted while the page was drawn."""
    _looked_up().poll()


def payload_export(paths: Sequence[PayloadPath]) -> PayloadExport:
    """What an export adds: columns of these paths, and both parts whole where somebody wants them."""

    def columns(whole: bool) -> AddedColumns:
        registry = AwaitedSchemas(_looked_up(), wait) if settings().schema_registry_url else None
        return decoded_columns(_decoder(registry), whole, paths)

    return PayloadExport(tuple(map(str, paths)), columns)


@st.cache_resource(show_spinner=False)
def _shared() -> tuple[threading.Lock, PayloadDecoder]:
    """One for all sessions, which take turns: decoders keep what they have worked out of schemas."""
    return threading.Lock(), _decoder(_looked_up() if settings().schema_registry_url else None)


def _decoder(registry: SchemaSource | None) -> PayloadDecoder:
    schemas = Schemas(SchemaStore(settings().schemas_dir), registry)
    decoder = Decoder(schemas, lambda: mapping().mapped)
    return PayloadDecoder(decoder, lambda topic: dead_letter_topics().source_of(topic))


@st.cache_resource(show_spinner=False)
def _looked_up() -> LookedUpSchemas:
    return LookedUpSchemas(_ask, lambda number: reader().lookup(number), now_ms)


def _ask(refs: Sequence[SchemaRef]) -> int:
    with writer() as buffer:
        # Each question under a name of its own: a newer one of the same asker would take its place.
        return request_schemas(buffer, now_ms, refs, f"app {new_request_id()}")
