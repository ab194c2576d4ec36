"""Reads what `kcat -J` writes: a record a line, its key, value and headers as JSON strings.

kcat 1.7.1 puts bytes into those strings as they are, also such as are no UTF-8, and escapes only what JSON wants
escaped: so all bytes come back, null and empty stay apart, and headers keep their order, repeats and nulls. A program
that has rewritten the file since (jq, an editor) may have put U+FFFD in place of bytes.
"""

from __future__ import annotations

import hashlib
from typing import Any

from pipeline.dead_letters.importing.lines import object_in
from pipeline.dead_letters.importing.refusals import RefusedError, refuse
from pipeline.records import Headers, Position, Record, TopicIdentity

FIELDS = ("topic", "partition", "offset", "key", "payload")
"""Each line has them, and together nothing else of ours or of kcat has."""
REPLACED = "\N{REPLACEMENT CHARACTER}".encode()
_LAST_PARTITION = (1 << 31) - 1
_LAST_OFFSET = (1 << 40) - 1
_LAST_NUMBER = (1 << 63) - 1


def record_of(line: bytes) -> Record:
    """The record in a line. Raises RefusedError."""
    fields = object_in(line, any_bytes=True)
    for name in FIELDS:
        if name not in fields:
            raise RefusedError(f"field {name}: expected, as `kcat -J` writes it, and is not there")
    headers, readable = _headers(fields.get("headers", []))
    return Record(
        Position(
            _topic(fields["topic"]),
            _number(fields, "partition", _LAST_PARTITION),
            _number(fields, "offset", _LAST_OFFSET),
        ),
        _number(fields, "ts", _LAST_NUMBER) if fields.get("ts", -1) != -1 else -1,
        _bytes(fields, "key"),
        _bytes(fields, "payload"),
        headers,
        readable,
        fields.get("tstype") == "logappend",
    )


def digest_of(record: Record) -> bytes:
    """The same for the very same record at the same position."""
    place = (record.position.topic, record.position.partition, record.position.offset, record.timestamp_ms)
    said = (record.key, record.value, record.headers)
    return hashlib.blake2b(repr((place, said)).encode(), digest_size=16).digest()


def identity_of(record: Record) -> TopicIdentity:
    """Which topic it is of, as far as a file tells: of another cluster's topic, another record is at its position."""
    said = hashlib.blake2b(repr((record.key, record.value)).encode(), digest_size=16)
    return TopicIdentity("", record.position.topic, said.hexdigest())


def may_lack_bytes(key: bytes | None, value: bytes | None, headers: Headers) -> bool:
    """Whether some of a record's bytes may have been replaced after kcat wrote it."""
    said = (key, value, *(each for _, each in headers))
    return any(REPLACED in each for each in said if each is not None)


def _topic(found: object) -> str:
    if not isinstance(found, str) or not found or not found.isprintable():
        raise refuse("topic", "a topic's name", found)
    return found


def _number(fields: dict[str, Any], name: str, last: int) -> int:
    found = fields[name]
    if type(found) is not int or not 0 <= found <= last:
        raise refuse(name, f"a whole number from 0 to {last}", found)
    return found


def _bytes(fields: dict[str, Any], name: str) -> bytes | None:
    found = fields[name]
    if found is None:
        return None
    if not isinstance(found, str):
        raise RefusedError(
            f"field {name}: expected text or null, and kcat has decoded it (its option -s): the record's bytes are not "
            "in the file; have kcat write it again without that option"
        )
    return _raw(name, found)


def _headers(found: object) -> tuple[Headers, bool]:
    """The headers, and whether their names are all text, as Kafka's clients have it."""
    if not isinstance(found, list) or len(found) % 2:
        raise refuse("headers", "names and values in turn, in one array", found)
    headers = []
    for index in range(0, len(found), 2):
        name, value = found[index], found[index + 1]
        if not isinstance(name, str):
            raise refuse(f"headers[{index}]", "a header's name", name)
        if value is not None and not isinstance(value, str):
            raise refuse(f"headers[{index + 1}]", "text or null", value)
        if not _is_text(name):
            return (), False
        headers.append((name, None if value is None else _raw(f"headers[{index + 1}]", value)))
    return tuple(headers), True


def _raw(name: str, text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise refuse(name, "Unicode", text[error.start : error.end]) from error


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
