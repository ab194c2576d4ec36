"""Dead letters as the collector brings them, and triage."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pipeline.buffer.connection import atomic
from pipeline.buffer.contract import Advance, DeadLetterRow
from pipeline.buffer.flow import advance, count_seconds_and_minutes, set_outcome
from pipeline.crash_points import reached
from pipeline.headers.codec import headers_to_json

_COLUMNS = (
    "topic",
    "partition",
    '"offset"',
    "source_topic",
    "source_partition",
    "source_offset",
    "source_timestamp_ms",
    "key",
    "value",
    "headers",
    "order_id",
    "customer_id",
    "product",
    "price_cents",
    "created_at_ms",
    "error_class",
    "reason",
    "stacktrace",
    "rule",
    "stage",
    "consumer_group",
    "attempts",
    "dialect",
    "fingerprint",
    "timestamp_ms",
    "first_failed_at_ms",
    "failed_at_ms",
    "received_at_ms",
    "status_at_ms",
    "replay_of",
    "replays",
    "dead_letter_id",
    "record_id",
)
_INSERT = f"INSERT INTO dead_letters ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"


class SqliteDeadLetterStore:
    """The contract's DeadLetterStore on SQLite."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def collect(self, advances: Sequence[Advance], rows: Sequence[DeadLetterRow], now_ms: int) -> int:
        """See DeadLetterStore."""
        with atomic(self._connection, self._path) as connection:
            # 1. The guard: nobody else has read these partitions on.
            advance(connection, advances)
            # 2. What was not known yet; triggers keep counts and groups with it.
            new = _collect_unknown(connection, rows, now_ms)
            # 3. The figures over time.
            if new:
                count_seconds_and_minutes(connection, now_ms, dead_letters=new)
            reached("collector: dead letters not committed")
        return new

    def triage(self, ids: Sequence[int], status: Literal["open", "discarded"], now_ms: int) -> int:
        """See DeadLetterStore."""
        before = "discarded" if status == "open" else "open"
        with atomic(self._connection, self._path) as connection:
            return connection.execute(
                "UPDATE dead_letters SET status = ?, status_at_ms = ? WHERE id IN (SELECT value FROM json_each(?)) "
                "AND status = ?",
                (status, now_ms, json.dumps(list(ids)), before),
            ).rowcount


def _collect_unknown(connection: sqlite3.Connection, rows: Sequence[DeadLetterRow], now_ms: int) -> int:
    """Inserts the rows that are not there yet; returns how many."""
    ids = json.dumps([row.dead_letter_id for row in rows])
    known = {
        name
        for (name,) in connection.execute(
            "SELECT dead_letter_id FROM dead_letters WHERE dead_letter_id IN (SELECT value FROM json_each(?))", (ids,)
        )
    }
    groups: set[str] = set()
    new = 0
    for row in rows:
        if row.dead_letter_id not in known:
            known.add(row.dead_letter_id)
            if row.fingerprint not in groups:
                groups.add(row.fingerprint)
                _make_group(connection, row)
            _collect_one(connection, row, now_ms)
            new += 1
    return new


def _make_group(connection: sqlite3.Connection, row: DeadLetterRow) -> None:
    connection.execute(
        "INSERT INTO dead_letter_groups (fingerprint, error_class, title, source_topic, first_seen_ms, last_seen_ms) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (row.fingerprint, row.error_class, row.title, row.source_topic, row.failed_at_ms, row.failed_at_ms),
    )


def _collect_one(connection: sqlite3.Connection, row: DeadLetterRow, now_ms: int) -> None:
    replay_of, replays = _life_before(connection, row.replay_of) if row.replay_of is not None else (None, 0)
    connection.execute(_INSERT, _values(row, replay_of, replays, now_ms))
    if replay_of is not None:
        _note_failed_replay(connection, replay_of, row.replay_id, now_ms)


def _life_before(connection: sqlite3.Connection, replay_of: str) -> tuple[int | None, int]:
    """The dead letter whose replay failed again, and how often that record was replayed."""
    found = connection.execute("SELECT id, replays FROM dead_letters WHERE dead_letter_id = ?", (replay_of,)).fetchone()
    return found if found is not None else (None, 0)


def _note_failed_replay(connection: sqlite3.Connection, dead_letter: int, replay_id: str | None, now_ms: int) -> None:
    """Whoever failed it told nobody but the dead-letter topic: an application of its own, or we before a crash.

    A replay whose outcome is known already stays as it is, and so does a later replay of the same dead letter. Without
    a `replay_id`, whatever was sent is meant.
    """
    failed = connection.execute(
        "UPDATE job_items SET state = 'dead_again' "
        "WHERE dead_letter_id = ? AND replay_id = coalesce(?, replay_id) AND state IN ('sending', 'sent')",
        (dead_letter, replay_id),
    ).rowcount
    if failed:
        set_outcome(connection, dead_letter, "dead_again", now_ms)


def _values(row: DeadLetterRow, replay_of: int | None, replays: int, now_ms: int) -> tuple[object, ...]:
    order = row.order
    return (
        row.topic,
        row.partition,
        row.offset,
        row.source_topic,
        row.source_partition,
        row.source_offset,
        row.source_timestamp_ms,
        row.key,
        row.value,
        headers_to_json(row.headers),
        order and order.order_id,
        order and order.customer_id,
        order and order.product,
        order and order.price_cents,
        order and order.created_at_ms,
        row.error_class,
        row.reason,
        row.stacktrace,
        row.rule,
        row.stage,
        row.consumer_group,
        row.attempts,
        row.dialect,
        row.fingerprint,
        row.timestamp_ms,
        row.first_failed_at_ms,
        row.failed_at_ms,
        now_ms,
        now_ms,
        replay_of,
        replays,
        row.dead_letter_id,
        row.record_id,
    )
