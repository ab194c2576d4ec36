"""Decoded payloads of dead letters as columns of an export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from pipeline.buffer import columns_of
from pipeline.buffer.entities import Column, Row
from pipeline.dead_letters.decoding import Decoded, Decoder
from pipeline.dead_letters.payload_paths import PayloadPath
from pipeline.exports import AddedColumns
from pipeline.headers import headers_from_json, original_key_and_value
from pipeline.orders.formats.plain_values import json_text
from pipeline.records import Headers
from pipeline.search.inside import ReadValue, Stored

SourceOf = Callable[[str], str | None]
"""The topic that the records of a dead-letter topic came from; None where nobody has said so."""

WHOLE = (
    Column("value_format", "text"),
    Column("decoded_key", "exact_json"),
    Column("decoded_value", "exact_json"),
)
"""What the value is, and both parts as JSON."""


class PayloadDecoder:
    """Decodes what dead letters hold: of those whose bytes could not be read, the bytes that a header has."""

    def __init__(self, decoder: Decoder, source_of: SourceOf) -> None:
        self._decoder = decoder
        self._source_of = source_of

    def parts(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        topic: str | None,
        source_topic: str | None,
    ) -> tuple[Decoded, Decoded]:
        """Key and value. `topic` is the dead-letter topic; None of one that is in none."""
        source = self._source(topic, source_topic)
        key, value = original_key_and_value(headers, key, value)
        return self._decoder.key(key, headers), self._decoder.value(value, headers, source)

    def read(self, stored: Stored) -> ReadValue:
        """The value of a dead letter as queries look into it: see ValueReader."""
        _, value = original_key_and_value(stored.headers, stored.key, stored.value)
        found = self._decoder.value(value, stored.headers, self._source(stored.topic, stored.source_topic))
        return ReadValue(found.value) if found.is_data else ReadValue(None, found.unread)

    def _source(self, topic: str | None, source_topic: str | None) -> str | None:
        return source_topic or (self._source_of(topic) if topic else None)


def decoded_columns(decoder: PayloadDecoder, whole: bool, paths: Sequence[PayloadPath]) -> AddedColumns:
    """Columns of both parts if they are wanted `whole`, and one for each path, named as the path is written."""
    columns = (*(WHOLE if whole else ()), *(Column(str(path), "plain") for path in paths))
    names = [column.name for column in columns_of("dead_letters")]
    needed = itemgetter(*(names.index(name) for name in ("key", "value", "headers", "topic", "source_topic")))

    def cells(row: Row) -> Row:
        key, value, headers, topic, source_topic = needed(row)
        parts = decoder.parts(key, value, headers_from_json(headers), topic, source_topic)
        return (*(_whole(*parts) if whole else ()), *(path_cell(path, *parts) for path in paths))

    return AddedColumns(columns, cells)


def path_cell(path: PayloadPath, key: Decoded, value: Decoded) -> Any:
    """What a path leads to in a decoded dead letter, as plain data; None where it leads nowhere."""
    return path.of((key if path.part == "key" else value).value)


def format_in_words(decoded: Decoded) -> str:
    """What a key or a value is, with its schema."""
    return f"{decoded.format}, {decoded.schema}" if decoded.schema else decoded.format


def _whole(key: Decoded, value: Decoded) -> Row:
    return (format_in_words(value), _json_or_none(key), _json_or_none(value))


def _json_or_none(decoded: Decoded) -> str | None:
    return None if decoded.value is None else json_text(decoded.value)
