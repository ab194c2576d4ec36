"""A disk that is slow for some processes: strace holds them up after each write and each sync."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

WRITES = "pwrite64,fdatasync"
END_S = 10.0


@contextmanager
def slow_disk(pids: Iterable[int], delay_ms: int) -> Iterator[None]:
    """Every write of theirs takes so much longer while the block runs."""
    attached = [argument for pid in pids for argument in ("-p", str(pid))]
    delay = f"inject={WRITES}:delay_exit={delay_ms}ms"
    command = ["strace", "-f", "-q", "-e", f"trace={WRITES}", "-e", delay, "-o", "/dev/null", *attached]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as strace:
        try:
            yield
        finally:
            # It lets go of them then.
            strace.send_signal(signal.SIGTERM)
            strace.wait(END_S)
