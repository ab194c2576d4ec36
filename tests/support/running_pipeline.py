"""A real pipeline in a folder of its own: processes started by the command line, ended by their process ids."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.buffer import Reader
from pipeline.kafka import Cluster, Sender, find_cluster
from pipeline.running.statusboard import RoleStatus, read_roles
from pipeline.settings import PROJECT_DIR, Settings, load_settings
from scripts.waiting import DEADLINE_S, wait_for


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter when it ends between opening and reading
        return False


class RunningPipeline:
    """One data folder with `up` or single roles running on it."""

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        self.data_dir = data_dir
        self.settings: Settings = load_settings(data_dir=data_dir, **settings)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ORDERPULSE_")}
        self.environment["ORDERPULSE_DATA_DIR"] = str(data_dir)
        for name, value in settings.items():
            self.environment[f"ORDERPULSE_{name.upper()}"] = value if isinstance(value, str) else json.dumps(value)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._latest: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts `python -m pipeline …` in the background; it ends with us."""
        log = (self.data_dir / f"{arguments[0]}.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *arguments, "--end-with-stdin"],
            cwd=PROJECT_DIR,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
        log.close()
        self._processes.append(process)
        self._latest[arguments[0]] = process
        return process

    def started(self, command: str) -> subprocess.Popen[bytes]:
        """The process that was started last with this command."""
        return self._latest[command]

    def command(self, *arguments: str, deadline_s: float = DEADLINE_S) -> subprocess.CompletedProcess[str]:
        """Runs `python -m pipeline …` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "pipeline", *arguments],
            cwd=PROJECT_DIR,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=deadline_s,
            check=False,
        )

    def up(self) -> subprocess.Popen[bytes]:
        """Starts all roles and waits until each of them runs."""
        process = self.start("up")
        self.wait_until_running()
        return process

    def wait_until_running(self) -> None:
        """Waits until every role has said that it runs, the processors with partitions."""
        roles = {*self.settings.roles, *(["broker"] if self.settings.demo else [])}
        wait_for(f"{', '.join(sorted(roles))} running", lambda: roles <= {role.role for role in self.running()})

    def running(self) -> list[RoleStatus]:
        """The roles that run and are heard; a processor only when it has partitions."""
        now_ms = time.time_ns() // 1_000_000
        return [
            role
            for role in read_roles(self.data_dir)
            if role.state == "running"
            and not role.silent(now_ms)
            and (role.role != "processor" or role.figures.get("partitions"))
        ]

    def role(self, name: str) -> RoleStatus | None:
        """The last word of a role."""
        return next((role for role in read_roles(self.data_dir) if role.role == name), None)

    def kill(self, role: str) -> None:
        """Ends a role the hard way, by its process id."""
        status = self.role(role)
        assert status is not None
        os.kill(status.pid, signal.SIGKILL)

    def status(self) -> dict[str, Any]:
        """What `status --json` says."""
        answer = self.command("status", "--json")
        assert answer.returncode == 0, answer.stderr
        report: dict[str, Any] = json.loads(answer.stdout)
        return report

    @property
    def cluster(self) -> Cluster:
        """Where its Kafka is."""
        return find_cluster(self.settings)

    @contextlib.contextmanager
    def reader(self) -> Iterator[Reader]:
        """A look at its buffer."""
        with Reader(self.settings.database_file, limit_ms=30_000) as reader:
            yield reader

    def firing(self) -> set[str]:
        """The rules whose alerts fire."""
        with self.reader() as reader:
            alerts = reader.alerts(10)
        return {
            rule for rule, state in zip(alerts.column("rule"), alerts.column("state"), strict=True) if state == "firing"
        }

    def settled(self) -> int:
        """Orders and dead letters in the buffer."""
        with self.reader() as reader:
            totals = reader.totals()
        return totals.orders + totals.dead_letters

    def send(
        self, *records: tuple[bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]], topic: str = ""
    ) -> None:
        """Puts records (key, value, headers) onto a topic, the orders topic unless another one is named."""
        errors: list[str] = []
        sender = Sender(self.settings, self.cluster)
        for key, value, headers in records:
            sender.send(
                topic or self.settings.orders_topic,
                key,
                value,
                headers,
                lambda delivery: errors.append(delivery.error) if delivery.error else None,
            )
        assert sender.flush(30.0) == 0
        assert errors == []

    def log(self, name: str = "up") -> str:
        """What a process has printed."""
        return (self.data_dir / f"{name}.log").read_text(errors="replace")

    def end(self) -> None:
        """Ends what was started, politely first."""
        for process in self._processes:
            if process.stdin is not None:
                process.stdin.close()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
