"""Reads the headers of every dialect into one kind of Failure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter

from pipeline.headers.dialect import Dialect
from pipeline.headers.dialects import DIALECTS, EVERY_DIALECT
from pipeline.headers.failure_order import oldest_first, oldest_first_by_content
from pipeline.headers.own import (
    REPLAY_ID,
    REPLAY_OF,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    SOURCE_TIMESTAMP_MS,
    SOURCE_TOPIC,
)
from pipeline.headers.values import (
    FIRST_TIMESTAMP_MS,
    LAST_TIMESTAMP_MS,
    HeadersByName,
    as_number,
    as_partition,
    as_text,
    as_timestamp_ms,
    last,
)
from pipeline.records import Failure, Headers

NO_DIALECT = "none"
_NO_HEADERS = "no failure headers"
_NOTHING_AT_ALL = "no failure headers, no value"
_GIVES_NONE = " gives no reason"
_FEW_HEADERS, _NAMES_KNOWN = 64, 256
_name_of = itemgetter(0)
_OF_REPLAYS = (REPLAY_ID, REPLAY_OF)
_ORIGIN = (SOURCE_TOPIC, SOURCE_PARTITION, SOURCE_OFFSET, SOURCE_TIMESTAMP_MS)


class FailureReader:
    """Reads the headers of these dialects. In the product there is one for all of them, `read_failure`."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        self._dialects = tuple(each for dialect in dialects for each in (dialect, *dialect.older))
        self._dialect_of_header = {name: dialect for dialect in self._dialects for name in dialect.header_names}
        self._unordered = frozenset(dialect for dialect in self._dialects if dialect.header_order == "unordered")

        self._known_dialects = lru_cache(_NAMES_KNOWN)(self._dialects_by)

    def _dialects_by(self, names: tuple[str, ...]) -> tuple[list[Dialect], dict[Dialect, int]]:
        """The dialects that headers of these names carry, in the order of their first ones; the last index of each."""
        dialect_of = self._dialect_of_header.get
        last_index = {dialect: index for index, name in enumerate(names) if (dialect := dialect_of(name)) is not None}
        return [dialect for dialect in last_index if dialect.required <= set(names)], last_index

    def read(self, headers: Headers) -> Failure:
        """What the headers tell about the failure. Never raises; what they do not tell is None.

        A record that failed in several programs in turn carries the headers of all: the oldest names the origin, the
        newest tells of the failure. When one of them is unordered, the order of different headers changes nothing.
        """
        by_name = HeadersByName(headers)
        names = tuple(map(_name_of, headers))
        # Few writers, each with the same names each time: which dialects these are is not asked again.
        carried, last_index = (self._known_dialects if len(names) <= _FEW_HEADERS else self._dialects_by)(names)
        if self._unordered and not self._unordered.isdisjoint(carried):
            by_name = by_name.sorted_by_name()
            carried = oldest_first_by_content([each for each in self._dialects if each in carried], by_name)
        elif len(carried) > 1:
            carried = oldest_first(carried, last_index, by_name)
        failure = _newest_with_origin(carried, by_name) if carried else Failure(NO_DIALECT)
        if not by_name.names.isdisjoint(_OF_REPLAYS):
            return _replayed(failure, by_name)
        return failure


def _replayed(failure: Failure, headers: HeadersByName) -> Failure:
    """The failure with which replay it is of, and the origin that we gave along."""
    failure = failure._replace(replay_id=as_text(headers.last(REPLAY_ID)), replay_of=as_text(headers.last(REPLAY_OF)))
    if headers.names.isdisjoint(_ORIGIN):
        return failure
    return failure._replace(
        source_topic=as_text(headers.first(SOURCE_TOPIC)),
        source_partition=as_partition(headers.first(SOURCE_PARTITION)),
        source_offset=as_number(headers.first(SOURCE_OFFSET)),
        source_timestamp_ms=as_timestamp_ms(headers.first(SOURCE_TIMESTAMP_MS)),
    )


def _newest_with_origin(oldest_first: list[Dialect], headers: HeadersByName) -> Failure:
    """The newest failure with the origin of the oldest one. The four source fields are of one dialect, never mixed."""
    newest = oldest_first[-1].read(headers)
    origin = newest if len(oldest_first) == 1 else _origin(oldest_first, newest, headers)
    if origin is newest:
        return newest
    return newest._replace(
        source_topic=origin.source_topic,
        source_partition=origin.source_partition,
        source_offset=origin.source_offset,
        source_timestamp_ms=origin.source_timestamp_ms,
    )


def _origin(oldest_first: list[Dialect], newest: Failure, headers: HeadersByName) -> Failure:
    """The oldest failure that names a topic; the oldest of all where none does."""
    newest_dialect = oldest_first[-1]
    failures = []
    for each in oldest_first:
        failure = newest if each is newest_dialect or each is newest_dialect.borrows_from else each.read(headers)
        if failure.source_topic:
            return failure
        failures.append(failure)
    return failures[0]


read_failure = FailureReader(DIALECTS).read

