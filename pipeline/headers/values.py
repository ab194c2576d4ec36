"""Reads single header values. What is missing, null or malformed is None: a bad header never hides the dead letter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, KeysView, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from pipeline.records import Headers

_MAX_DIGITS = 19
_MAX_INT32 = 2**31 - 1
_MAX_INT64 = 2**63 - 1

FIRST_TIMESTAMP_MS = 946_684_800_000
"""The beginning of the year 2000: no Kafka wrote anything before, but some clocks count from when a machine began."""

LAST_TIMESTAMP_MS = 253_370_764_799_999
"""The end of the year 9998, in every time zone: a later one is no time but a mistake."""


class HeadersByName:
    """A record's headers, to look up many of them: searching all headers each time takes ten times as long."""

    __slots__ = ("_first", "_last", "has_repeats", "in_order", "names")

    def __init__(self, headers: Headers) -> None:
        self.in_order = headers
        self._last = dict(headers)
        self.names: KeysView[str] = self._last.keys()
        """All names, each once."""
        self.has_repeats = len(self._last) < len(headers)
        """Whether a name is there more than once."""
        self._first = dict(reversed(headers)) if self.has_repeats else self._last

    def first(self, name: str, *or_names: str) -> bytes | None:
        """The value of the first header that has one of these names."""
        # Nearly always a writer uses the first of the names alone, and no order matters.
        if or_names and not self.names.isdisjoint(or_names):
            return _nearest(self.in_order, (name, *or_names))
        return self._first.get(name)

    def last(self, name: str, *or_names: str) -> bytes | None:
        """The value of the last header that has one of these names."""
        if or_names and not self.names.isdisjoint(or_names):
            return _nearest(reversed(self.in_order), (name, *or_names))
        return self._last.get(name)

    def backwards(self) -> HeadersByName:
        """The same headers, the last one first."""
        return HeadersByName(self.in_order[::-1])

    def sorted_by_name(self) -> HeadersByName:
        """The same headers in an order that depends on their names alone; values of one name stay in theirs.

        Descending: Spring and SmallRye have two names for each thing, and so that of a retry topic stands before that
        of a dead letter, as it does where the order is the writer's.
        """
        return HeadersByName(tuple(sorted(self.in_order, key=itemgetter(0), reverse=True)))


def _nearest(headers: Iterable[tuple[str, bytes | None]], names: tuple[str, ...]) -> bytes | None:
    # A plain loop: half the time of a generator.
    for name, value in headers:
        if name in names:
            return value
    return None


def last(headers: Headers, name: str) -> bytes | None:
    """The value of the last header of this name, where no other header is looked up."""
    return _nearest(reversed(headers), (name,))


def as_text(value: bytes | None) -> str | None:
    """UTF-8 text that is not empty."""
    try:
        return (value or b"").decode() or None
    except UnicodeDecodeError:
        return None


def as_number(value: bytes | None, maximum: int = _MAX_INT64) -> int | None:
    """A decimal number of 0 or more, as text."""
    if value is None or not value.isdigit() or len(value) > _MAX_DIGITS:
        return None
    number = int(value)
    return number if number <= maximum else None


def as_partition(value: bytes | None) -> int | None:
    """A partition as decimal text."""
    return as_number(value, _MAX_INT32)


def as_timestamp_ms(value: bytes | None) -> int | None:
    """Epoch milliseconds as decimal text."""
    return as_number(value, LAST_TIMESTAMP_MS)


def as_iso_timestamp_ms(value: bytes | None) -> int | None:
    """A moment as ISO 8601 text. Without a zone it could be any of many, and is None."""
    try:
        moment = datetime.fromisoformat(as_text(value) or "")
    except ValueError:
        return None
    return None if moment.tzinfo is None else _within(int(moment.timestamp() * 1000), LAST_TIMESTAMP_MS)


def as_big_endian(value: bytes | None, *sizes: int) -> int | None:
    """A signed big-endian number of 0 or more in one of these sizes (bytes)."""
    if value is None or len(value) not in sizes:
        return None
    return _within(int.from_bytes(value, "big", signed=True), _MAX_INT64)


def as_int32(value: bytes | None) -> int | None:
    """A big-endian int32 of 0 or more."""
    return as_big_endian(value, 4)


def as_int64(value: bytes | None) -> int | None:
    """A big-endian int64 of 0 or more."""
    return as_big_endian(value, 8)


def as_timestamp_int64(value: bytes | None) -> int | None:
    """Epoch milliseconds as a big-endian int64."""
    return _within(as_int64(value), LAST_TIMESTAMP_MS)


def as_big_integer(value: bytes | None) -> int | None:
    """Java's BigInteger.toByteArray(): big-endian two's complement in as few bytes as it takes; 0 or more."""
    return as_big_endian(value, *range(1, 9))


def as_timestamp_big_integer(value: bytes | None) -> int | None:
    """Epoch milliseconds as a BigInteger."""
    return _within(as_big_integer(value), LAST_TIMESTAMP_MS)


def _within(number: int | None, maximum: int) -> int | None:
    return number if number is not None and 0 <= number <= maximum else None


def text_positions(headers: HeadersByName, topic: str, partition: str, offset: str) -> dict[str, Any]:
    """`source_*` from the first and `newest_*` from the last of three headers that hold text."""
    return text_positions_by_any_of(headers, (topic,), (partition,), (offset,))


def text_positions_by_any_of(
    headers: HeadersByName, topic: tuple[str, ...], partition: tuple[str, ...], offset: tuple[str, ...]
) -> dict[str, Any]:
    """The same where each has several names."""
    return _positions(headers, (topic, partition, offset), (as_text, as_partition, as_number))


def binary_positions(
    headers: HeadersByName,
    topic: tuple[str, ...],
    partition: tuple[str, ...],
    offset: tuple[str, ...],
    timestamp: tuple[str, ...],
) -> dict[str, Any]:
    """The same for Spring, where the partition is an int32, offset and timestamp are int64, all big-endian."""
    positions = _positions(headers, (topic, partition, offset), (as_text, as_int32, as_int64))
    positions["source_timestamp_ms"] = as_timestamp_int64(headers.first(*timestamp))
    return positions


def _positions(
    headers: HeadersByName, names: Sequence[tuple[str, ...]], readers: Sequence[Callable[[bytes | None], Any]]
) -> dict[str, Any]:
    """`names` and `readers` for topic, partition and offset. One by one, which takes half the time of loops."""
    of_topic, of_partition, of_offset = names
    topic_of, partition_of, offset_of = readers
    first = headers.first(*of_topic), headers.first(*of_partition), headers.first(*of_offset)
    last = headers.last(*of_topic), headers.last(*of_partition), headers.last(*of_offset)
    source = topic_of(first[0]), partition_of(first[1]), offset_of(first[2])
    # Nearly always they are the same headers, and reading them once will do.
    newest = source if last == first else (topic_of(last[0]), partition_of(last[1]), offset_of(last[2]))
    return {
        "source_topic": source[0],
        "source_partition": source[1],
        "source_offset": source[2],
        "newest_topic": newest[0],
        "newest_partition": newest[1],
        "newest_offset": newest[2],
    }
