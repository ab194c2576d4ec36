"""A copy of the buffer while everything runs, and the way back from one."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from pipeline.buffer.sqlite.connection import connect_reader, connect_writer, translated_errors
from pipeline.buffer.sqlite.damage import damage_in
from pipeline.buffer.sqlite.write_queue import LOCK_SUFFIXES
from pipeline.errors import BufferCorruptError, BufferTooNewError, BufferUnavailableError, UsageError

PAGES_AT_ONCE = 1024


def back_up(path: Path, target: Path) -> int:
    """Copies the buffer as it is now to the new file `target`, in steps that hold up nobody; returns its bytes.

    The copy is one state of the buffer, however much is written meanwhile, and was looked through for damage. Raises
    UsageError when the target is there already or cannot be written, BufferUnavailableError, BufferCorruptError.
    """
    try:
        if target.exists():
            raise UsageError(f"{target} is there already; name a file that is not")
        partial = target.with_name(f"{target.name}.partial")
        partial.unlink(missing_ok=True)
        partial.touch()
        try:
            _copy(path, partial)
            partial.rename(target)
        finally:
            partial.unlink(missing_ok=True)
        _sync_folder(target.parent)
        return target.stat().st_size
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}") from error


def restore(path: Path, source: Path, now_ms: int) -> Path | None:
    """Replaces the buffer by a copy of `source`; returns where the replaced one is, None when there was none.

    Nobody may have the buffer open: the caller sees to that. At every moment there is a whole buffer. A
    source of an older layout is brought forward. Raises UsageError when there is no such file, BufferCorruptError when
    it is damaged or no buffer, BufferTooNewError, and BufferUnavailableError when the folder cannot be written; the
    buffer is then what it was.
    """
    try:
        found = source.is_file()
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}") from error
    if not found:
        raise UsageError(f"there is no file {source}")
    if path.exists() and path.samefile(source):
        raise UsageError(f"{source} is the buffer itself")
    incoming = path.with_name(f"{path.name}.restoring")
    try:
        # 1. A copy beside the buffer, looked through and brought forward before anything is replaced.
        _remove(incoming)
        _copy(source, incoming)
        connect_writer(incoming, "FULL").close()
        # 2. The replaced buffer in one file, which gets a second name.
        kept = _keep_aside(path, now_ms) if path.exists() else None
        # 3. The one moment at which the buffer becomes the other one.
        incoming.replace(path)
        _sync_folder(path.parent)
        return kept
    except OSError as error:
        raise BufferUnavailableError(f"the buffer {path} cannot be replaced: {error.strerror}") from error
    finally:
        _remove(incoming)


def _copy(source: Path, target: Path) -> None:
    """A file of its own, without a log beside it. Raises BufferCorruptError when it is damaged."""
    with closing(connect_reader(source, older=True)) as reader, translated_errors(source):
        # In a transaction that has begun to read, all steps copy the same state and never start over.
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            reader.backup(copy, pages=PAGES_AT_ONCE)
            copy.execute("PRAGMA journal_mode = DELETE")
            damage = damage_in(copy)
    if damage:
        raise BufferCorruptError(f"{source} is damaged: {damage[0]}")


def _keep_aside(path: Path, now_ms: int) -> Path:
    """Gives the buffer a second, dated name. A log that belongs to it must not stay beside the next one."""
    moment = datetime.fromtimestamp(now_ms // 1000, UTC)
    kept = path.with_name(f"{path.stem}-replaced-{moment:%Y%m%dT%H%M%SZ}{path.suffix}")
    # It may be damaged, which is why it is replaced: its log then goes with it as it is.
    with suppress(BufferCorruptError, BufferTooNewError):
        _fold_log_in(path)
    try:
        kept.hardlink_to(path)
    except OSError as error:
        if error.errno == errno.EEXIST:
            raise
        shutil.copyfile(path, kept)  # a file system without second names
    for suffix in ("-wal", "-shm"):
        log = path.with_name(path.name + suffix)
        if log.exists():
            log.rename(kept.with_name(kept.name + suffix))
    return kept


def _fold_log_in(path: Path) -> None:
    with closing(connect_writer(path)) as connection, translated_errors(path):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal", *LOCK_SUFFIXES):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Makes a rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
