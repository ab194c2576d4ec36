"""Arroyo (Sentry): partition and offset as text, no topic and no reason."""

from __future__ import annotations

from pipeline.headers.dialect import Dialect
from pipeline.headers.values import HeadersByName, as_number, as_partition
from pipeline.records import Failure

PARTITION = "original_partition"
OFFSET = "original_offset"


def read(headers: HeadersByName) -> Failure:
    """The first position is the origin, the last the newest failure."""
    return Failure(
        dialect="arroyo",
        source_partition=as_partition(headers.first(PARTITION)),
        source_offset=as_number(headers.first(OFFSET)),
        newest_partition=as_partition(headers.last(PARTITION)),
        newest_offset=as_number(headers.last(OFFSET)),
    )


_POSITION = frozenset({PARTITION, OFFSET})
DIALECT = Dialect(name="arroyo", header_names=_POSITION, read=read, header_order="appended", required=_POSITION)
