"""Dead letters as the collector brings them, and triage."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter
from typing import Literal, NamedTuple

from pipeline.buffer.contract import Advance, DeadLetterRow
from pipeline.buffer.sqlite.bulk_insert import BulkInsert
from pipeline.buffer.sqlite.connection import WriterConnection, atomic
from pipeline.buffer.sqlite.stores.chains import settle_passed_on
from pipeline.buffer.sqlite.stores.flow import advance, count_seconds_and_minutes, set_outcomes
from pipeline.crash_points import reached
from pipeline.headers.codec import headers_to_json
from pipeline.orders.fields import DEAD_LETTER_FIELDS

_OF_ROW = (
    "record_id",
    "dead_letter_id",
    "topic",
    "partition",
    "offset",
    "source_topic",
    "source_partition",
    "source_offset",
    "source_timestamp_ms",
    "key",
    "value",
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
)
"""Columns that a DeadLetterRow has as they are."""
_ORDER = tuple(field.name for field in DEAD_LETTER_FIELDS)
_OTHERS = ("id", "replay_of", "replays", "headers", "received_at_ms", "status_at_ms")
_COLUMNS = (*_OF_ROW, *_ORDER, *_OTHERS)
_of_row, _of_order = attrgetter(*_OF_ROW), attrgetter(*_ORDER)
_NO_ORDER = (None,) * len(_ORDER)
_ROWS = BulkInsert("dead_letters", _COLUMNS)
_GROUPS = BulkInsert(
    "dead_letter_groups",
    ("fingerprint", "error_class", "title", "source_topic", "total", "open", "first_seen_ms", "last_seen_ms"),
    "ON CONFLICT (fingerprint) DO UPDATE SET total = total + excluded.total, open = open + excluded.open, "
    "first_seen_ms = min(first_seen_ms, excluded.first_seen_ms), "
    "last_seen_ms = max(last_seen_ms, excluded.last_seen_ms)",
)


class _Life(NamedTuple):
    """A dead letter's key, and how often its record was replayed so far."""

    id: int
    replays: int


class SqliteDeadLetterStore:
    """The contract's DeadLetterStore on SQLite."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def collect(self, advances: Sequence[Advance], rows: Sequence[DeadLetterRow], now_ms: int) -> int:
        """See DeadLetterStore."""
        with atomic(self._connection) as connection:
            # 1. The guard: nobody else has read these partitions on.
            advance(connection, advances)
            # 2. What was not known yet.
            lives = _known_lives(connection, rows)
            new = _insert_unknown(connection, rows, lives, now_ms)
            # 3. The figures that count it.
            if new:
                _count(connection, new, now_ms)
            # 4. What it says of replays.
            failed = [(lives[row.replay_of].id, row.replay_id) for row in new if row.replay_of in lives]
            if failed:
                _note_failed_replays(connection, failed, now_ms)
            # 5. Which earlier ones went on to a further dead-letter topic.
            if new:
                settle_passed_on(connection, new, now_ms)
            reached("collector: dead letters not committed")
        return len(new)

    def triage(self, ids: Sequence[int], status: Literal["open", "discarded"], now_ms: int) -> int:
        """See DeadLetterStore."""
        before = "discarded" if status == "open" else "open"
        with atomic(self._connection) as connection:
            return connection.execute(
                "UPDATE dead_letters SET status = ?, status_at_ms = ? WHERE id IN (SELECT value FROM json_each(?)) "
                "AND status = ?",
                (status, now_ms, json.dumps(list(ids)), before),
            ).rowcount


def _known_lives(connection: sqlite3.Connection, rows: Sequence[DeadLetterRow]) -> dict[str | None, _Life]:
    """Those dead letters that these rows are, or are replays of, that are there already."""
    names = {row.dead_letter_id for row in rows} | {row.replay_of for row in rows if row.replay_of is not None}
    found = connection.execute(
        "SELECT dead_letter_id, id, replays FROM dead_letters WHERE dead_letter_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(names)),),
    )
    return {name: _Life(*life) for name, *life in found}


def _insert_unknown(
    connection: sqlite3.Connection, rows: Sequence[DeadLetterRow], lives: dict[str | None, _Life], now_ms: int
) -> list[DeadLetterRow]:
    """Inserts the rows that are not there yet, each linked to the life before it; returns them and adds to `lives`."""
    (last_id,) = connection.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'dead_letters'").fetchone()
    new: list[DeadLetterRow] = []
    cells: list[tuple[object, ...]] = []
    for row in rows:
        if row.dead_letter_id in lives:
            continue
        before = lives.get(row.replay_of)
        life = lives[row.dead_letter_id] = _Life((last_id or 0) + len(new) + 1, before.replays if before else 0)
        order = _NO_ORDER if row.order is None else _of_order(row.order)
        others = (life.id, before and before.id, life.replays, headers_to_json(row.headers), now_ms, now_ms)
        cells.append((*_of_row(row), *order, *others))
        new.append(row)
    _ROWS.insert(connection, cells)
    return new


def _count(connection: sqlite3.Connection, new: Sequence[DeadLetterRow], now_ms: int) -> None:
    count_seconds_and_minutes(connection, now_ms, dead_letters=len(new))
    connection.execute("UPDATE totals SET dead_letters = dead_letters + ?", (len(new),))
    connection.execute(
        "INSERT INTO dead_letter_counts VALUES ('open', ?) "
        "ON CONFLICT (status) DO UPDATE SET dead_letters = dead_letters + excluded.dead_letters",
        (len(new),),
    )
    groups: defaultdict[str, list[DeadLetterRow]] = defaultdict(list)
    for row in new:
        groups[row.fingerprint].append(row)
    _GROUPS.insert(connection, map(_group, groups.values()))


def _group(alike: Sequence[DeadLetterRow]) -> tuple[object, ...]:
    first, times = alike[0], [row.failed_at_ms for row in alike]
    named = (first.fingerprint, first.error_class, first.title, first.source_topic)
    return (*named, len(alike), len(alike), min(times), max(times))


def _note_failed_replays(connection: sqlite3.Connection, failed: Sequence[tuple[int, str | None]], now_ms: int) -> None:
    """Whoever failed them only wrote to the dead-letter topic: an application of its own, or we before a crash.

    `failed`: dead letters that failed again, and in which replay. A replay whose outcome is known already stays as it
    is, and so does a later replay of the same dead letter. Without a replay's id, whatever was sent is meant.
    """
    # No id of ours has a NUL, so what has one is another's.
    in_json = json.dumps([each for each in failed if "\0" not in (each[1] or "")])
    changed = connection.execute(
        "UPDATE job_items SET state = 'dead_again' FROM json_each(?) WHERE dead_letter_id = value ->> 0 "
        "AND replay_id = coalesce(value ->> 1, replay_id) AND state IN ('sending', 'sent') RETURNING dead_letter_id",
        (in_json,),
    ).fetchall()
    set_outcomes(connection, dict.fromkeys((dead_letter for (dead_letter,) in changed), "dead_again"), now_ms)
