"""What the records of a sample hold: every path in them, and the values that it leads to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import SchemaPendingError, UndecodableError
from pipeline.orders.mapping.paths import EACH, TYPE, Path, RecordValue, Step
from pipeline.orders.mapping.sources import HeaderSource, RecordSource, Source
from pipeline.orders.mapping.values import ValueMismatchError, is_money
from pipeline.orders.proposing.names import is_wrapper
from pipeline.orders.proposing.trial import Shape
from pipeline.orders.whole_reader import WholeReader
from pipeline.records import Record

MAXIMUM_PATHS = 3_000
"""Objects whose keys are ids have any number: more are not looked at."""
MAXIMUM_STEPS = 12
MAXIMUM_ITEMS = 50
"""Of a list so many items are looked at."""
NAME_CHARACTERS = 120
_BESIDE = ("before", "source")
_SCALED = {"scale", "value"}
"""The fields of the object that stands for one number of Debezium's."""


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """A record of the sample. `value` is what it says, where it could be read; else `reason` says why not."""

    record: Record
    value: Any = None
    format: str = ""
    reason: str = ""
    cause: str = ""
    """What the reason has in common with others."""

    @property
    def is_read(self) -> bool:
        """Whether its value could be read."""
        return not self.reason


@dataclass(slots=True)
class Seen:
    """A path, or another source, and what it leads to: by the number of the record, values that are there."""

    source: Source
    values: dict[int, list[Any]] = field(default_factory=dict)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The path; of a header its name."""
        if isinstance(self.source, Path):
            return self.source.steps
        return (self.source.name,)

    def all(self, among: Iterable[int]) -> list[Any]:
        """The values in these records."""
        return [value for number in among for value in self.values.get(number, ())]


@dataclass(frozen=True, slots=True)
class Sample:
    """Records of one topic, the newest first, and every scalar that their values, headers and keys hold."""

    topic: str
    records: Sequence[SampleRecord]
    seen: Sequence[Seen]

    @property
    def read(self) -> list[int]:
        """The numbers of the records that could be read."""
        return [number for number, each in enumerate(self.records) if each.is_read]

    @property
    def is_enveloped(self) -> bool:
        """Whether records are events that hold what they are about in a part of their own."""
        inside = (each.steps[0] for each in self.seen if isinstance(each.source, Path) and len(each.steps) > 1)
        return any(isinstance(step, str) and is_wrapper(step) for step in inside)

    @property
    def formats(self) -> list[tuple[str, int]]:
        """How records were written, and how many each, the most first."""
        return Counter(each.format for each in self.records if each.is_read).most_common()

    @property
    def tombstones(self) -> int:
        """How many have null for a value."""
        return sum(each.record.value is None for each in self.records)

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why records could not be read, without deletions, the most first: of each cause the first reason."""
        failed = [each for each in self.records if each.reason and each.record.value is not None]
        words = {each.cause: each.reason for each in reversed(failed)}
        return [(words[cause], count) for cause, count in Counter(each.cause for each in failed).most_common()]


def is_beside_the_record(seen: Seen) -> bool:
    """Whether it is of a change event's parts that say how things were before, and where the change was read."""
    names = [each for each in seen.steps if isinstance(each, str)]
    if not isinstance(seen.source, Path) or len(names) < 2:
        return False
    return names[0] in _BESIDE or (names[0] == "payload" and len(names) > 2 and names[1] in _BESIDE)


def look_through(topic: str, records: Sequence[Record], reader: WholeReader, shape: Shape = str) -> Sample:
    """Reads a sample; `shape` is what reasons of one cause have in common.

    Raises RegistryUnavailableError when nobody can say what some records hold.
    """
    found = [_read(reader, each, shape) for each in records]
    seen: dict[Source, Seen] = {}
    for number, each in enumerate(found):
        if each.is_read:
            for steps, value in _scalars(each.value, ()):
                _note(seen, number, Path(steps), value)
        _note_outside(seen, number, each.record)
    return Sample(topic, found, list(seen.values()))


def _read(reader: WholeReader, record: Record, shape: Shape) -> SampleRecord:
    try:
        found = reader.read_whole(record)
    except (UndecodableError, SchemaPendingError) as error:
        return SampleRecord(record, reason=error.reason, cause=shape(error.reason))
    return SampleRecord(record, found.value, found.format)


def _note(seen: dict[Source, Seen], number: int, source: Source, value: Any) -> None:
    if source not in seen:
        if len(seen) >= MAXIMUM_PATHS:
            return
        seen[source] = Seen(source)
    seen[source].values.setdefault(number, []).append(value)


def _note_outside(seen: dict[Source, Seen], number: int, record: Record) -> None:
    for name, raw in dict(record.headers).items():
        text = _text(raw)
        if text and len(name) <= NAME_CHARACTERS and name.isprintable():
            _note(seen, number, HeaderSource(name), text)
    key = _text(record.key)
    # A key of several parts is an object: one of its parts might be an id, all of it is none.
    if key and key[:1] not in "{[":
        _note(seen, number, RecordSource("key"), key)


def _text(raw: bytes | None) -> str:
    """Bytes that people could read as a text; else nothing."""
    try:
        text = (raw or b"").decode()
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() else ""


def _scalars(value: Any, steps: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], Any]]:
    """Every value in a value that can be a field, with the way to it."""
    if value is None or value == "" or isinstance(value, ValueMismatchError) or len(steps) > MAXIMUM_STEPS:
        return
    if isinstance(value, dict):
        if not steps and isinstance(value, RecordValue):
            yield (TYPE,), value.type_name
        if steps and (is_money(value) or value.keys() == _SCALED):
            yield steps, value
        for name, inner in value.items():
            if _is_usable(name):
                yield from _scalars(inner, (*steps, name))
    elif isinstance(value, list):
        # Only one list can be followed, and there are no paths through a list in itself.
        if EACH not in steps and steps:
            for item in value[:MAXIMUM_ITEMS]:
                yield from _scalars(item, (*steps, EACH))
    elif steps:
        yield steps, value


def _is_usable(name: str) -> bool:
    """Whether a name can be written into the file."""
    return bool(name) and len(name) <= NAME_CHARACTERS and not any("\ud800" <= letter <= "\udfff" for letter in name)
