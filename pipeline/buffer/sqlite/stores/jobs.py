"""Jobs, and the ledger of replays: what was asked for, what is on its way, what became of it."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Literal

from pipeline.buffer.contract import Job, LeftOut, ReplayItem, ReplayPreview, Sent, SourceOf, nobody_named
from pipeline.buffer.filters import DeadLetterFilter
from pipeline.buffer.sqlite.connection import WriterConnection, atomic, reading, snapshot
from pipeline.buffer.sqlite.rows import RowsOf, json_cells
from pipeline.buffer.sqlite.search.conditions import Arguments
from pipeline.buffer.sqlite.stores.replayable import TARGET, left_out, replayable
from pipeline.crash_points import reached
from pipeline.errors import UsageError

_JOB = RowsOf(Job)
_PREVIEW = RowsOf(ReplayPreview, dead_letter_id="id", topic=TARGET)
_ITEM = RowsOf(
    ReplayItem,
    dead_letter_id="id",
    public_id="dead_letters.dead_letter_id",
    # An item of an older version has no topic until it was sent.
    topic="coalesce(job_items.topic, source_topic)",
    partition="source_partition",
)
_parts_of_a_record = itemgetter(*map(_ITEM.names.index, ("key", "value", "headers")))
_SENT = json_cells(Sent)
WINDOW_BYTES = 16_000_000
"""What is sent at once is held in memory, however large the records are."""
_UNFINISHED = "state IN ('queued', 'running', 'cancelling')"


class SqliteJobStore:
    """The contract's JobStore on SQLite."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    # -- asking

    def queue_produce(self, params: str, total: int, by: str, request_id: str, now_ms: int) -> int:
        """See JobStore."""
        with atomic(self._connection) as connection:
            return _job_of(connection, request_id) or _new_job(
                connection, "produce", params, total, by, request_id, now_ms
            )

    def queue_replay(
        self,
        params: str,
        which: DeadLetterFilter,
        limit: int | None,
        by: str,
        request_id: str,
        now_ms: int,
        source_of: SourceOf = nobody_named,
    ) -> int | None:
        """See JobStore."""
        with atomic(self._connection) as connection:
            # 1. The same request again is the same job.
            known = _job_of(connection, request_id)
            if known is not None:
                return known
            # 2. The ledger takes what matches at this moment, where it goes, and the status to go back to.
            where, arguments = replayable(connection, which, limit, source_of)
            job_id = _new_job(connection, "replay", params, 0, by, request_id, now_ms)
            total = connection.execute(
                "INSERT INTO job_items (job_id, dead_letter_id, topic, replay_id, status_before) "
                f"SELECT :job_id, id, {TARGET}, :request_id || '-' || id, status FROM dead_letters WHERE {where}",
                arguments | {"job_id": job_id, "request_id": request_id},
            ).rowcount
            if total == 0:
                connection.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
                return None
            # 3. A record goes once, however many of them hold it.
            _send_together(connection, job_id)
            # 4. From here on they are on their way, and no other request can take them.
            connection.execute("UPDATE jobs SET total = ? WHERE id = ?", (total, job_id))
            connection.execute(
                "UPDATE dead_letter_rows SET status = 'replaying', status_at_ms = ?, replays = replays + 1 "
                "WHERE id IN (SELECT dead_letter_id FROM job_items WHERE job_id = ?)",
                (now_ms, job_id),
            )
            return job_id

    def preview_replay(
        self, which: DeadLetterFilter, limit: int | None, source_of: SourceOf = nobody_named
    ) -> Iterator[ReplayPreview]:
        """See JobStore."""
        with reading(self._connection):
            with snapshot(self._connection):
                where, arguments = replayable(self._connection, which, limit, source_of)
            rows = self._connection.execute(
                f"SELECT {_PREVIEW.sql} FROM dead_letters WHERE {where} ORDER BY id", arguments
            )
            for row in rows:
                yield _PREVIEW.read(row)

    def count_left_out(self, which: DeadLetterFilter, limit: int | None, source_of: SourceOf = nobody_named) -> LeftOut:
        """See JobStore."""
        with reading(self._connection), snapshot(self._connection):
            return left_out(self._connection, which, limit, source_of)

    def ask_to_cancel(self, job_id: int, now_ms: int) -> bool:
        """See JobStore."""
        with atomic(self._connection) as connection:
            if connection.execute(
                "UPDATE jobs SET state = 'cancelling' WHERE id = ? AND state IN ('running', 'cancelling')", (job_id,)
            ).rowcount:
                return True
            if connection.execute("SELECT 1 FROM jobs WHERE id = ? AND state = 'queued'", (job_id,)).fetchone():
                _finish(connection, job_id, "cancelled", now_ms, "")
                return True
        return False

    # -- doing

    def get(self, job_id: int) -> Job | None:
        """See JobStore."""
        with reading(self._connection):
            row = self._connection.execute(f"SELECT {_JOB.sql} FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else _JOB.read(row)

    def next_job(self, now_ms: int) -> Job | None:
        """See JobStore."""
        with reading(self._connection):
            row = self._connection.execute(
                f"SELECT {_JOB.sql} FROM jobs WHERE {_UNFINISHED} ORDER BY id LIMIT 1"
            ).fetchone()
        if row is None:
            return None
        job = _JOB.read(row)
        if job.state != "queued":
            return job
        reached("worker: before a job begins")
        with atomic(self._connection) as connection:
            started = connection.execute(
                "UPDATE jobs SET state = 'running', started_at_ms = ? WHERE id = ? AND state = 'queued'",
                (now_ms, job.id),
            ).rowcount
            reached("worker: beginning not committed")
        reached("worker: job begun")
        return replace(job, state="running") if started else None

    def open_send_window(self, job_id: int, send_window: str, sending: Sequence[str] = ()) -> bool:
        """See JobStore."""
        with atomic(self._connection) as connection:
            opened = connection.execute(
                "UPDATE jobs SET send_window = ? WHERE id = ? AND state = 'running' RETURNING kind",
                (send_window, job_id),
            ).fetchone()
            if opened == ("replay",):
                connection.execute(
                    "UPDATE job_items SET state = 'sending' WHERE replay_id IN (SELECT value FROM json_each(?))",
                    (json.dumps(list(sending)),),
                )
            reached("worker: window not committed")
        return opened is not None

    def close_send_window(
        self, job_id: int, done: int, failed: int, sent: Sequence[Sent], errors: dict[str, str], now_ms: int
    ) -> None:
        """See JobStore."""
        with atomic(self._connection) as connection:
            connection.execute("UPDATE jobs SET send_window = NULL WHERE id = ?", (job_id,))
            if connection.execute("SELECT 1 FROM jobs WHERE id = ? AND kind = 'replay'", (job_id,)).fetchone():
                # Counted by a trigger: an outcome may have been noted before, and a crash made us forget it.
                _note_sent(connection, job_id, sent, now_ms)
                if errors:
                    _note_errors(connection, job_id, errors, now_ms)
            else:
                connection.execute(
                    "UPDATE jobs SET done = done + ?, failed = failed + ? WHERE id = ?", (done, failed, job_id)
                )
            reached("worker: closing not committed")

    def planned_items(self, job_id: int, limit: int) -> list[ReplayItem]:
        """See JobStore."""
        return self._items(job_id, "planned", limit, WINDOW_BYTES)

    def sending_items(self, job_id: int) -> list[ReplayItem]:
        """See JobStore."""
        return self._items(job_id, "sending", -1, math.inf)

    def finish(self, job_id: int, state: Literal["done", "failed", "cancelled"], now_ms: int, error: str = "") -> None:
        """See JobStore."""
        reached("worker: before a job ends")
        with atomic(self._connection) as connection:
            _finish(connection, job_id, state, now_ms, error)
            reached("worker: end not committed")
        reached("worker: job ended")

    def _items(self, job_id: int, state: str, limit: int, max_bytes: float) -> list[ReplayItem]:
        items: list[ReplayItem] = []
        with reading(self._connection):
            rows = self._connection.execute(
                f"SELECT {_ITEM.sql} FROM job_items JOIN dead_letters ON id = job_items.dead_letter_id "
                # By the ledger's own order: by that of the dead letters, SQLite would read all that are left each time.
                "WHERE job_id = :job_id AND state = :state AND sent_with IS NULL "
                "ORDER BY job_items.dead_letter_id LIMIT :limit",
                {"job_id": job_id, "state": state, "limit": limit},
            )
            for row in rows:
                items.append(_ITEM.read(row))
                max_bytes -= sum(len(part) for part in _parts_of_a_record(row) if part)
                if max_bytes <= 0:
                    break
        return items


def _job_of(connection: sqlite3.Connection, request_id: str) -> int | None:
    found = connection.execute("SELECT id FROM jobs WHERE request_id = ?", (request_id,)).fetchone()
    return None if found is None else int(found[0])


def _new_job(
    connection: sqlite3.Connection, kind: str, params: str, total: int, by: str, request_id: str, now_ms: int
) -> int:
    (job_id,) = connection.execute(
        "INSERT INTO jobs (kind, params, requested_by, created_at_ms, total, request_id) VALUES (?, ?, ?, ?, ?, ?) "
        "RETURNING id",
        (kind, params, by, now_ms, total, request_id),
    ).fetchone()
    return int(job_id)


_ITEMS = "SELECT {columns} FROM job_items WHERE replay_id IN (SELECT {id} FROM json_each(:which)) AND state = 'sending'"
_THEIR_ITEMS = (
    "SELECT {columns} FROM job_items WHERE job_id = :job_id AND sent_with IS NOT NULL AND state = 'sending' "
    "AND sent_with IN (SELECT dead_letter_id FROM job_items "
    "WHERE replay_id IN (SELECT {id} FROM json_each(:which)) AND state = 'sending')"
)
_SENDING = f"{_ITEMS} UNION ALL {_THEIR_ITEMS}"
"""The items of these replays that are being sent, and those whose record is sent with them."""


def _send_together(connection: sqlite3.Connection, job_id: int) -> None:
    """Of dead letters that hold the same record of the same source position, the newest is sent for all of them."""
    held = "key, value, source_topic, source_partition, source_offset"
    letters = f"SELECT id, {held} FROM job_items JOIN dead_letters ON id = job_items.dead_letter_id"
    several = connection.execute(
        f"SELECT source_topic, source_partition, source_offset FROM ({letters} WHERE job_id = ?) "
        "WHERE source_offset IS NOT NULL AND source_partition IS NOT NULL AND source_topic IS NOT NULL "
        "GROUP BY source_topic, source_partition, source_offset HAVING count(*) > 1",
        (job_id,),
    ).fetchall()
    if not several:
        return
    groups = connection.execute(
        f"SELECT json_group_array(id), max(id) FROM ({letters} WHERE job_id = ?) "
        "WHERE (source_topic, source_partition, source_offset) IN "
        "(SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)) "
        f"GROUP BY {held} HAVING count(*) > 1",
        (job_id, json.dumps(several)),
    ).fetchall()
    for ids, newest in groups:
        connection.execute(
            "UPDATE job_items SET sent_with = nullif(?, dead_letter_id), "
            "sent_for = iif(dead_letter_id = ?, json_array_length(?), 1) "
            "WHERE job_id = ? AND dead_letter_id IN (SELECT value FROM json_each(?))",
            (newest, newest, ids, job_id, ids),
        )


def _note_sent(connection: sqlite3.Connection, job_id: int, sent: Sequence[Sent], now_ms: int) -> None:
    """Where each stands now, and that it does."""
    # 1. The processor may have been faster: its outcome stays, and the dead letter may be on its way again by now.
    which = {"which": json.dumps([each.send_id for each in sent]), "job_id": job_id, "now_ms": now_ms}
    connection.execute(
        "UPDATE dead_letter_rows SET status = 'replayed', status_at_ms = :now_ms "
        f"WHERE id IN ({_SENDING.format(columns='dead_letter_id', id='value')})",
        which,
    )
    # 2. The position is noted in either case.
    position = ", ".join(f'"{name}" = {_SENT[name]}' for name in ("topic", "partition", "offset"))
    connection.execute(
        f"UPDATE job_items SET {position}, state = iif(state = 'sending', 'sent', state) FROM json_each(?) "
        f"WHERE replay_id = {_SENT['send_id']}",
        (json.dumps(sent),),
    )


def _note_errors(connection: sqlite3.Connection, job_id: int, errors: dict[str, str], now_ms: int) -> None:
    """What could not be sent, by replay id, and why."""
    error_of = json.dumps(errors)
    items = _SENDING.format(columns="dead_letter_id AS item_of, status_before", id="key")
    _go_back(connection, items, {"which": error_of, "job_id": job_id, "now_ms": now_ms})
    connection.execute(
        "UPDATE job_items SET state = 'failed', error = value, topic = NULL FROM json_each(?) "
        "WHERE replay_id = key AND state = 'sending'",
        (error_of,),
    )


def _go_back(connection: sqlite3.Connection, items: str, arguments: Arguments) -> None:
    """The dead letters of these items were not sent: as if nobody had asked."""
    connection.execute(
        # The plus keeps SQLite from going through all that are being replayed.
        "UPDATE dead_letter_rows SET status = status_before, status_at_ms = :now_ms, replays = replays - 1 "
        f"FROM ({items}) WHERE id = item_of AND +status = 'replaying'",
        arguments,
    )


def _finish(connection: sqlite3.Connection, job_id: int, state: str, now_ms: int, error: str) -> None:
    if connection.execute("SELECT 1 FROM job_items WHERE job_id = ? AND state = 'sending'", (job_id,)).fetchone():
        raise UsageError(f"job {job_id} has records under way: its window must be closed first")
    planned = (
        "SELECT dead_letter_id AS item_of, status_before FROM job_items WHERE job_id = :job_id AND state = 'planned'"
    )
    _go_back(connection, planned, {"job_id": job_id, "now_ms": now_ms})
    connection.execute(
        "UPDATE job_items SET state = 'cancelled', topic = NULL WHERE job_id = ? AND state = 'planned'", (job_id,)
    )
    connection.execute(
        "UPDATE jobs SET state = ?, finished_at_ms = ?, error = ?, send_window = NULL WHERE id = ?",
        (state, now_ms, error or None, job_id),
    )
