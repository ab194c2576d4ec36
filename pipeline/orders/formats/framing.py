"""Tells by headers and first bytes how a record's value was written.

Bytes of each writer: docs/mapping.md. A bare Avro body may itself begin with any byte, so headers are looked at first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import TypeVar
from uuid import UUID

from pipeline.errors import SchemaPendingError, UndecodableError
from pipeline.orders.avro import read_long
from pipeline.records import Headers
from pipeline.schema_source import ApicurioContentId, ApicurioGlobalId, SchemaGuid, SchemaId, SchemaRef

Read = TypeVar("Read")

CONFLUENT_HEADER = "__value_schema_id"
APICURIO_CONTENT = "apicurio.value.contentId"
APICURIO_GLOBAL = "apicurio.value.globalId"
APICURIO_ENCODING = "apicurio.value.encoding"
CONTENT_TYPE = "content-type"
FRAMING_HEADERS = frozenset({CONFLUENT_HEADER, APICURIO_CONTENT, APICURIO_GLOBAL, CONTENT_TYPE})
"""Only a record with one of these is written in a way that its first bytes do not tell."""

SINGLE_OBJECT_MARK = b"\xc3\x01"
FINGERPRINT_END = 10
CONFLUENT_MARK = b"\x00"
SCHEMA_ID_END = 5
_LEGACY_ID_END = 9
_NO_ID = bytes(SCHEMA_ID_END)
"""Ids begin at 1: four zeros are the beginning of Apicurio's older ids of eight bytes."""
_GUID_MARK = b"\x01"
_GUID_END = 17
_AZURE = "avro/binary+"
_BLANKS = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """How Avro's single-object encoding names a schema: the CRC-64 of its canonical form, little-endian as a rule."""

    value: bytes

    def __str__(self) -> str:
        return f"schema fingerprint {self.value.hex()}"


@dataclass(frozen=True, slots=True)
class Framing:
    """One way to read a value: its schema (None: it needs none), and where its body begins."""

    schema: SchemaRef | Fingerprint | None
    begin: int = 0
    message_indexes: bytes = b""
    """Confluent's message indexes where a header has them; else they stand before the message."""
    json_encoding: bool = False
    """Whether the body is Avro's JSON encoding."""

    def __str__(self) -> str:
        return "JSON" if self.schema is None else str(self.schema)


PLAIN = Framing(None)
"""JSON, unless the mapping names a file for values without a framing."""


def framings_of(value: bytes, headers: Headers) -> list[Framing]:
    """The ways in which a value may have been written, the likeliest first.

    Raises UndecodableError when there is none, and when it is one that is known and cannot be read here.
    """
    found = [*_by_prefix(value), *_by_headers(value, headers)]
    # Behind a relay the headers may be those of another record: what stands in the value is asked first.
    if found:
        return found
    if azure := _azure_schema(headers):
        raise UndecodableError(
            f"value is Avro of Azure's schema registry (schema {azure}), which OrderPulse does not ask; put the schema "
            "into the schemas folder and write single-object encoding"
        )
    if looks_like_json(value):
        return [PLAIN]
    raise UndecodableError(_unknown(value))


def looks_like_json(value: bytes) -> bool:
    """Whether a value begins as an object or a list in JSON does."""
    return value.lstrip(_BLANKS)[:1] in (b"{", b"[")


def _by_prefix(value: bytes) -> Iterator[Framing]:
    if value.startswith(SINGLE_OBJECT_MARK) and len(value) >= FINGERPRINT_END:
        yield Framing(Fingerprint(value[2:FINGERPRINT_END]), FINGERPRINT_END)
    elif value.startswith(CONFLUENT_MARK) and len(value) >= SCHEMA_ID_END:
        schema_id = int.from_bytes(value[1:SCHEMA_ID_END], "big")
        if schema_id == 0 and len(value) >= _LEGACY_ID_END:
            yield Framing(ApicurioGlobalId(int.from_bytes(value[1:_LEGACY_ID_END], "big")), _LEGACY_ID_END)
        else:
            yield Framing(SchemaId(schema_id), SCHEMA_ID_END)


def _by_headers(value: bytes, headers: Headers) -> Iterator[Framing]:
    told = {name: raw for name, raw in headers if raw is not None and name in _LOOKED_AT}
    guid = told.get(CONFLUENT_HEADER, b"")
    if guid[:1] == _GUID_MARK and len(guid) >= _GUID_END:
        yield Framing(SchemaGuid(guid[1:_GUID_END]), 0, guid[_GUID_END:] or b"\x00")
    elif guid[:1] == CONFLUENT_MARK and len(guid) >= SCHEMA_ID_END:
        yield Framing(SchemaId(int.from_bytes(guid[1:SCHEMA_ID_END], "big")), 0, guid[SCHEMA_ID_END:] or b"\x00")
    in_json = told.get(APICURIO_ENCODING, b"") == b"JSON"
    for name, kind in ((APICURIO_CONTENT, ApicurioContentId), (APICURIO_GLOBAL, ApicurioGlobalId)):
        if len(told.get(name, b"")) == 8:
            yield Framing(kind(int.from_bytes(told[name], "big")), 0, json_encoding=in_json)


