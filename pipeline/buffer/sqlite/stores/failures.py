"""Dead letters by the time of their failure, as the alert on their share counts them."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence

from pipeline.buffer.contract import DeadLetterRow
from pipeline.buffer.sqlite.connection import ref_of

SECOND_MS = 1000
DAY_MS = 86_400_000


def count_failures(connection: sqlite3.Connection, new: Sequence[DeadLetterRow], now_ms: int) -> None:
    """Adds dead letters to the seconds in which they failed.

    Without those that were there before their partition was met, and those that failed more than a day ago: whoever is
    to be alarmed of them was, or came too late.
    """
    refs = {ref_of(row.record_id) for row in new if row.record_id is not None}
    ends = dict(
        connection.execute(
            "SELECT partition_ref, end_offset FROM first_looks WHERE partition_ref IN (SELECT value FROM json_each(?))",
            (json.dumps(list(refs)),),
        )
    )
    counted = [row for row in new if not _was_there_before(row, ends)] if ends else new
    failed = [_failed_at_ms(row, now_ms) for row in counted]
    seconds = Counter([at_ms - at_ms % SECOND_MS for at_ms in failed if at_ms > now_ms - DAY_MS])
    connection.executemany(
        "INSERT INTO failure_seconds VALUES (?, ?) "
        "ON CONFLICT (second_ms) DO UPDATE SET dead_letters = dead_letters + excluded.dead_letters",
        seconds.items(),
    )


def _was_there_before(row: DeadLetterRow, ends: dict[int, int]) -> bool:
    if row.record_id is None or row.offset is None:
        return False  # its topic never took it
    return row.offset < ends.get(ref_of(row.record_id), 0)


def _failed_at_ms(row: DeadLetterRow, now_ms: int) -> int:
    # One that failed in the future has another clock.
    return now_ms if row.failed_at_ms is None else min(row.failed_at_ms, now_ms)
