"""Which records of Kafka the buffer knows nothing of: each must be an order, parked, on its way or a dead letter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from pipeline.buffer.connection import connect_reader, offset_of, record_id, translated_errors

CHUNK_RECORDS = 5_000

_ASKED = "WITH asked (record, name) AS (SELECT value ->> 0, value ->> 1 FROM json_each(?)) SELECT record FROM asked "
_UNACCOUNTED = (
    _ASKED + "WHERE NOT EXISTS (SELECT 1 FROM order_rows WHERE record_id = record) "
    "AND NOT EXISTS (SELECT 1 FROM retries WHERE record_id = record) "
    "AND NOT EXISTS (SELECT 1 FROM outbox WHERE record_id = record) "
    "AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE dead_letter_id = name)"
)
_UNCOLLECTED = (
    _ASKED + "WHERE NOT EXISTS (SELECT 1 FROM dead_letters WHERE record_id = record) "
    "AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE dead_letter_id = name)"
)


def unaccounted(path: Path, ref: int, offsets: Sequence[int], dead_letter_ids: Sequence[str]) -> list[int]:
    """Those offsets of a processor's partition that are neither accepted, parked, in the outbox nor a dead letter.

    `dead_letter_ids[i]` is what offset i would be called as a dead letter. What was delivered to the dead-letter topic
    and is not collected yet is among them. Raises BufferUnavailableError, BufferCorruptError, BufferTooNewError.
    """
    return list(_missing(path, _UNACCOUNTED, ref, offsets, dead_letter_ids))


def uncollected(path: Path, ref: int, offsets: Sequence[int], dead_letter_ids: Sequence[str | None]) -> list[int]:
    """Those offsets of a collector's partition that are no dead letter, neither by place nor as the copy of another.

    `dead_letter_ids[i]` is the failure's id at offset i, None where it carries none.
    Raises BufferUnavailableError, BufferCorruptError, BufferTooNewError.
    """
    return list(_missing(path, _UNCOLLECTED, ref, offsets, dead_letter_ids))


def _missing(path: Path, sql: str, ref: int, offsets: Sequence[int], names: Sequence[str | None]) -> Iterator[int]:
    asked = [(record_id(ref, offset), name) for offset, name in zip(offsets, names, strict=True)]
    with closing(connect_reader(path)) as connection, translated_errors(path):
        for start in range(0, len(asked), CHUNK_RECORDS):
            chunk = json.dumps(asked[start : start + CHUNK_RECORDS])
            for (record,) in connection.execute(sql, (chunk,)):
                yield offset_of(record)
