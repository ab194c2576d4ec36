"""Dead-letter headers of every dialect we know, one module each, read into one kind of Failure."""

from __future__ import annotations

import dataclasses

from pipeline.headers import (
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
from pipeline.headers.codec import headers_from_json, headers_to_json
from pipeline.headers.dialect import Dialect
from pipeline.headers.orderpulse import (
    REPLAY_OF,
    dead_letter_id_of,
    failure_headers,
    last_text,
    replay_headers,
    replay_id_of,
)
from pipeline.records import Failure, Headers

__all__ = [
    "DIALECTS",
    "NO_DIALECT",
    "dead_letter_id_of",
    "failure_headers",
    "headers_from_json",
    "headers_to_json",
    "last_text",
    "read_failure",
    "reason_of",
    "replay_headers",
    "replay_id_of",
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


def read_failure(headers: Headers) -> Failure:
    """What the headers tell about the failure. Never raises; what they do not tell is None.

    A record that failed in several programs in turn carries the headers of all: each appends its own, so the dialect
    that ends last tells of the newest failure, and the one that begins first names the origin.
    """
    spoken = [(span, dialect) for dialect in DIALECTS if (span := dialect.span(headers))]
    if not spoken:
        failure = Failure(dialect=NO_DIALECT)
    else:
        newest = max(spoken, key=lambda item: item[0][1])[1].read(headers)
        by_age = [dialect.read(headers) for _, dialect in sorted(spoken, key=lambda item: item[0][0])]
        failure = _with_origin(newest, by_age)
    return dataclasses.replace(failure, replay_id=replay_id_of(headers), replay_of=last_text(headers, REPLAY_OF))


def _with_origin(newest: Failure, by_age: list[Failure]) -> Failure:
    """The newest failure with the place of the oldest one. The three fields are of one dialect, never mixed."""
    origin = next((failure for failure in by_age if failure.source_topic), by_age[0])
    return dataclasses.replace(
        newest,
        source_topic=origin.source_topic,
        source_partition=origin.source_partition,
        source_offset=origin.source_offset,
    )


def reason_of(failure: Failure, value: bytes | None) -> str:
    """Why the record is a dead letter, in words: the dialect's message, else the best there is. Never empty."""
    if failure.message and failure.message.strip():
        return failure.message
    if failure.error_class:
        return failure.error_class
    if failure.dialect != NO_DIALECT:
        return f"{failure.dialect} gives no reason"
    return "no failure headers, no value" if value is None else "no failure headers"
