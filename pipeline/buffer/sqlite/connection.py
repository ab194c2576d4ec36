"""Opens the buffer file, brings its layout up to date, and turns SQLite's errors into ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import resources
from pathlib import Path
from threading import get_ident
from typing import Literal

from pipeline.buffer.sqlite.migrations import released_steps
from pipeline.buffer.sqlite.orphans import touched_by
from pipeline.buffer.sqlite.search.functions import register
from pipeline.buffer.sqlite.stored_once.storing import Storing
from pipeline.buffer.sqlite.write_queue import turn
from pipeline.clock import Clock, Wait, pause, steady_clock_ms
from pipeline.errors import BufferCorruptError, BufferTooNewError, BufferUnavailableError, UsageError

APPLICATION_ID = 0x4F504C53  # "OPLS", so that `file` and we recognise our own
LAYOUT_VERSION = max(released_steps(), default=1)
PAGE_BYTES = 8192
BUSY_TIMEOUT_S = 10.0
OFFSET_BITS = 40
CHECKPOINT_PAGES = 1000
"""With so many pages in the write-ahead log, 8 MB, a commit writes them back and the log starts over. A small commit
writes ten pages however few its orders are, so that a slow flow fills any log; a catch-up takes as long with 64 MB."""
WAL_REUSED_BYTES = 2 * CHECKPOINT_PAGES * PAGE_BYTES
"""What a longer write-ahead log is cut to when it starts over: room for a checkpoint's pages and a big batch."""
WAL_KEPT_BYTES = 64_000_000
"""A write-ahead log that a long reader has made longer than this is emptied as soon as that is possible."""
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_READER_STEPS = 20_000  # virtual machine steps between two looks at a reader's time limit: well under 1 ms


def record_id(partition_ref: int, offset: int) -> int:
    """The key of a record: its partition generation and its offset in one 63-bit integer."""
    if not 0 <= offset < 1 << OFFSET_BITS:
        raise UsageError(f"offset {offset} is outside of what the buffer can key (0 to 2^{OFFSET_BITS} - 1)")
    return partition_ref << OFFSET_BITS | offset


def ref_of(record: int) -> int:
    """The partition generation in a record's key."""
    return record >> OFFSET_BITS


def offset_of(record: int) -> int:
    """The offset in a record's key."""
    return record & (1 << OFFSET_BITS) - 1


