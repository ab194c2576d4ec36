"""The buffer on SQLite: one file, one writing connection a process."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from pipeline.buffer.sqlite.connection import BUSY_TIMEOUT_S, WriterConnection, connect_writer, file_of
from pipeline.buffer.sqlite.groups.store import SqliteGroupStore
from pipeline.buffer.sqlite.stores.alerts import SqliteWatchStore
from pipeline.buffer.sqlite.stores.dead_letters import SqliteDeadLetterStore
from pipeline.buffer.sqlite.stores.flow import SqliteFlowStore
from pipeline.buffer.sqlite.stores.imports import SqliteImportStore
from pipeline.buffer.sqlite.stores.jobs import SqliteJobStore
from pipeline.buffer.sqlite.stores.lookups import SqliteLookupStore
from pipeline.buffer.sqlite.stores.regrouping import SqliteRegroupStore
from pipeline.buffer.sqlite.stores.rereads import SqliteRereadStore
from pipeline.buffer.sqlite.stores.retention import SqliteUpkeepStore
from pipeline.buffer.sqlite.stores.text_index import SqliteTextIndexStore
from pipeline.clock import Clock, Wait, pause, steady_clock_ms
from pipeline.errors import BufferUnavailableError


class SqliteBuffer:
    """The contract's Buffer on SQLite."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection
        self._path = connection.path
        self._file = file_of(connection.path)
        self.flow = SqliteFlowStore(connection)
        self.dead_letters = SqliteDeadLetterStore(connection)
        self.jobs = SqliteJobStore(connection)
        self.watch = SqliteWatchStore(connection)
        self.rereads = SqliteRereadStore(connection)
        self.lookups = SqliteLookupStore(connection)
        self.groups = SqliteGroupStore(connection)
        self.regrouping = SqliteRegroupStore(connection)
        self.imports = SqliteImportStore(connection)
        self.texts = SqliteTextIndexStore(connection)
        self.upkeep = SqliteUpkeepStore(connection)

    def check_file(self) -> None:
        """See Buffer."""
        if file_of(self._path) != self._file:
            raise BufferUnavailableError(f"the buffer {self._path} was moved or replaced; opening it again")

    def reserve(self, thread_id: int | None) -> None:
        """See Buffer."""
        self._connection.reserved_for = thread_id

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
    path: Path,
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
    busy_timeout_s: float = BUSY_TIMEOUT_S,
    wait: Wait = pause,
    steady_clock: Clock = steady_clock_ms,
) -> SqliteBuffer:
    """Opens the buffer for writing, makes it where there is none.

    `FULL` survives a power cut with every commit; the rest says how other writers are waited for: see `connect_writer`.
    Raises BufferUnavailableError, BufferCorruptError, BufferTooNewError.
    """
    return SqliteBuffer(connect_writer(path, synchronous, busy_timeout_s, wait, steady_clock))
