"""The one supervisor that a data folder may have, known by a lock that the kernel frees when it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipeline.errors import AlreadyRunningError

LOCK_FILE = "up.lock"


def is_running(data_dir: Path) -> bool:
    """Whether a supervisor owns this data folder."""
    try:
        with (data_dir / LOCK_FILE).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def sole_owner(data_dir: Path) -> Iterator[IO[str]]:
    """Keeps every supervisor off this data folder while the file that it yields is open. Raises AlreadyRunningError."""
    with (data_dir / LOCK_FILE).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise AlreadyRunningError(
                f"a pipeline runs on {data_dir} already (process {lock.read().strip() or 'unknown'})"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock
