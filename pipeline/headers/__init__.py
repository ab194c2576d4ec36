"""Dead-letter headers of every dialect we know, one module each, read into one kind of Failure."""

from __future__ import annotations

from pipeline.headers.codec import headers_from_json, headers_to_json
from pipeline.headers.dialect import Dialect
from pipeline.headers.dialects import (
    arroyo,
    kafka_connect,
    kafka_streams,
    karafka,
    nservicebus,
    orderpulse,
    share_group,
    smallrye,
    spring_cloud_stream,
    spring_kafka,
)
from pipeline.headers.dialects.orderpulse import (
    REPLAY_ID,
    REPLAY_OF,
    dead_letter_id_of,
    failure_headers,
    last_text,
    replay_headers,
    replay_id_of,
)
from pipeline.headers.dialects.smallrye import original_key_and_value
from pipeline.headers.values import ByName, as_text
from pipeline.records import Failure, Headers

__all__ = [
    "DIALECTS",
    "NO_DIALECT",
    "binary_number_of",
    "dead_letter_id_of",
    "failure_headers",
    "headers_from_json",
    "headers_to_json",
    "last_text",
    "original_key_and_value",
    "read_failure",
    "reason_of",
    "replay_headers",
    "replay_id_of",
    "source_timestamp_ms_of",
    "why_not_replayed",
]

DIALECTS: tuple[Dialect, ...] = (
    orderpulse.DIALECT,
    spring_kafka.DIALECT,
    spring_cloud_stream.DIALECT,
    kafka_connect.DIALECT,
    kafka_streams.DIALECT,
    share_group.DIALECT,
    smallrye.DIALECT,
    karafka.DIALECT,
    arroyo.DIALECT,
    nservicebus.DIALECT,
)
NO_DIALECT = "none"
_OF_REPLAYS = (REPLAY_ID, REPLAY_OF)

_KEEP_TIMESTAMP = frozenset(dialect.name for dialect in DIALECTS if dialect.keeps_timestamp)
_BY_NAME = {dialect.name: dialect for dialect in DIALECTS}
_SPEAKERS = {mark: dialect.name for dialect in DIALECTS for mark in dialect.marks}
_NUMBERS = {name: read for dialect in DIALECTS for name, read in dialect.numbers.items()}


def read_failure(headers: Headers) -> Failure:
    """What the headers tell about the failure. Never raises; what they do not tell is None.

    A record that failed in several programs in turn carries the headers of all: the oldest names the origin, the newest
    tells of the failure.
    """
    by_name = ByName(headers)
    failure = _newest_with_origin(_oldest_first(by_name), by_name)
    if not by_name.names.isdisjoint(_OF_REPLAYS):
        replay_id, replay_of = as_text(by_name.last(REPLAY_ID)), as_text(by_name.last(REPLAY_OF))
        return failure._replace(replay_id=replay_id, replay_of=replay_of)
    return failure


def source_timestamp_ms_of(failure: Failure, timestamp_ms: int) -> int | None:
    """When the record was written at its first origin. `timestamp_ms` is the dead letter's own time.

    Some dialects say it in a header; others keep the record's timestamp, which is that of the origin unless the record
    failed more than once.
    """
    if failure.source_timestamp_ms is not None:
        return failure.source_timestamp_ms
    source = (failure.source_topic, failure.source_partition, failure.source_offset)
    newest = (failure.newest_topic, failure.newest_partition, failure.newest_offset)
    return timestamp_ms if failure.dialect in _KEEP_TIMESTAMP and source == newest else None


def why_not_replayed(headers: Headers, key: bytes | None, value: bytes | None) -> str:
    """Why a replay of this dead letter would send something else than what failed; empty when it can be sent."""
    if key is not None or value is not None:
        return ""
    failure = read_failure(headers)
    if failure.dialect != share_group.DIALECT.name:
        return ""
    place = f"{failure.newest_topic or 'an unknown topic'}[{failure.newest_partition}] offset {failure.newest_offset}"
    return f"the share group's dead letter has no body; the record itself is at {place}, as long as Kafka keeps it"


def binary_number_of(name: str, value: bytes | None) -> int | None:
    """The number in a header that is known to hold a binary one; None when it does not."""
    read = _NUMBERS.get(name)
    return read(value) if read else None


def _oldest_first(headers: ByName) -> list[Dialect]:
    """The dialects spoken, the first to fail first.

    Each appends its headers, so the newest ends last. One that prepends stands first whether it came first or last.
    """
    # Where each ends; they are in the order of where they begin.
    ends = {
        speaker: place
        for place, (name, _) in enumerate(headers.in_order)
        if (speaker := _SPEAKERS.get(name)) is not None
    }
    spoken = [_BY_NAME[name] for name in ends if _BY_NAME[name].needed <= headers.names]
    if len(spoken) < 2:
        return spoken
    newest = max(spoken, key=lambda each: ends[each.name])
    prepending = next((each for each in spoken if each.prepends), newest)
    if prepending is not newest and _failed_after(prepending, newest, ends[newest.name], headers):
        newest = prepending
    return [each for each in spoken if each is not newest] + [newest]


def _failed_after(prepending: Dialect, other: Dialect, end: int, headers: ByName) -> bool:
    """Whether the one that prepends came last: a replay or a higher offset of the same partition tells.

    `end` is the place of the other's last header. When nothing tells, the other one is taken for the newest.
    """
    replayed_at = [place for place, (name, _) in enumerate(headers.in_order) if name == REPLAY_ID]
    if replayed_at:
        return replayed_at[-1] > end
    late, early = prepending.read(headers), other.read(headers)
    if None in (late.newest_offset, early.newest_offset):
        return False
    same = (late.newest_topic, late.newest_partition) == (early.newest_topic, early.newest_partition)
    return same and (late.newest_offset or 0) > (early.newest_offset or 0)


def _newest_with_origin(spoken: list[Dialect], headers: ByName) -> Failure:
    """The newest failure with the place of the oldest one. The four fields are of one dialect, never mixed."""
    if not spoken:
        return Failure(dialect=NO_DIALECT)
    newest = spoken[-1].read(headers)
    by_age = [newest if each.name == spoken[-1].same_places_as else each.read(headers) for each in spoken[:-1]] + [
        newest
    ]
    origin = next((failure for failure in by_age if failure.source_topic), by_age[0])
    if origin is newest:
        return newest
    return newest._replace(
        source_topic=origin.source_topic,
        source_partition=origin.source_partition,
        source_offset=origin.source_offset,
        source_timestamp_ms=origin.source_timestamp_ms,
    )


def reason_of(failure: Failure, value: bytes | None) -> str:
    """Why the record is a dead letter, in words: the dialect's message, else the best there is. Never empty."""
    if failure.message and failure.message.strip():
        return failure.message
    if failure.error_class and failure.error_class.strip():
        return failure.error_class
    if failure.dialect != NO_DIALECT:
        return f"{failure.dialect} gives no reason"
    return "no failure headers, no value" if value is None else "no failure headers"
