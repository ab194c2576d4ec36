"""The faults, each over when its function returns, but for what the pipeline has to do about it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.running.statusboard import read_roles
from pipeline.settings import PROJECT_DIR
from scripts.waiting import wait_for
from tests.chaos.others import BEHIND_S, OthersFaults
from tests.chaos.surroundings import Surroundings
from tests.support.kafkas import recreate_topic
from tests.support.order_writer import OrderWriter
from tests.support.running_pipeline import alive
from tests.support.tcp_proxy import TcpProxy

ROLES = (("processor", 0), ("processor", 1), ("collector", 0), ("worker", 0))
SESSION_MS = 6000
PAUSE_S = SESSION_MS / 1000 + 2
LOCKED_S = 11.0  # longer than a role waits for another writer
BROKEN_FILE_S = 2.0
LINE_DOWN_S = 3.0
DELAY_S = 0.3
DELAYED_S = 4.0
FULL_S = 3.0
AHEAD_S = 21_600
"""How far ahead the clock is set at most; orders that are further ahead of it than 600 s break a rule."""


class Faults:
    """All kinds of faults. `settle` waits until everything that was written is in the buffer."""

    def __init__(
        self,
        around: Surroundings,
        writer: OrderWriter,
        draw: random.Random,
        settle: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self._around = around
        self._pipeline = around.pipeline
        self._writer = writer
        self._draw = draw
        self._settle = settle
        self._say = say
        self._pause = threading.Event()
        self.kinds: dict[str, Callable[[], None]] = {
            "kill a role": self._kill_a_role,
            "pause a role past its session": self._pause_a_role,
            "kill the supervisor": self._kill_the_supervisor,
            "restart the broker": self._restart_the_broker,
            "lock the buffer": self._lock_the_buffer,
            "break the rules file": self._break_the_rules_file,
            "break a schema and kill a role": self._break_a_schema,
            "cut the connections": self._cut_the_connections,
            "hold what the connections carry": self._hold_the_connections,
            "delay what the connections carry": self._delay_the_connections,
            "leave the connections half-open": self._leave_half_open,
            "fill the disk": self._fill_the_disk,
            "set the clock": self._set_the_clock,
            "recreate the orders topic": self._recreate_the_topic,
            "wipe the broker": self._wipe_the_broker,
        }
        self._others = OthersFaults(around, writer, draw, settle, self.wait, self._restart, say)
        self.kinds |= self._others.kinds

    def play(self, kind: str) -> None:
        """Has it happen."""
        self.kinds[kind]()

    def wait(self, seconds: float) -> None:
        """Lets the pipeline go on for so long."""
        self._pause.wait(seconds)

    # -- processes

    def _kill_a_role(self) -> None:
        self._signal(self._pid_of(*self._draw.choice(ROLES)), signal.SIGKILL)

    def _pause_a_role(self) -> None:
        pid = self._pid_of(*self._draw.choice(ROLES))
        self._signal(pid, signal.SIGSTOP)
        try:
            self.wait(PAUSE_S)
        finally:
            self._signal(pid, signal.SIGCONT)

    def _kill_the_supervisor(self) -> None:
        self._restart(signal.SIGKILL)

    def _restart(self, number: signal.Signals) -> None:
        """Has the supervisor end by this signal, its roles with it, and starts another one."""
        supervisor = self._pid_of("up", 0)
        pids = [supervisor, *(self._pid_of(*role) for role in ROLES)]
        self._signal(supervisor, number)
        wait_for("the end of all roles", lambda: not any(alive(pid) for pid in pids))
        self._pipeline.start("up")
        wait_for("its successor", lambda: not set(pids) & {self._pid_of(*role) for role in ROLES})

    def _pid_of(self, role: str, instance: int) -> int:
        def found() -> int:
            for status in read_roles(self._pipeline.data_dir):
                if (status.role, status.instance) == (role, instance) and alive(status.pid):
                    return status.pid
            return 0

        return wait_for(f"{role}-{instance}", found)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            self._say(f"process {pid} was gone already")

    # -- files

    def _lock_the_buffer(self) -> None:
        database = self._pipeline.settings.database_file
        with closing(sqlite3.connect(database, isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN IMMEDIATE")
            self.wait(LOCKED_S)
            other.execute("ROLLBACK")

    def _break_the_rules_file(self) -> None:
        with _broken(self._around.rules):
            self.wait(BROKEN_FILE_S)

    def _break_a_schema(self) -> None:
        with _broken(self._around.schemas / "order.v2.avsc"):
            self._kill_a_role()
            self.wait(BROKEN_FILE_S)

    def _fill_the_disk(self) -> None:
        self._around.disk.fill()
        self.wait(FULL_S)
        self._around.disk.free()

    # -- the clock, which stays where it was set, whatever happens next

    def _set_the_clock(self) -> None:
        ahead_s = self._draw.choice([0, self._draw.uniform(-BEHIND_S, 0), self._draw.uniform(0, AHEAD_S)])
        self._say(f"the clock is {ahead_s:+.0f} s ahead")
        self._around.clock.set(ahead_s)

    # -- connections

    def _cut_the_connections(self) -> None:
        self._to_the_proxies(TcpProxy.cut)
        self.wait(LINE_DOWN_S)
        self._to_the_proxies(TcpProxy.mend)

    def _hold_the_connections(self) -> None:
        self._to_the_proxies(TcpProxy.hold)
        self.wait(LINE_DOWN_S)
        self._to_the_proxies(TcpProxy.mend)

    def _delay_the_connections(self) -> None:
        for proxy in self._around.proxies:
            proxy.delay_s = DELAY_S
        self.wait(DELAYED_S)
        self._to_the_proxies(TcpProxy.mend)

    def _leave_half_open(self) -> None:
        self._to_the_proxies(TcpProxy.half_open)

    def _to_the_proxies(self, do: Callable[[TcpProxy], None]) -> None:
        for proxy in self._around.proxies:
            do(proxy)

    # -- the broker; what it forgets must have been read before, or nobody could say what was lost

    def _restart_the_broker(self) -> None:
        self._around.kafka.restart(1)

    def _recreate_the_topic(self) -> None:
        with self._writer.pausing():
            self._settle()
            recreate_topic(self._pipeline.cluster, self._pipeline.settings.orders_topic)

    def _wipe_the_broker(self) -> None:
        with self._writer.pausing():
            self._settle()
            self._around.kafka.wipe()
            self._others.tell_that_it_holds_no_copies()


@contextmanager
def _broken(file: Path) -> Iterator[None]:
    whole = file.read_bytes()
    file.write_text("= [")
    try:
        yield
    finally:
        file.write_bytes(whole)


def copy_of_settings_files(folder: Path) -> tuple[Path, Path]:
    """A rules file and a schemas folder that may be broken."""
    rules = folder / "rules.toml"
    shutil.copy(PROJECT_DIR / "rules.toml", rules)
    schemas = folder / "schemas"
    shutil.copytree(PROJECT_DIR / "schemas", schemas)
    return rules, schemas
