"""Look-ups: what the app wants to know of Kafka, and what the worker found out."""

from __future__ import annotations

from pipeline.buffer.lookup_contract import KEPT, KEPT_MS, WAITED_FOR_MS, Lookup, LookupKind
from pipeline.buffer.sqlite.connection import WriterConnection, atomic, reading
from pipeline.buffer.sqlite.rows import RowsOf

LOOKUP = RowsOf(Lookup)


class SqliteLookupStore:
    """The contract's LookupStore on SQLite."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def ask(self, kind: LookupKind, params: str, by: str, now_ms: int) -> int:
        """See LookupStore."""
        with atomic(self._connection) as connection:
            # Whoever asks again waits for the newer answer only.
            connection.execute(
                "DELETE FROM lookups WHERE (kind, asked_by, state) = (?, ?, 'asked') OR asked_at_ms < ?",
                (kind, by, now_ms - KEPT_MS),
            )
            (number,) = connection.execute(
                "INSERT INTO lookups (kind, params, asked_by, asked_at_ms) VALUES (?, ?, ?, ?) RETURNING id",
                (kind, params, by, now_ms),
            ).fetchone()
            connection.execute("DELETE FROM lookups WHERE id <= ?", (number - KEPT,))
        return int(number)

    def next(self, now_ms: int) -> Lookup | None:
        """See LookupStore."""
        with reading(self._connection):
            row = self._connection.execute(
                f"SELECT {LOOKUP.sql} FROM lookups WHERE state = 'asked' AND asked_at_ms >= ? ORDER BY id LIMIT 1",
                (now_ms - WAITED_FOR_MS,),
            ).fetchone()
        return None if row is None else LOOKUP.read(row)

    def get(self, number: int) -> Lookup | None:
        """See LookupStore."""
        with reading(self._connection):
            row = self._connection.execute(f"SELECT {LOOKUP.sql} FROM lookups WHERE id = ?", (number,)).fetchone()
        return None if row is None else LOOKUP.read(row)

    def answer(self, number: int, answer: str | None, error: str, now_ms: int) -> None:
        """See LookupStore."""
        with atomic(self._connection) as connection:
            connection.execute(
                "UPDATE lookups SET state = ?, answer = ?, error = ?, answered_at_ms = ? "
                "WHERE (id, state) = (?, 'asked')",
                ("failed" if answer is None else "done", answer, error or None, now_ms, number),
            )

    def prune(self, now_ms: int) -> int:
        """See LookupStore."""
        with atomic(self._connection) as connection:
            return connection.execute("DELETE FROM lookups WHERE asked_at_ms < ?", (now_ms - KEPT_MS,)).rowcount
