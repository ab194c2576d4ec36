"""`up`: starts the roles, keeps them alive, and ends them with itself. One a data folder.

A role is forked from `up` with its parts imported, and then does what its own command does: it is there in a tenth of
the time that a new interpreter takes, and shares with the others the memory of what all have imported.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, ForkProcess, SpawnContext, SpawnProcess
from multiprocessing.util import register_after_fork

from pipeline.clock import Clock, StopSignal, is_due
from pipeline.running.folder_owner import sole_owner
from pipeline.running.statusboard import StatusWriter
from pipeline.settings import Settings

log = logging.getLogger(__name__)

Command = Callable[[Sequence[str]], int]
"""Runs a command line of ours in this process and returns its exit code."""

# What macOS brings along does not stand a fork without a new program after it; there each role is a new interpreter.
METHOD: ForkContext | SpawnContext = (
    multiprocessing.get_context("fork") if sys.platform == "linux" else multiprocessing.get_context("spawn")
)
ENDING = (signal.SIGTERM, signal.SIGINT)
LOOK_EVERY_S = 0.2
STATUS_EVERY_MS = 1000
FIRST_WAIT_MS = 500
LONGEST_WAIT_MS = 30_000
SETTLED_AFTER_MS = 20_000
GRACE_MS = 4000


def supervise(
    settings: Settings,
    run: Command,
    import_parts: Callable[[str], None],
    clock: Clock,
    steady_clock: Clock,
    stop: StopSignal,
) -> None:
    """Runs the roles, each by its command, until asked to stop; waits are by `steady_clock`.

    `import_parts` imports what a role needs. Raises AlreadyRunningError.
    """
    with sole_owner(settings.data_dir) as lock:
        status = StatusWriter(settings.data_dir, "up", 0, clock)
        nursery = _Nursery(run, import_parts)
        # A role that kept them would look like a supervisor that still runs.
        register_after_fork(lock, lambda file: file.close())
        register_after_fork(status, StatusWriter.close)
        children = [_Child(nursery, role, instance) for role, instance in roles_of(settings)]
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


class _Nursery:
    """Begins the processes of roles, which end with this one.

    Nobody writes to the pipe that is their standard input: it closes when we end, however we end.
    """

    def __init__(self, run: Command, import_parts: Callable[[str], None]) -> None:
        self._run = run
        self._import_parts = import_parts
        self._end_of_ours, self._ours = METHOD.Pipe(duplex=False)
        register_after_fork(self._ours, Connection.close)

    def begin(self, role: str, instance: int) -> ForkProcess | SpawnProcess:
        """Starts a role's process."""
        if METHOD.get_start_method() == "fork":
            self._import_parts(role)
        arguments = (role, "--instance", str(instance), "--end-with-stdin")
        process = METHOD.Process(target=_live, args=(self._run, arguments, self._end_of_ours))
        # Held back until the role listens to them itself: what it would do with them before is what we do with ours.
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        return process


def _live(run: Command, arguments: Sequence[str], end_of_parent: Connection) -> None:
    """What a role's process does: all that its command does, in a session of its own."""
    os.setsid()
    os.dup2(end_of_parent.fileno(), sys.stdin.fileno())
    end_of_parent.close()
    for each in ENDING:
        signal.signal(each, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    sys.exit(run(arguments))


@dataclass(slots=True)
class _Child:
    """One role's process, started again when it dies: at once after a good run, ever more slowly otherwise."""

    nursery: _Nursery
    role: str
    instance: int
    process: ForkProcess | SpawnProcess | None = None
    started_at_ms: int = 0
    wait_ms: int = field(default=FIRST_WAIT_MS)
    not_before_ms: int = 0
    complaint: str = ""

    @property
    def name(self) -> str:
        return f"{self.role}-{self.instance}"

    def look_after(self, now_ms: int) -> None:
        if self.process is not None and self.process.exitcode is not None:
            self._note_end(self.process.exitcode, now_ms)
            self.process.close()
            self.process = None
        if self.process is None and now_ms >= self.not_before_ms:
            self.process = self.nursery.begin(self.role, self.instance)
            self.started_at_ms = now_ms
        elif self.process is not None and self.complaint and now_ms - self.started_at_ms > SETTLED_AFTER_MS:
            self.complaint, self.wait_ms = "", FIRST_WAIT_MS

    def _note_end(self, exit_code: int, now_ms: int) -> None:
        if now_ms - self.started_at_ms > SETTLED_AFTER_MS:
            self.wait_ms = FIRST_WAIT_MS
        how = f"signal {signal.Signals(-exit_code).name}" if exit_code < 0 else f"exit code {exit_code}"
        self.complaint = f"{self.name} ended ({how})"
        log.warning("%s; starting it again in %.1f s", self.complaint, self.wait_ms / 1000)
        self.not_before_ms = now_ms + self.wait_ms
        self.wait_ms = min(self.wait_ms * 2, LONGEST_WAIT_MS)


def _end(children: list[_Child], steady_clock: Clock) -> None:
    """Asks all to end, and the broker only when nobody talks to it any more; insists after 4 s in all."""
    deadline_ms = steady_clock() + GRACE_MS
    running = [child for child in children if child.process is not None]
    for stage in ([child for child in running if child.role != "broker"], running):
        _end_stage([child.process for child in stage if child.process is not None], steady_clock, deadline_ms)


def _end_stage(processes: list[ForkProcess | SpawnProcess], steady_clock: Clock, deadline_ms: int) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(max(0, deadline_ms - steady_clock()) / 1000)
        if process.exitcode is None:
            log.warning("process %d does not end by itself; ending it", process.pid)
            process.kill()
            process.join()
