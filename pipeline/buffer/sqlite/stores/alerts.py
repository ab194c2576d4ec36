"""Alerts, events and upkeep."""

from __future__ import annotations

import sqlite3
from typing import Literal

from pipeline.buffer.contract import (
    AlertWindow,
    BrakeLimit,
    FiringAlert,
    LostOffsets,
    PendingNotification,
    StoppedTopic,
)
from pipeline.buffer.sqlite.connection import WriterConnection, atomic, reading
from pipeline.buffer.sqlite.rows import RowsOf
from pipeline.buffer.sqlite.stores.brakes import count_judged, resume_topics, stopped_topics

TO_BE_SENT = "to be sent"
"""An alert's notice until people are notified, or until it is known why not."""
EVENTS_KEPT = 1000
SECONDS_AT_ONCE = 2000
_FIRING = RowsOf(FiringAlert)
_ALERT_WINDOW = RowsOf(
    AlertWindow,
    orders="(SELECT coalesce(sum(orders), 0) FROM flow_seconds WHERE second_ms >= :from_ms)",
    dead_letters="(SELECT coalesce(sum(dead_letters), 0) FROM failure_seconds WHERE second_ms >= :from_ms)",
)
_LOST = RowsOf(LostOffsets, offsets="sum(lost_offsets.next_offset - first_offset)")
_PRUNE_SECONDS = tuple(
    f"DELETE FROM {table} WHERE second_ms IN (SELECT second_ms FROM {table} WHERE second_ms < ? LIMIT ?)"
    for table in ("flow_seconds", "failure_seconds")
)


_NEWEST_OF_SUBJECT = (
    "SELECT message FROM events WHERE role = ?1 AND substr(message, 1, length(?2)) = ?2 ORDER BY id DESC LIMIT 1"
)


class SqliteWatchStore:
    """The contract's WatchStore on SQLite."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def alert_window(self, from_ms: int) -> AlertWindow:
        """See WatchStore."""
        with reading(self._connection):
            row = self._connection.execute(f"SELECT {_ALERT_WINDOW.sql}", {"from_ms": from_ms}).fetchone()
        return _ALERT_WINDOW.read(row)

    def lost_offsets(self) -> list[LostOffsets]:
        """See WatchStore."""
        with reading(self._connection):
            rows = self._connection.execute(
                f"SELECT {_LOST.sql} FROM lost_offsets JOIN partitions USING (partition_ref) "
                "JOIN topics USING (topic_ref) WHERE accepted_at_ms IS NULL GROUP BY topic ORDER BY topic"
            )
            return _LOST.read_all(rows)

    def accept_losses(self, now_ms: int) -> int:
        """See WatchStore."""
        with atomic(self._connection) as connection:
            accepted = connection.execute(
                "UPDATE lost_offsets SET accepted_at_ms = ? WHERE accepted_at_ms IS NULL "
                "RETURNING next_offset - first_offset",
                (now_ms,),
            ).fetchall()
        return sum(offsets for (offsets,) in accepted)

    def count_judged(self, topic: str, accepted: int, failed: int, limit: BrakeLimit, now_ms: int) -> None:
        """See WatchStore."""
        with atomic(self._connection) as connection:
            count_judged(connection, topic, accepted, failed, limit, now_ms)

    def stopped(self) -> list[StoppedTopic]:
        """See WatchStore."""
        with reading(self._connection):
            return stopped_topics(self._connection)

    def resume(self, by: str, now_ms: int) -> list[str]:
        """See WatchStore."""
        with atomic(self._connection) as connection:
            return resume_topics(connection, by, now_ms)

    def fire(
        self, rule: str, value: float, threshold: float, message: str, now_ms: int, notify: bool = False
    ) -> int | None:
        """See WatchStore."""
        with atomic(self._connection) as connection:
            firing = connection.execute(
                "UPDATE alerts SET value = max(value, ?), message = ? WHERE rule = ? AND state = 'firing'",
                (value, message, rule),
            ).rowcount
            if firing:
                return None
            (alert_id,) = connection.execute(
                "INSERT INTO alerts (rule, state, started_at_ms, value, threshold, message, notice) "
                "VALUES (?, 'firing', ?, ?, ?, ?, ?) RETURNING id",
                (rule, now_ms, value, threshold, message, TO_BE_SENT if notify else None),
            ).fetchone()
            return int(alert_id)

    def firing(self) -> list[FiringAlert]:
        """See WatchStore."""
        with reading(self._connection):
            rows = self._connection.execute(f"SELECT {_FIRING.sql} FROM alerts WHERE state = 'firing'")
            return _FIRING.read_all(rows)

    def resolve(self, rule: str, now_ms: int, notify: bool = False) -> int | None:
        """See WatchStore."""
        with reading(self._connection):
            firing = self._connection.execute(
                "SELECT id FROM alerts WHERE rule = ? AND state = 'firing'", (rule,)
            ).fetchone()
        if firing is None:
            return None
        with atomic(self._connection) as connection:
            connection.execute(
                "UPDATE alerts SET state = 'resolved', ended_at_ms = ?, notice = coalesce(?, notice) WHERE id = ?",
                (now_ms, TO_BE_SENT if notify else None, firing[0]),
            )
        return int(firing[0])

    def pending_notifications(self) -> list[PendingNotification]:
        """See WatchStore."""
        with reading(self._connection):
            rows = self._connection.execute(
                "SELECT id, message, state = 'resolved' FROM alerts WHERE notice = ? ORDER BY id", (TO_BE_SENT,)
            ).fetchall()
        return [PendingNotification(alert_id, message, bool(over)) for alert_id, message, over in rows]

    def noticed(self, alert_id: int, notice: str) -> None:
        """See WatchStore."""
        with atomic(self._connection) as connection:
            connection.execute("UPDATE alerts SET notice = ? WHERE id = ?", (notice, alert_id))

    def event(self, role: str, level: Literal["info", "warning", "error"], message: str, now_ms: int) -> None:
        """See WatchStore."""
        with atomic(self._connection) as connection:
            add_event(connection, role, level, message, now_ms)

    def event_of_change(self, role: str, subject: str, message: str, now_ms: int) -> None:
        """See WatchStore."""
        with atomic(self._connection) as connection:
            found = connection.execute(_NEWEST_OF_SUBJECT, (role, subject)).fetchone()
            if found is None or found[0] != message:
                add_event(connection, role, "info", message, now_ms)

    def prune_seconds(self, before_ms: int) -> None:
        """See WatchStore."""
        for statement in _PRUNE_SECONDS:
            removed = SECONDS_AT_ONCE
            while removed >= SECONDS_AT_ONCE:
                # A few at a time: the processor must not wait for a big deletion.
                with atomic(self._connection) as connection:
                    removed = connection.execute(statement, (before_ms, SECONDS_AT_ONCE)).rowcount


def add_event(connection: sqlite3.Connection, role: str, level: str, message: str, now_ms: int) -> None:
    """Leaves a note for the operator and drops the oldest beyond those that are kept."""
    connection.execute(
        "INSERT INTO events (at_ms, role, level, message) VALUES (?, ?, ?, ?)", (now_ms, role, level, message)
    )
    connection.execute("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", (EVENTS_KEPT,))
