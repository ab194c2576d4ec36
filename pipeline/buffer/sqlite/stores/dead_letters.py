"""Dead letters as the collector brings them, and triage."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pipeline.buffer.contract import Advance, DeadLetterRow, TriageStatus
from pipeline.buffer.sqlite.connection import WriterConnection, atomic
from pipeline.buffer.sqlite.stores.flow import advance
from pipeline.buffer.sqlite.stores.letters import add_dead_letters
from pipeline.buffer.sqlite.stores.outcomes import conclude
from pipeline.crash_points import reached


class SqliteDeadLetterStore:
    """The contract's DeadLetterStore on SQLite."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def collect(self, advances: Sequence[Advance], rows: Sequence[DeadLetterRow], now_ms: int) -> int:
        """See DeadLetterStore."""
        with atomic(self._connection) as connection:
            # 1. The guard: nobody else has read these partitions on.
            advance(connection, advances)
            # 2. What was not known yet, the figures that count it, and what it says of replays.
            added = add_dead_letters(connection, rows, now_ms)
            reached("collector: dead letters not committed")
        return added

    def triage(self, ids: Sequence[int], status: TriageStatus, now_ms: int) -> int:
        """See DeadLetterStore."""
        with atomic(self._connection) as connection:
            if status == "recovered":
                return conclude(connection, ids, now_ms)
            before = ("discarded",) if status == "open" else ("open", "replayed")
            return connection.execute(
                "UPDATE dead_letter_rows "
                "SET status = ?, status_at_ms = ?, concluded = concluded OR status = 'replayed' "
                "WHERE id IN (SELECT value FROM json_each(?)) AND status IN (SELECT value FROM json_each(?))",
                (status, now_ms, json.dumps(list(ids)), json.dumps(before)),
            ).rowcount
