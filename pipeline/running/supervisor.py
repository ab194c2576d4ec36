"""`up`: starts the roles, keeps them alive, and ends them with itself. One a data folder."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.clock import Clock, StopSignal, is_due
from pipeline.errors import AlreadyRunningError
from pipeline.running.statusboard import StatusWriter, read_roles
from pipeline.settings import PROJECT_DIR, Settings

log = logging.getLogger(__name__)

LOCK_FILE = "up.lock"
LOOK_EVERY_S = 0.2
STATUS_EVERY_MS = 1000
FIRST_WAIT_MS = 500
LONGEST_WAIT_MS = 30_000
SETTLED_AFTER_MS = 20_000
GRACE_MS = 4000


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
def sole_owner(data_dir: Path) -> Iterator[None]:
    """Keeps every supervisor off this data folder meanwhile. Raises AlreadyRunningError."""
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
        yield


@contextmanager
def nothing_running(data_dir: Path, now_ms: int) -> Iterator[None]:
    """The same, where no role runs without a supervisor either. Raises AlreadyRunningError."""
    with sole_owner(data_dir):
        for role in read_roles(data_dir):
            if role.state != "stopped" and not role.silent(now_ms):
                raise AlreadyRunningError(
                    f"{role.role}-{role.instance} (process {role.pid}) runs on {data_dir}; end it first"
                )
        yield


def supervise(settings: Settings, clock: Clock, steady_clock: Clock, stop: StopSignal) -> None:
    """Runs the roles until asked to stop; waits are by `steady_clock`. Raises AlreadyRunningError."""
    with sole_owner(settings.data_dir):
        status = StatusWriter(settings.data_dir, "up", 0, clock)
        children = [_Child(settings, role, instance) for role, instance in roles_of(settings)]
        forget_others(settings, {("up", 0), *roles_of(settings)})
        log.info("starting %s", ", ".join(child.name for child in children))
        last_status_ms = 0
        try:
            while not stop.is_set():
                for child in children:
                    child.look_after(steady_clock())
                if is_due(clock(), last_status_ms, STATUS_EVERY_MS):
                    last_status_ms = clock()
                    failing = [child.complaint for child in children if child.complaint]
                    status.report("failing" if failing else "running", "; ".join(failing))
                stop.wait(LOOK_EVERY_S)
        finally:
            _end(children, steady_clock)
            status.report("stopped")
            status.close()


def roles_of(settings: Settings) -> list[tuple[str, int]]:
    """What `up` starts, in order: (role, instance)."""
    broker = [("broker", 0)] if settings.demo else []
    counts = {"processor": settings.processors, "collector": 1, "worker": 1}
    return broker + [(role, instance) for role in settings.roles for instance in range(counts[role])]


def forget_others(settings: Settings, ours: set[tuple[str, int]]) -> None:
    """Takes roles off the status board that an earlier `up` had and this one has not."""
    for path in (settings.data_dir / "roles").glob("*.json"):
        role, _, instance = path.stem.rpartition("-")
        if (role, int(instance) if instance.isdigit() else -1) not in ours:
            path.unlink(missing_ok=True)


@dataclass(slots=True)
class _Child:
    """One role's process, started again when it dies: at once after a good run, ever more slowly otherwise."""

    settings: Settings
    role: str
    instance: int
    process: subprocess.Popen[bytes] | None = None
    started_at_ms: int = 0
    wait_ms: int = field(default=FIRST_WAIT_MS)
    not_before_ms: int = 0
    complaint: str = ""

    @property
    def name(self) -> str:
        return f"{self.role}-{self.instance}"

    def look_after(self, now_ms: int) -> None:
        if self.process is not None and self.process.poll() is not None:
            self._note_end(self.process, now_ms)
        if self.process is None and now_ms >= self.not_before_ms:
            self._start(now_ms)
        elif self.process is not None and self.complaint and now_ms - self.started_at_ms > SETTLED_AFTER_MS:
            self.complaint, self.wait_ms = "", FIRST_WAIT_MS

    def _start(self, now_ms: int) -> None:
        command = [sys.executable, "-m", "pipeline", self.role, "--instance", str(self.instance), "--end-with-stdin"]
        # Nobody writes to this pipe: it closes when we end, however we end, and that ends the child.
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=PROJECT_DIR, start_new_session=True)
        self.started_at_ms = now_ms

    def _note_end(self, process: subprocess.Popen[bytes], now_ms: int) -> None:
        if now_ms - self.started_at_ms > SETTLED_AFTER_MS:
            self.wait_ms = FIRST_WAIT_MS
        how = f"signal {signal.Signals(-process.returncode).name}" if process.returncode < 0 else "exit code "
        self.complaint = f"{self.name} ended ({how if process.returncode < 0 else how + str(process.returncode)})"
        log.warning("%s; starting it again in %.1f s", self.complaint, self.wait_ms / 1000)
        if process.stdin is not None:
            process.stdin.close()
        self.process = None
        self.not_before_ms = now_ms + self.wait_ms
        self.wait_ms = min(self.wait_ms * 2, LONGEST_WAIT_MS)


def _end(children: list[_Child], steady_clock: Clock) -> None:
    """Asks all to end, and the broker only when nobody talks to it any more; insists after 4 s in all."""
    deadline_ms = steady_clock() + GRACE_MS
    running = [child for child in children if child.process is not None]
    for stage in ([child for child in running if child.role != "broker"], running):
        _end_stage([child.process for child in stage if child.process is not None], steady_clock, deadline_ms)


def _end_stage(processes: list[subprocess.Popen[bytes]], steady_clock: Clock, deadline_ms: int) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(max(0, deadline_ms - steady_clock()) / 1000)
        except subprocess.TimeoutExpired:
            log.warning("process %d does not end by itself; ending it", process.pid)
            process.kill()
            process.wait()