MAY_LACK_BODY = frozenset(dialect.name for dialect in DIALECTS if dialect.may_lack_body)
"""Dialects whose dead letters have been parted from their records when they have neither key nor value."""
NEVER_WRITTEN = frozenset((dialect.name, stage) for dialect in DIALECTS for stage in dialect.never_written)
"""Dialects and stages of dead letters whose records never were in the source topic."""
_MAY_BE_NEVER_WRITTEN = frozenset(
    name for dialect in DIALECTS if dialect.never_written for name in dialect.header_names
)
_KEEP_TIMESTAMP = frozenset(dialect.name for dialect in DIALECTS if dialect.keeps_timestamp)
_STAMP_AT_FAILURE = frozenset(dialect.name for dialect in DIALECTS if not dialect.keeps_timestamp)
HEADERS_IN_ANY_ORDER = frozenset(dialect.name for dialect in DIALECTS if dialect.header_order == "unordered")
"""Dialects that write the same headers in another order each time."""
_WRITERS = {dialect.name: dialect.writer for dialect in DIALECTS if dialect.writer}
_BINARY_NUMBERS = {name: read for dialect in EVERY_DIALECT for name, read in dialect.binary_numbers.items()}


def source_timestamp_ms_of(failure: Failure, timestamp_ms: int, append_time: bool = False) -> int | None:
    """When the record was written at its first origin. `timestamp_ms` and `append_time` are the dead letter's own.

    Some dialects say it in a header; others keep the record's timestamp, which is that of the origin unless the record
    failed more than once, or the broker of the dead-letter topic put its own in its place.
    """
    if failure.source_timestamp_ms is not None:
        return failure.source_timestamp_ms
    if append_time:
        return None
    source = (failure.source_topic, failure.source_partition, failure.source_offset)
    newest = (failure.newest_topic, failure.newest_partition, failure.newest_offset)
    return timestamp_ms if failure.dialect in _KEEP_TIMESTAMP and source == newest else None


def writer_of(failure: Failure, headers: Headers) -> str | None:
    """Who failed it: a consumer group, else what else the dialect names; None where it names nobody."""
    if failure.consumer_group is not None:
        return failure.consumer_group
    names = _WRITERS.get(failure.dialect)
    told = names and [last(headers, name) for name in names]
    return repr(told) if told and told[0] is not None else None


def failed_at_ms_of(failure: Failure, timestamp_ms: int, append_time: bool = False) -> int | None:
    """When the record failed last; None where nothing tells. The other arguments are the dead letter's own.

    Some dialects say it in a header; others write the dead letter when it fails, with the time of then. Some brokers
    write times of 1970 into a share group's: those are none.
    """
    if failure.failed_at_ms is not None:
        return failure.failed_at_ms
    tells = append_time or failure.dialect in _STAMP_AT_FAILURE
    return timestamp_ms if tells and FIRST_TIMESTAMP_MS <= timestamp_ms <= LAST_TIMESTAMP_MS else None


def reason_of(failure: Failure, value: bytes | None) -> str:
    """Why the record is a dead letter, in words: the dialect's message, else the best there is. Never empty."""
    if failure.message and failure.message.strip():
        return failure.message
    if failure.error_class and failure.error_class.strip():
        return failure.error_class
    if failure.dialect != NO_DIALECT:
        return f"{failure.dialect}{_GIVES_NONE}"
    return _NOTHING_AT_ALL if value is None else _NO_HEADERS


def gives_no_reason(reason: str) -> bool:
    """Whether `reason_of` had to say that nobody tells why."""
    return reason in (_NO_HEADERS, _NOTHING_AT_ALL) or reason.endswith(_GIVES_NONE)


def why_not_replayed(headers: Headers, key: bytes | None, value: bytes | None) -> str:
    """Why a replay of this dead letter would send something else than what failed; empty when it can be sent."""
    has_body = key is not None or value is not None
    # Reading the headers of the others, which are nearly all, would say nothing.
    if has_body and _MAY_BE_NEVER_WRITTEN.isdisjoint(dict(headers)):
        return ""
    failure = read_failure(headers)
    if (failure.dialect, failure.stage) in NEVER_WRITTEN:
        return "the record could not be written, and the dead letter does not hold the bytes that it would have had"
    if has_body or failure.dialect not in MAY_LACK_BODY:
        return ""
    position = newest_position(failure)
    elsewhere = f"the record itself is at {position}, as long as Kafka keeps it" if position else "and names no record"
    return f"the dead letter of {failure.dialect} has no body; {elsewhere}"


def newest_position(failure: Failure) -> str:
    """Where the record stood when it failed last, as far as it is known; empty when not even the topic is."""
    if failure.newest_topic is None:
        return ""
    partition = "" if failure.newest_partition is None else f"[{failure.newest_partition}]"
    offset = "" if failure.newest_offset is None else f" offset {failure.newest_offset}"
    return f"{failure.newest_topic}{partition}{offset}"


def binary_number_of(name: str, value: bytes | None) -> int | None:
    """The number in a header that is known to hold a binary one; None when it does not."""
    read = _BINARY_NUMBERS.get(name)
    return read(value) if read else None
