"""Dead letters of a group by the hour in which they failed: for the usual rate and the chart of a group.

The collector adds those of a batch at once; triggers follow a dead letter that is moved or pruned. A failure that is
said to be later than its collection counts for that.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable

from pipeline.buffer.group_contract import HOUR_MS
from pipeline.buffer.sqlite.bulk_insert import BulkInsert

HOURS_AT_ONCE = 1000
_HOURS = BulkInsert(
    "group_hours",
    ("fingerprint", "hour_ms", "dead_letters"),
    "ON CONFLICT (fingerprint, hour_ms) DO UPDATE SET dead_letters = dead_letters + excluded.dead_letters",
)
HOUR_OF = f"min(failed_at_ms, received_at_ms) / {HOUR_MS} * {HOUR_MS}"
"""The hour of a row, in SQL."""


def hour_of(at_ms: int) -> int:
    """When the hour of this time began."""
    return at_ms - at_ms % HOUR_MS


def count_hours(connection: sqlite3.Connection, failures: Iterable[tuple[str, int, int]]) -> None:
    """Counts new dead letters: of each its fingerprint, and when it failed and was collected."""
    (from_ms,) = connection.execute("SELECT from_ms FROM group_hours_counted").fetchone()
    counts = Counter([(fingerprint, hour_of(min(failed, received))) for fingerprint, failed, received in failures])
    _HOURS.insert(connection, ((*key, count) for key, count in counts.items() if key[1] >= from_ms))


def has_old_hours(connection: sqlite3.Connection, before_ms: int) -> bool:
    """Whether there is anything to drop."""
    found = connection.execute("SELECT 1 FROM group_hours WHERE hour_ms < ? LIMIT 1", (hour_of(before_ms),))
    return found.fetchone() is not None


def prune_hours(connection: sqlite3.Connection, before_ms: int) -> int:
    """Drops the next few counts of hours that ended before then; returns how many. None is added from here on."""
    from_ms = hour_of(before_ms)
    connection.execute("UPDATE group_hours_counted SET from_ms = ? WHERE from_ms < ?", (from_ms, from_ms))
    return connection.execute(
        "DELETE FROM group_hours WHERE (fingerprint, hour_ms) IN "
        "(SELECT fingerprint, hour_ms FROM group_hours WHERE hour_ms < ? LIMIT ?)",
        (from_ms, HOURS_AT_ONCE),
    ).rowcount
