"""Records that were passed over: a bit each, in blocks of 8,192 offsets.

A mere count could not say which records they are: `check` would have to believe of any record that is nowhere that it
was passed over, and a topic that is read again from its middle could not tell which ones count anew.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from pipeline.buffer.reread_contract import Cut
from pipeline.buffer.sqlite.connection import OFFSET_BITS, record_id, ref_of

BLOCK_BITS = 13
"""A block's row is 1 kB: a small one to write again with each batch, and few of them for many records."""
BLOCKS_AT_ONCE = 500
_IN_BLOCK = (1 << BLOCK_BITS) - 1
_PUT = (
    "INSERT INTO passed_over_blocks (block, flags) VALUES (?, ?) "
    "ON CONFLICT (block) DO UPDATE SET flags = excluded.flags"
)
_COUNT = "UPDATE partitions SET passed_over = passed_over + ? WHERE partition_ref = ?"


def note_passed_over(connection: sqlite3.Connection, records: Sequence[int]) -> None:
    """Notes and counts these records, by their ids, in the transaction that is open."""
    import numpy as np  # takes 40 ms, and only a processor notes any

    ids = np.unique(np.array(records, np.int64))
    blocks, starts = np.unique(ids >> BLOCK_BITS, return_index=True)
    added: Counter[int] = Counter()
    for block, of_block in zip(blocks.tolist(), np.split(ids, starts[1:].tolist()), strict=True):
        flags = np.zeros(1 << BLOCK_BITS, np.bool_)
        flags[of_block & _IN_BLOCK] = True
        before = _flags_of(connection, block)
        after = before | int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")
        connection.execute(_PUT, (block, _as_blob(after)))
        added[ref_of(block << BLOCK_BITS)] += after.bit_count() - before.bit_count()
    connection.executemany(_COUNT, [(count, ref) for ref, count in added.items()])


def take_passed_over(connection: sqlite3.Connection, cuts: Iterable[Cut]) -> int:
    """Takes the next few records from these offsets on out of the blocks and of the count; returns how many."""
    for cut in cuts:
        first = record_id(cut.ref, cut.offset)
        taken = _take_part(connection, first) + _take_whole(connection, cut.ref, (first + _IN_BLOCK) >> BLOCK_BITS)
        if taken:
            connection.execute(_COUNT, (-taken, cut.ref))
            return taken
    return 0


def passed_over_among(connection: sqlite3.Connection, records: Collection[int]) -> set[int]:
    """Those of these records that were passed over."""
    rows = connection.execute(
        "SELECT block, flags FROM passed_over_blocks WHERE block IN (SELECT value FROM json_each(?))",
        (json.dumps(list({record >> BLOCK_BITS for record in records})),),
    )
    flags_of = dict(rows)
    return {record for record in records if is_passed_over(flags_of.get(record >> BLOCK_BITS), record)}


def is_passed_over(flags: Any, record: int) -> bool:
    """Whether a record's bit is set in the flags of its block; none is in what is no blob."""
    place = record & _IN_BLOCK
    return isinstance(flags, bytes) and len(flags) > place >> 3 and bool(flags[place >> 3] >> (place & 7) & 1)


def last_passed_over(block: int, flags: bytes) -> int:
    """The last record of a block that was passed over."""
    return (block << BLOCK_BITS) + int.from_bytes(flags, "little").bit_length() - 1


def count_flags(flags: Any) -> int:
    """How many bits are set; none in what is no blob."""
    return int.from_bytes(flags, "little").bit_count() if isinstance(flags, bytes) else 0


def _take_part(connection: sqlite3.Connection, first: int) -> int:
    """The records from `first` to the end of its block, where that is not a whole one."""
    block, place = first >> BLOCK_BITS, first & _IN_BLOCK
    if not place:
        return 0
    before = _flags_of(connection, block)
    after = before & (1 << place) - 1
    if after != before:
        connection.execute(_PUT, (block, _as_blob(after)))
    return (before ^ after).bit_count()


def _take_whole(connection: sqlite3.Connection, ref: int, first_block: int) -> int:
    rows = connection.execute(
        "DELETE FROM passed_over_blocks WHERE block IN ("
        "SELECT block FROM passed_over_blocks WHERE block >= ? AND block < ? ORDER BY block LIMIT ?) RETURNING flags",
        (first_block, ref + 1 << OFFSET_BITS - BLOCK_BITS, BLOCKS_AT_ONCE),
    ).fetchall()
    return sum(count_flags(flags) for (flags,) in rows)


def _flags_of(connection: sqlite3.Connection, block: int) -> int:
    row = connection.execute("SELECT flags FROM passed_over_blocks WHERE block = ?", (block,)).fetchone()
    return 0 if row is None else int.from_bytes(row[0], "little")


def _as_blob(flags: int) -> bytes:
    """As many bytes as the last set bit needs."""
    return flags.to_bytes((flags.bit_length() + 7) // 8, "little")
