"""Which records of Kafka the buffer knows nothing of.

Each must be an order, parked, on its way, a dead letter or passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from pipeline.buffer.contract import Role
from pipeline.buffer.sqlite.connection import OFFSET_BITS, connect_reader, offset_of, record_id, translated_errors
from pipeline.buffer.sqlite.rows import json_cells
from pipeline.buffer.sqlite.stores.passed_over import passed_over_among

CHUNK_RECORDS = 5_000


class _Asked(NamedTuple):
    """A record, and the dead letter's or the replay's id that it would have."""

    record: int
    name: str | None


class WithoutOutcome(NamedTuple):
    """A replay that was read, and the state that the ledger has it in."""

    offset: int
    state: str


class StoredRecord(NamedTuple):
    """What a table of the buffer holds of a record."""

    table: str
    offset: int
    key: bytes | None
    value: bytes | None


_CELLS = json_cells(_Asked)
_ALL_ASKED = f"WITH asked AS (SELECT {_CELLS['record']} AS record, {_CELLS['name']} AS name FROM json_each(?)) "
_ASKED = _ALL_ASKED + "SELECT record FROM asked "
_UNACCOUNTED = (
    _ASKED + "WHERE NOT EXISTS (SELECT 1 FROM order_rows WHERE record_id = record) "
    "AND NOT EXISTS (SELECT 1 FROM retries WHERE record_id = record) "
    "AND NOT EXISTS (SELECT 1 FROM outbox WHERE record_id = record) "
    "AND NOT EXISTS (SELECT 1 FROM dead_letter_rows WHERE dead_letter_id IN (stored_name(name), name)) "
    "AND NOT EXISTS (SELECT 1 FROM dead_letter_rows WHERE failure_id = name)"
)
_UNCOLLECTED = (
    _ASKED + "WHERE NOT EXISTS (SELECT 1 FROM dead_letter_rows WHERE record_id = record) "
    "AND NOT EXISTS (SELECT 1 FROM dead_letter_copies WHERE record_id = record) "
    # Before that offset, copies were left out without a trace.
    f"AND (record & {(1 << OFFSET_BITS) - 1}) >= coalesce((SELECT copies_from FROM partitions "
    f"WHERE partition_ref = record >> {OFFSET_BITS}), 0)"
)


# A replay that the processor has read has an outcome, or its record is parked.
_WITHOUT_OUTCOME = (
    _ALL_ASKED + "SELECT record, state FROM asked JOIN job_items ON replay_id = name "
    "WHERE state NOT IN ('recovered', 'dead_again') AND NOT EXISTS (SELECT 1 FROM retries WHERE record_id = record)"
)
_STORED = {
    "processor": {"retries": "retries", "outbox": "outbox"},
    "collector": {
        "dead_letters": "dead_letter_rows",
        "dead_letter_copies": "(SELECT dead_letter_copies.record_id, key, value FROM dead_letter_copies "
        "JOIN dead_letter_rows ON id = dead_letter_copies.dead_letter_id)",
    },
}
"""What holds a record's bytes, by what it is called, and what to select them from."""


def unaccounted(path: Path, ref: int, offsets: Sequence[int], dead_letter_ids: Sequence[str]) -> list[int]:
    """Those offsets of a processor's partition that nothing is known of.

    They are neither accepted, parked, in the outbox, a dead letter nor passed over. `dead_letter_ids[i]` is what
    offset i would be called as a dead letter. What was delivered to the dead-letter topic and is not collected yet is
    among them. Raises BufferUnavailableError, BufferCorruptError, BufferTooNewError.
    """
    return list(_missing(path, _UNACCOUNTED, ref, offsets, dead_letter_ids))


def uncollected(path: Path, ref: int, offsets: Sequence[int]) -> list[int]:
    """Those offsets of a collector's partition that are neither a dead letter nor noted as the copy of one.

    Raises BufferUnavailableError, BufferCorruptError, BufferTooNewError.
    """
    return list(_missing(path, _UNCOLLECTED, ref, offsets, [None] * len(offsets)))


def replays_without_outcome(path: Path, ref: int, replays: Sequence[tuple[int, str]]) -> list[WithoutOutcome]:
    """Those of `replays` (offset, replay id) that have no outcome in the ledger.

    All of them were read by the processor. What the ledger does not know is not among them.
    Raises BufferUnavailableError, BufferCorruptError, BufferTooNewError.
    """
    asked = json.dumps([_Asked(record_id(ref, offset), name) for offset, name in replays])
    with closing(connect_reader(path)) as connection, translated_errors(path):
        return [
            WithoutOutcome(offset_of(record), state) for record, state in connection.execute(_WITHOUT_OUTCOME, (asked,))
        ]


def stored_bytes(path: Path, role: Role, ref: int, first: int, last: int) -> Iterator[StoredRecord]:
    """What the buffer holds of a partition's offsets from `first` to `last`.

    Of a processor's partition that is what is parked or on its way, of a collector's the dead letters; a copy has the
    bytes of the dead letter that it is a copy of.
    Raises BufferUnavailableError, BufferCorruptError, BufferTooNewError.
    """
    span = (record_id(ref, first), record_id(ref, last))
    with closing(connect_reader(path)) as connection, translated_errors(path):
        for table, source in _STORED[role].items():
            for record, key, value in connection.execute(
                f"SELECT record_id, key, value FROM {source} WHERE record_id BETWEEN ? AND ? ORDER BY 1", span
            ):
                yield StoredRecord(table, offset_of(record), key, value)


def _missing(path: Path, sql: str, ref: int, offsets: Sequence[int], names: Sequence[str | None]) -> Iterator[int]:
    asked = [_Asked(record_id(ref, offset), name) for offset, name in zip(offsets, names, strict=True)]
    with closing(connect_reader(path)) as connection, translated_errors(path):
        for start in range(0, len(asked), CHUNK_RECORDS):
            chunk = json.dumps(asked[start : start + CHUNK_RECORDS])
            missing = [record for (record,) in connection.execute(sql, (chunk,))]
            # Only records of a processor's partition are passed over.
            passed_over = passed_over_among(connection, missing)
            yield from (offset_of(record) for record in missing if record not in passed_over)
