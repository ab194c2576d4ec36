"""Faults of many kinds, one after another by a seeded schedule, against a pipeline on Apache Kafka under load.

An outsider writes and counts. When the last fault is over, the buffer must agree with its count, and `check` with both.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pipeline.kafka import ClusterView
from pipeline.settings import PROJECT_DIR
from pipeline.statusboard import read_roles
from scripts.local.cluster import KafkaCluster
from tests.support.order_writer import Kind, OrderWriter
from tests.support.running_pipeline import RunningPipeline, wait_for

ROLES = (("processor", 0), ("processor", 1), ("collector", 0), ("worker", 0))
FAULTY: dict[int, Kind] = {7: "invalid", 23: "malformed", 41: "transient", 42: "transient", 80: "invalid"}
SESSION_MS = 6000
PAUSE_S = SESSION_MS / 1000 + 2
LOCKED_S = 11.0  # longer than a role waits for another writer
SETTLE_S = 180.0


@dataclass(frozen=True, slots=True)
class Result:
    """What a run did and how it ended."""

    faults: dict[str, int]
    records: int
    orders: int
    dead_letters: int
    took_s: float


class Chaos:
    """One run in a folder of its own. `say` is told each fault as it happens."""

    def __init__(self, folder: Path, kafka: KafkaCluster, seed: int, say: Callable[[str], None]) -> None:
        name = f"chaos-{uuid.uuid4().hex[:8]}"
        self._kafka = kafka
        self._draw = random.Random(seed)
        self._say = say
        self._pause = threading.Event()
        self._rules = folder / "rules.toml"
        self._rules.write_text((PROJECT_DIR / "rules.toml").read_text())
        data_dir = folder / "data"
        data_dir.mkdir()
        self.pipeline = RunningPipeline(
            data_dir,
            bootstrap_servers=kafka.bootstrap_servers,
            orders_topic=name,
            dlq_topics=f"{name}-dlq",
            group_id=name,
            topic_partitions=6,
            processors=2,
            rules_file=str(self._rules),
            kafka_config={"session.timeout.ms": SESSION_MS},
        )
        self._faults: dict[str, Callable[[], None]] = {
            "kill a role": self._kill_a_role,
            "pause a role past its session": self._pause_a_role,
            "kill the supervisor": self._kill_the_supervisor,
            "restart the broker": self._restart_the_broker,
            "lock the buffer": self._lock_the_buffer,
            "break the rules file": self._break_the_rules_file,
        }

    def run(self, faults: int, rate_per_s: int) -> Result:
        """Plays so many faults under that load. Raises AssertionError when anything was lost, doubled or is stuck."""
        began_s = time.monotonic()
        played = dict.fromkeys(self._faults, 0)
        ClusterView(self.pipeline.settings, self.pipeline.cluster).ensure_topic(self.pipeline.settings.orders_topic)
        self.pipeline.up()
        try:
            with OrderWriter(self.pipeline, rate_per_s, FAULTY) as writer:
                for number in range(1, faults + 1):
                    # Every kind once first, so that a short run has met them all.
                    kinds = list(self._faults)
                    kind = kinds[number - 1] if number <= len(kinds) else self._draw.choice(kinds)
                    self._say(f"{number}: {kind}")
                    self._faults[kind]()
                    played[kind] += 1
                    self._pause.wait(self._draw.uniform(0.2, 2.0))
            self._hold_against(writer)
        except AssertionError as error:
            error.add_note(self._last_words())
            raise
        finally:
            self.pipeline.end()
        account = writer.account
        return Result(played, account.records, account.orders, account.dead_letters, time.monotonic() - began_s)

    def _hold_against(self, writer: OrderWriter) -> None:
        account = writer.account
        with self.pipeline.reader() as reader:
            wait_for(f"all {account.records} records", lambda: self.pipeline.settled() >= account.records, SETTLE_S)
            totals = reader.totals()
            wait_for("an empty outbox", lambda: reader.outbox_count() == 0)
            assert reader.parked_count() == 0
        found = (totals.orders, totals.revenue_cents, totals.dead_letters)
        assert found == (account.orders, account.revenue_cents, account.dead_letters)
        checked = self.pipeline.command("check", deadline_s=SETTLE_S)
        assert checked.returncode == 0, checked.stdout + checked.stderr

    def _last_words(self) -> str:
        roles = [
            f"{role.role}-{role.instance} {role.state}: {role.detail} {role.figures}"
            for role in read_roles(self.pipeline.data_dir)
        ]
        return "\n".join([*roles, f"{self.pipeline.settled()} settled", *self.pipeline.log().splitlines()[-40:]])

    # -- the faults; each is over when it returns, but for what the pipeline has to do about it

    def _kill_a_role(self) -> None:
        self._signal(self._pid_of(*self._draw.choice(ROLES)), signal.SIGKILL)

    def _pause_a_role(self) -> None:
        pid = self._pid_of(*self._draw.choice(ROLES))
        self._signal(pid, signal.SIGSTOP)
        try:
            self._pause.wait(PAUSE_S)
        finally:
            self._signal(pid, signal.SIGCONT)

    def _kill_the_supervisor(self) -> None:
        pids = [self._pid_of(*role) for role in ROLES]
        self._signal(self._pid_of("up", 0), signal.SIGKILL)
        wait_for("the end of its roles", lambda: not any(_alive(pid) for pid in pids))
        self.pipeline.start("up")
        wait_for("its successor", lambda: not set(pids) & {self._pid_of(*role) for role in ROLES})

    def _restart_the_broker(self) -> None:
        self._kafka.restart(1)

    def _lock_the_buffer(self) -> None:
        with closing(sqlite3.connect(self.pipeline.settings.database_file, isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN IMMEDIATE")
            self._pause.wait(LOCKED_S)
            other.execute("ROLLBACK")

    def _break_the_rules_file(self) -> None:
        whole = self._rules.read_text()
        self._rules.write_text("price_min = [")
        self._pause.wait(2.0)
        self._rules.write_text(whole)

    def _pid_of(self, role: str, instance: int) -> int:
        def found() -> int:
            for status in read_roles(self.pipeline.data_dir):
                if (status.role, status.instance) == (role, instance) and _alive(status.pid):
                    return status.pid
            return 0

        return wait_for(f"{role}-{instance}", found)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            self._say(f"process {pid} was gone already")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
