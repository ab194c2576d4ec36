"""What a dead letter's key and value are, for people to read. Readers are tried in one order, each decliner says why.

1. `mapping file`: the schema that the section of the source topic names, for values without a framing.
2. `registry`: the schema that the bytes or the headers name by an id (Avro, Protobuf, JSON Schema).
3. `schemas folder`: the schema that Avro's single-object encoding names by its fingerprint.
4. `JSON`: an object, a list or a quoted text; Kafka Connect's with its schema.
5. `text`: UTF-8 without control characters.
6. `hex`: anything.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import RegistryUnavailableError, SchemaPendingError, UndecodableError
from pipeline.orders.formats.framing import (
    PLAIN,
    SINGLE_OBJECT_MARK,
    Fingerprint,
    Framing,
    Part,
    first_that_reads,
    framings_told,
)
from pipeline.orders.formats.plain_values import MAXIMUM_VALUES, bytes_text, plain
from pipeline.orders.formats.schemas import Schemas
from pipeline.orders.mapping.mapping_file import DEFAULT, Mapped
from pipeline.orders.whole_reader import WholeReader, WholeValue
from pipeline.records import Headers

MAXIMUM_BYTES = 10_000_000
"""Of larger keys and values only the beginning is read, as text or in hexadecimal."""
TEXT, HEX, NULL, EMPTY = "text", "hex", "null", "empty"
_BLANKS = b" \t\r\n"
_JSON_BEGINS = (b"{", b"[", b'"')
_LINE_ENDS = "\t\r\n"
_WITHOUT_LINE_ENDS = str.maketrans("", "", _LINE_ENDS)
_UTF8 = codecs.getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True)
class Declined:
    """A reader that did not read it, and why."""

    reader: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """A key or a value as people read it."""

    format: str
    """Avro, Protobuf, JSON, JSON of Kafka Connect, text, hex; null and empty where there are no bytes."""
    value: Any
    """Plain data: dict, list, str, bool, None, int and JsonNumber. None of null and empty ones."""
    schema: str = ""
    """What its schema is called, and how it was found; empty where there is none."""
    declined: tuple[Declined, ...] = ()
    """The readers that came before in the order."""
    cut: str = ""
    """What is missing of it, in words; empty when nothing is."""
    waits: bool = False
    """Whether a schema is still to come: asked again later, it may be read otherwise."""

    unread: str = ""
    """Why it was not read by the schema that it names, or that the mapping file names for it; empty of all else."""

    @property
    def is_data(self) -> bool:
        """Whether it has fields or items, or could have: it was read by more than its bytes alone."""
        return self.format not in (TEXT, HEX, NULL, EMPTY)


@dataclass(slots=True)
class _Trial:
    """The bytes of one part, and what was tried on them."""

    data: bytes
    headers: Headers
    part: Part
    declined: list[Declined] = field(default_factory=list)
    waits: bool = False
    names_schema: bool = False
    unread: str = ""

    def try_(self, reader: str, read: Callable[[], Decoded]) -> Decoded | None:
        """What a reader makes of it; None where it declines, which is noted."""
        try:
            return read()
        except SchemaPendingError as error:
            self.waits = True
            self.decline(reader, error.reason)
        except UndecodableError as error:
            self.decline(reader, error.reason)
        except RegistryUnavailableError as error:
            self.waits = True
            self.decline(reader, str(error))
        return None

    def decline(self, reader: str, reason: str) -> None:
        """Notes why a reader does not read it."""
        # What reads records speaks of their values.
        words = re.sub(r"^value\b", "key", reason) if self.part == "key" else reason
        self.declined.append(Declined(reader, words))
        if self.names_schema and not self.unread:
            self.unread = words


class Decoder:
    """Decodes keys and values of dead letters. To be used by one thread at a time."""

    def __init__(self, schemas: Schemas, mapped: Callable[[], Mapped] = lambda: DEFAULT) -> None:
        """`mapped` is the mapping file as it is now."""
        self._mapped = mapped
        self._schemas = schemas
        self._framed = WholeReader(schemas)
        self._unframed: tuple[Mapped, dict[str, tuple[WholeReader, str] | None]] = (DEFAULT, {})

    def value(
        self,
        value: bytes | None,
        headers: Headers = (),
        source_topic: str | None = None,
        maximum_bytes: int = MAXIMUM_BYTES,
    ) -> Decoded:
        """What a value is. `source_topic` says which section of the mapping file is asked. Raises nothing."""
        return self._decoded(value, headers, "value", source_topic, maximum_bytes)

    def key(self, key: bytes | None, headers: Headers = (), maximum_bytes: int = MAXIMUM_BYTES) -> Decoded:
        """What a key is. Raises nothing."""
        return self._decoded(key, headers, "key", None, maximum_bytes)

    def _decoded(
        self, data: bytes | None, headers: Headers, part: Part, source_topic: str | None, maximum_bytes: int
    ) -> Decoded:
        if not data:
            return Decoded(NULL if data is None else EMPTY, None)
        trial = _Trial(data, headers, part)
        if len(data) > maximum_bytes:
            trial.decline("all", f"value has {len(data):,} bytes; at most {maximum_bytes:,} are decoded")
        else:
            for reader, read in self._readers(trial, source_topic):
                if (found := trial.try_(reader, read)) is not None:
                    return found
        text = trial.try_(TEXT, lambda: _text(trial, maximum_bytes))
        if text is not None:
            return text
        return Decoded(HEX, bytes_text(data), declined=tuple(trial.declined), waits=trial.waits, unread=trial.unread)

    def _readers(self, trial: _Trial, source_topic: str | None) -> Iterator[tuple[str, Callable[[], Decoded]]]:
        unframed = self._unframed_reader(source_topic)
        if unframed is not None:
            trial.names_schema = True
            yield "mapping file", lambda: _by_mapping_file(trial, *unframed)
        yield "registry", lambda: self._by_registry(trial)
        yield "schemas folder", lambda: self._by_folder(trial)
        yield "JSON", lambda: self._as_json(trial)

    # -- by a schema

    def _by_registry(self, trial: _Trial) -> Decoded:
        told = [each for each in framings_told(trial.data, trial.headers, trial.part) if _by_id(each)]
        if not told:
            begins = trial.data[:1].hex()
            raise UndecodableError(f"value names no schema: it begins with 0x{begins}, and no header has an id")
        trial.names_schema = True
        return _made(trial, first_that_reads(told, lambda framing: self._framed.read_as(framing, trial.data)))

    def _by_folder(self, trial: _Trial) -> Decoded:
        if not trial.data.startswith(SINGLE_OBJECT_MARK):
            raise UndecodableError("value does not begin with C3 01 and a fingerprint, as single-object encoding does")
        trial.names_schema = True
        return _made(trial, self._framed.read_as(framings_told(trial.data, (), trial.part)[0], trial.data))

    def _unframed_reader(self, source_topic: str | None) -> tuple[WholeReader, str] | None:
        """What reads values of a topic without a framing, and the name of the file; None where no section says."""
        mapped = self._mapped()
        if mapped is not self._unframed[0]:
            self._unframed = (mapped, {})
        recipe = mapped.recipe(source_topic) if source_topic else None
        file = recipe.section.schema_file if recipe is not None else ""
        if recipe is None or not file:
            return None
        readers = self._unframed[1]
        key = f"{file} {recipe.section.message}"
        if key not in readers:
            made = WholeReader(self._schemas, recipe.section, mapped.schema_files.get(file))
            readers[key] = made, file
        return readers[key]

    # -- without a schema

    def _as_json(self, trial: _Trial) -> Decoded:
        begins = trial.data.lstrip(_BLANKS)[:1]
        if begins not in _JSON_BEGINS:
            raise UndecodableError(f"value begins with 0x{begins.hex()}: no object, no list and no quoted text")
        if trial.data.count(b",") > MAXIMUM_VALUES:
            raise UndecodableError(f"value may hold more than {MAXIMUM_VALUES:,} values")
        return _made(trial, self._framed.read_as(PLAIN, trial.data))


def _by_id(framing: Framing) -> bool:
    return framing.schema is not None and not isinstance(framing.schema, Fingerprint)


def _by_mapping_file(trial: _Trial, reader: WholeReader, file: str) -> Decoded:
    return _made(trial, reader.read_as(PLAIN, trial.data), file)


def _made(trial: _Trial, found: WholeValue, file: str = "") -> Decoded:
    schema = ", ".join(filter(None, (found.type_name, found.named or file)))
    return Decoded(found.kind, plain(found.value), schema, tuple(trial.declined), waits=trial.waits)


def _text(trial: _Trial, maximum_bytes: int) -> Decoded:
    """UTF-8 that can be shown, of a long one the beginning. Raises UndecodableError."""
    data, is_cut = trial.data[:maximum_bytes], len(trial.data) > maximum_bytes
    try:
        text = _UTF8().decode(data, final=not is_cut)
    except UnicodeDecodeError as error:
        raise UndecodableError(f"value is no text: byte {error.start} is no UTF-8") from error
    if not text.translate(_WITHOUT_LINE_ENDS).isprintable():
        odd = next(letter for letter in text if not (letter.isprintable() or letter in _LINE_ENDS))
        at = len(text[: text.index(odd)].encode())
        raise UndecodableError(f"value is no text: U+{ord(odd):04X} at byte {at} is no letter that can be shown")
    cut = f"the first {maximum_bytes:,} of {len(trial.data):,} bytes" if is_cut else ""
    return Decoded(TEXT, text, declined=tuple(trial.declined), cut=cut, waits=trial.waits, unread=trial.unread)