def file_of(path: Path) -> tuple[int, int] | None:
    """Which file this is, by device and inode; None when there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Raises BufferCorruptError or BufferUnavailableError for SQLite's operational errors; each names the file."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        primary = code & 0xFF if code is not None else None
        if primary in _CORRUPT:
            raise BufferCorruptError(
                f"the buffer {path} is damaged ({error}); move it and its -wal and -shm files away and start again: "
                "what Kafka still holds is read again"
            ) from error
        if primary == sqlite3.SQLITE_FULL:
            raise BufferUnavailableError(f"the disk of the buffer {path} is full; free some space") from error
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise BufferUnavailableError(f"the buffer {path} is locked by another program ({error})") from error
        if primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            raise BufferUnavailableError(f"the buffer {path} cannot be used: {error}") from error
        raise


class WriterConnection(sqlite3.Connection):
    """A connection that writes to the buffer: it knows its file, how its turn is waited for, and who may use it."""

    path: Path
    wait: Wait
    steady_clock: Clock
    storing: Storing
    """How dead letters are stored; it learns from those that this connection has written."""
    reserved_for: int | None = None
    """The one thread that may use it; None: any may. See Buffer.reserve."""

    def check_thread(self) -> None:
        """Raises RuntimeError in any other thread than the one that it is reserved for."""
        if self.reserved_for not in (None, get_ident()):
            raise RuntimeError("the buffer is another thread's while a batch is being written; ask its BatchWriter")

    def turn(self) -> AbstractContextManager[None]:
        """Our turn among all who write to this file. Raises BufferUnavailableError when it does not come in time."""
        return turn(self.path, BUSY_TIMEOUT_S, self.wait, self.steady_clock)


def connect_writer(
    path: Path,
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
    busy_timeout_s: float = BUSY_TIMEOUT_S,
    wait: Wait = pause,
    steady_clock: Clock = steady_clock_ms,
) -> WriterConnection:
    """Opens the buffer for writing; makes it or brings its layout up to date first.

    `FULL` makes every commit survive a power cut, as the replay ledger needs; with `NORMAL` the newest commits may be
    rolled back together with their offsets, which only means reading them again. `busy_timeout_s`: how long to wait for
    another program that writes. `wait` and `steady_clock` are those of the queue of writers, see `write_queue.turn`.

    Raises BufferUnavailableError, BufferCorruptError, BufferTooNewError.
    """
    with translated_errors(path):
        connection = sqlite3.connect(
            path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False, factory=WriterConnection
        )
        connection.path, connection.wait, connection.steady_clock = path, wait, steady_clock
        connection.storing = Storing()
        register(connection)
        with closed_in_trouble(connection):
            # Looked at before anything is set: a file that is not ours stays as it is.
            _layout_of(connection, path)
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            # Both only for a file that is still empty: what is pruned can be given back a few pages at a time.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA journal_size_limit = {WAL_REUSED_BYTES}")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            # Rows and index entries go to where the last ones went: more than this is not looked at again soon.
            connection.execute("PRAGMA cache_size = -16000")
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            connection.execute("PRAGMA foreign_keys = ON")
            _bring_up_to_date(connection)
        return connection


def connect_reader(path: Path, older: bool = False) -> sqlite3.Connection:
    """Opens the buffer read-only; one of an older layout only when it is asked for.

    Raises BufferUnavailableError when there is none yet or it is still to be brought forward, BufferCorruptError,
    BufferTooNewError.
    """
    if not path.exists():
        raise BufferUnavailableError(f"there is no buffer at {path} yet; the pipeline makes it when it starts")
    with translated_errors(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0, isolation_level=None, check_same_thread=False
        )
        with closed_in_trouble(connection):
            register(connection)
            connection.execute("PRAGMA cache_size = -16000")
            version = _layout_of(connection, path)
            if version == 0 or (version < LAYOUT_VERSION and not older):
                raise BufferUnavailableError(
                    f"the buffer {path} is being made"
                    if version == 0
                    else f"the buffer {path} has layout {version}; "
                    f"the pipeline brings it to {LAYOUT_VERSION} at its start"
                )
        return connection


@contextmanager
def closed_in_trouble(connection: sqlite3.Connection) -> Iterator[None]:
    """Closes the connection when what is done with it meanwhile raises, whatever it is."""
    with ExitStack() as in_trouble:
        in_trouble.callback(connection.close)
        yield
        in_trouble.pop_all()


@contextmanager
def atomic(connection: WriterConnection) -> Iterator[WriterConnection]:
    """One write transaction: all of it is committed, or nothing. Waits for other writers, in turn with them."""
    connection.check_thread()
    with translated_errors(connection.path), connection.turn():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


@contextmanager
def reading(connection: WriterConnection) -> Iterator[WriterConnection]:
    """Reads on the connection that writes, with its errors translated."""
    connection.check_thread()
    with translated_errors(connection.path):
        yield connection


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is read in it is of one moment. For short looks: the write-ahead log cannot start over meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def limited(connection: sqlite3.Connection, limit_ms: int, steady_clock: Clock = steady_clock_ms) -> Iterator[None]:
    """Interrupts the connection's queries after `limit_ms`; the query then raises sqlite3.OperationalError."""
    deadline_ms = steady_clock() + limit_ms
    connection.set_progress_handler(lambda: steady_clock() >= deadline_ms, _READER_STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def _bring_up_to_date(connection: WriterConnection) -> None:
    if _layout_of(connection, connection.path) == 0:
        with atomic(connection):
            # Another process may have made it meanwhile.
            if _layout_of(connection, connection.path) == 0:
                run_script(
                    connection, resources.files("pipeline.buffer.sqlite").joinpath("schema.sql").read_text("utf-8")
                )
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {LAYOUT_VERSION}")
    if _layout_of(connection, connection.path) < LAYOUT_VERSION:
        migrate(connection, released_steps(), LAYOUT_VERSION)


def migrate(connection: WriterConnection, steps: Mapping[int, str], to_version: int) -> None:
    """Brings a buffer's layout forward, one step after the other, each in a transaction of its own.

    `steps`: the SQL script that makes each version of the one before. A step that fails leaves the buffer at the
    version before it, and it can be tried again.
    """
    # A step may replace a table that others refer to; what it left is looked at in its transaction.
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        while (version := _version_of(connection)) < to_version:
            with atomic(connection):
                # Another process may have done this step meanwhile.
                if _version_of(connection) == version:
                    _step(connection, version + 1, steps[version + 1])
    finally:
        connection.execute("PRAGMA foreign_keys = ON")


def _step(connection: WriterConnection, version: int, script: str) -> None:
    with touched_by(connection) as touched:
        run_script(connection, script)
    orphan = touched.orphan(connection)
    if orphan is not None:
        raise BufferCorruptError(
            f"the buffer {connection.path} cannot be brought to layout {version}: a row of {orphan.child} refers to a "
            f"row of {orphan.parent} that is not there; `python -m pipeline check` tells more"
        )
    connection.execute(f"PRAGMA user_version = {version}")


def _version_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _layout_of(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the buffer's layout, 0 for an empty file. Raises BufferCorruptError, BufferTooNewError."""
    application, version, tables = connection.execute(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) "
        "FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise BufferCorruptError(f"{path} is a database of another program; name another file for the buffer")
    if version > LAYOUT_VERSION:
        raise BufferTooNewError(
            f"the buffer {path} has layout {version}, this OrderPulse knows up to {LAYOUT_VERSION}; update OrderPulse"
        )
    return int(version)


def run_script(connection: sqlite3.Connection, script: str) -> None:
    """Runs a script's statements inside the transaction that is open (executescript would commit it)."""
    for statement in _statements(script):
        connection.execute(statement)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
