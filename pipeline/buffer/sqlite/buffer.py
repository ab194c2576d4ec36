"""The buffer on SQLite: one file, one writing connection a process."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from pipeline.buffer.sqlite.connection import BUSY_TIMEOUT_S, connect_writer, file_of
from pipeline.buffer.sqlite.stores.alerts import SqliteWatchStore
from pipeline.buffer.sqlite.stores.dead_letters import SqliteDeadLetterStore
from pipeline.buffer.sqlite.stores.flow import SqliteFlowStore
from pipeline.buffer.sqlite.stores.jobs import SqliteJobStore
from pipeline.buffer.sqlite.stores.retention import SqliteUpkeepStore
from pipeline.errors import BufferUnavailableError


class SqliteBuffer:
    """The contract's Buffer on SQLite."""

    def __init__(self, path: Path, synchronous: Literal["NORMAL", "FULL"], busy_timeout_s: float) -> None:
        self._path = path
        self._connection = connect_writer(path, synchronous, busy_timeout_s)
        self._file = file_of(path)
        self.flow = SqliteFlowStore(self._connection, path)
        self.dead_letters = SqliteDeadLetterStore(self._connection, path)
        self.jobs = SqliteJobStore(self._connection, path)
        self.watch = SqliteWatchStore(self._connection, path)
        self.upkeep = SqliteUpkeepStore(self._connection, path)

    def check_file(self) -> None:
        """See Buffer."""
        if file_of(self._path) != self._file:
            raise BufferUnavailableError(f"the buffer {self._path} was moved or replaced; opening it anew")

    def close(self) -> None:
        """See Buffer."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_buffer(
    path: Path, synchronous: Literal["NORMAL", "FULL"] = "NORMAL", busy_timeout_s: float = BUSY_TIMEOUT_S
) -> SqliteBuffer:
    """Opens the buffer for writing, makes it where there is none.

    `FULL` survives a power cut with every commit, and `busy_timeout_s` is the wait for another writer: see
    `connect_writer`.
    Raises BufferUnavailableError, BufferCorruptError, BufferTooNewError.
    """
    return SqliteBuffer(path, synchronous, busy_timeout_s)
