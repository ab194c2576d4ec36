"""Lets processes that write take turns, in the order in which they come.

SQLite has those that wait try again after pauses of up to 100 ms, and whoever has just written is there first again.
And while another one writes, a log that is being written back cannot start over: two that wrote all the time let it
grow to 90 MB. A turn ends when both are done.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.clock import Clock, Wait, pause, steady_clock_ms
from pipeline.errors import BufferUnavailableError

LOCK_SUFFIXES = ("-next", "-turn")
LOOK_EVERY_S = 0.0005


@contextmanager
def turn(path: Path, patience_s: float, wait: Wait = pause, steady_clock: Clock = steady_clock_ms) -> Iterator[None]:
    """Waits for our turn to write to this buffer, which others wait for until the block is left.

    Correctness depends on SQLite's own lock alone; this only orders those who ask for it. The kernel gives back
    what a process that dies has locked. Raises BufferUnavailableError when it takes longer than `patience_s`.

    The lock's holder is another process, so nothing wakes us: `wait` pauses between two looks. By default it does so
    in a process that is to stop, too, which still writes what it has begun.
    """
    patience = _Patience(path, steady_clock() + int(patience_s * 1000), wait, steady_clock)
    next_file, turn_file = (path.with_name(path.name + suffix) for suffix in LOCK_SUFFIXES)
    # Whoever has just written and comes again finds the one who stands here before it.
    next_lock = _lock(next_file, patience)
    try:
        turn_lock = _lock(turn_file, patience)
    finally:
        os.close(next_lock)
    try:
        yield
    finally:
        os.close(turn_lock)


@dataclass(frozen=True, slots=True)
class _Patience:
    """How one turn is waited for: `until_ms` by the steady clock."""

    path: Path
    until_ms: int
    wait: Wait
    steady_clock: Clock


def _lock(file: Path, patience: _Patience) -> int:
    """The descriptor of the locked file; closing it gives the lock back."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise BufferUnavailableError(f"the buffer {patience.path} cannot be used: {file}: {error.strerror}") from error
    with ExitStack() as in_trouble:
        in_trouble.callback(os.close, descriptor)
        while not _locked(descriptor):
            if patience.steady_clock() > patience.until_ms:
                raise BufferUnavailableError(f"the buffer {patience.path} is locked by another process of OrderPulse")
            patience.wait(LOOK_EVERY_S)
        in_trouble.pop_all()
    return descriptor


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
