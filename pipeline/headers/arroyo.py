"""Arroyo (Sentry): partition and offset as text, no topic and no reason."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import as_number, as_partition, first, last
from pipeline.records import Failure, Headers

PARTITION = "original_partition"
OFFSET = "original_offset"


def read(headers: Headers) -> Failure:
    """The first place is the origin, the last the newest failure."""
    return Failure(
        dialect="arroyo",
        source_partition=as_partition(first(headers, PARTITION)),
        source_offset=as_number(first(headers, OFFSET)),
        newest_partition=as_partition(last(headers, PARTITION)),
        newest_offset=as_number(last(headers, OFFSET)),
    )


DIALECT = Dialect("arroyo", frozenset({PARTITION, OFFSET}), read, needed=frozenset({PARTITION, OFFSET}))