_LOOKED_AT = FRAMING_HEADERS | {APICURIO_ENCODING}


def _azure_schema(headers: Headers) -> str:
    """The id of the schema that a header of Azure's serializer names; empty where there is none."""
    told = [raw for name, raw in headers if name == CONTENT_TYPE and raw is not None]
    content_type = told[-1].decode("latin-1") if told else ""
    return ascii(content_type.removeprefix(_AZURE)[:64])[1:-1] if content_type.startswith(_AZURE) else ""


def _unknown(value: bytes) -> str:
    if len(value) >= 18 and value[:1] == b"\x03" and value[1:2] in (b"\x00", b"\x05"):
        packed = ", compressed" if value[1:2] == b"\x05" else ""
        version = f"{UUID(bytes=value[2:18])}{packed}"
        return (
            f"value is in the framing of AWS Glue's schema registry (schema version {version}), which "
            "OrderPulse does not ask; write in Confluent's framing or Avro's single-object encoding"
        )
    if value.startswith(SINGLE_OBJECT_MARK):
        return f"truncated after {len(value)} bytes, in the schema fingerprint"
    if value.startswith(CONFLUENT_MARK):
        return f"truncated after {len(value)} bytes, in the schema id"
    shown = value[: 2 if value[:1] == SINGLE_OBJECT_MARK[:1] else 1].hex()
    return (
        f"value begins with 0x{shown}: neither Avro single-object nor Confluent framing, nor JSON; without "
        "a framing Protobuf needs `descriptor` and `message` in the mapping file, Avro `avro_schema`"
    )


def first_that_reads(framings: Sequence[Framing], read: Callable[[Framing], Read]) -> Read:
    """What the first framing reads that fits.

    Raises SchemaPendingError when it may yet be known that one fits, else UndecodableError with each one's reason.
    """
    reasons: list[str] = []
    pending: SchemaPendingError | None = None
    rule = ""
    for framing in framings:
        try:
            return read(framing)
        except SchemaPendingError as error:
            pending = pending or error
        except UndecodableError as error:
            reasons.append(error.reason if len(framings) == 1 else f"as {framing}: {error.reason}")
            rule = rule or error.rule
    if pending is not None:
        raise pending
    raise UndecodableError("; ".join(reasons), rule)


def read_message_indexes(data: bytes, at: int) -> tuple[tuple[int, ...], int]:
    """Confluent's message indexes, and where they end: 00 is the first message, else a count and so many numbers.

    https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
    Raises UndecodableError.
    """
    count, at = read_long(data, at, "the message indexes")
    if count == 0:
        return (0,), at
    if not 0 < count <= 32:
        raise UndecodableError(f"the message indexes are {count}", "protobuf")
    found = []
    for _ in range(count):
        index, at = read_long(data, at, "the message indexes")
        found.append(index)
    return tuple(found), at


def read_type_ref(data: bytes, at: int) -> tuple[str, int] | None:
    """The name of a message as Apicurio's serializer writes it in place of indexes, and where it ends; None: none is.

    It is a length and a message with the name as its field 1:
    https://github.com/Apicurio/apicurio-registry, serdes, ref.proto
    """
    if len(data) < at + 4 or not 3 <= data[at] < 0x80 or data[at + 1] != 0x0A or data[at + 2] != data[at] - 2:
        return None
    end = at + 1 + data[at]
    name = data[at + 3 : end]
    if len(data) < end or not name.isascii() or not name.decode("latin-1").isidentifier():
        return None
    return name.decode(), end


def grouped(values: Sequence[bytes | None], among: Sequence[int]) -> dict[bytes, list[int]]:
    """The indexes of values by how they begin, as far as that says how they are read; none of null and empty ones."""
    indexes = [index for index in among if values[index]]
    known = [values[index] or b"" for index in indexes]
    # As nearly always all begin alike, which is quicker to see than how each of them begins.
    if known and _says_all(head := _head(known[0])) and all(map(methodcaller("startswith", head), known)):
        return {head: indexes}
    groups: dict[bytes, list[int]] = {}
    for head, index in zip(map(_head, known), indexes, strict=True):
        groups.setdefault(head, []).append(index)
    return groups


def _says_all(head: bytes) -> bool:
    """Whether this is the head of all values that begin so."""
    if head.startswith(SINGLE_OBJECT_MARK):
        return len(head) == FINGERPRINT_END
    return head == b"{" or (head.startswith(CONFLUENT_MARK) and len(head) == SCHEMA_ID_END)


def _head(value: bytes) -> bytes:
    first = value[:1]
    if first == b"{":
        return first
    if first == CONFLUENT_MARK:
        return value[:_LEGACY_ID_END] if value.startswith(_NO_ID) else value[:SCHEMA_ID_END]
    return value[:FINGERPRINT_END] if value.startswith(SINGLE_OBJECT_MARK) else first
