"""The brake: what was judged of a topic lately, and whether reading of it is stopped."""

from __future__ import annotations

import sqlite3

from pipeline.buffer.contract import BrakeLimit, StoppedTopic
from pipeline.buffer.sqlite.rows import RowsOf

SECOND_MS = 1000
_STOPPED = RowsOf(StoppedTopic)


def count_judged(
    connection: sqlite3.Connection, topic: str, accepted: int, failed: int, limit: BrakeLimit, now_ms: int
) -> None:
    """Adds to the topic's window, and stops reading of it when the limit is reached. One that is stopped stays so."""
    connection.execute("DELETE FROM judged_seconds WHERE second_ms < ?", (now_ms - limit.window_ms,))
    connection.execute(
        "INSERT INTO judged_seconds (topic, second_ms, accepted, failed) VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET accepted = accepted + excluded.accepted, failed = failed + excluded.failed",
        (topic, now_ms - now_ms % SECOND_MS, accepted, failed),
    )
    connection.execute(
        "INSERT INTO brakes (topic, stopped_at_ms, accepted, failed) "
        "SELECT topic, :now_ms, sum(accepted), sum(failed) FROM judged_seconds WHERE topic = :topic "
        "GROUP BY topic HAVING sum(accepted + failed) >= :records AND sum(failed) >= :share * sum(accepted + failed) "
        "ON CONFLICT DO NOTHING",
        {"topic": topic, "now_ms": now_ms, "records": limit.records, "share": limit.share},
    )


def stopped_topics(connection: sqlite3.Connection) -> list[StoppedTopic]:
    """The topics that are not read now."""
    return _STOPPED.read_all(
        connection.execute(f"SELECT {_STOPPED.sql} FROM brakes WHERE resumed_at_ms IS NULL ORDER BY topic")
    )


def resume_topics(connection: sqlite3.Connection, by: str, now_ms: int) -> list[str]:
    """Lets all be read again, each with an empty window; returns which were stopped."""
    resumed = connection.execute(
        "UPDATE brakes SET resumed_at_ms = ?, resumed_by = ? WHERE resumed_at_ms IS NULL RETURNING topic",
        (now_ms, by),
    ).fetchall()
    connection.execute("DELETE FROM judged_seconds")
    return sorted(topic for (topic,) in resumed)
