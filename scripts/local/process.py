"""Java processes that end with this one, however it ends."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import Self

from scripts.waiting import wait_for

LEASH = Path(__file__).with_name("leash.py")
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
"""A JVM that starts fast and stays small; its peak speed matters to nobody here."""
PORTS = range(20_000, 32_000)
"""Below the ports that Linux gives to outgoing connections, so that a restarted server finds its port free."""
LOG_TAIL_LINES = 15


class LocalServiceError(Exception):
    """A local service could not be fetched or started, or ended by itself. One line, but for the tail of its log."""


class LocalService(ABC):
    """`with` starts it and ends it, also where it comes up only in part."""

    @abstractmethod
    def start(self) -> None:
        """Starts it and waits until it answers. Raises LocalServiceError."""

    @abstractmethod
    def stop(self) -> None:
        """Ends what was started of it."""

    def __enter__(self) -> Self:
        with ExitStack() as in_trouble:
            in_trouble.callback(self.stop)
            self.start()
            in_trouble.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class JavaProcess:
    """A JVM in the background, its output in a file. Ends when the thread that made it ends."""

    def __init__(self, arguments: Sequence[str], log_file: Path, cwd: Path | None = None) -> None:
        self.name = log_file.stem
        self.log_file = log_file
        with log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), program("java"), *QUICK_START, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=cwd,
                # Ctrl-C on a terminal is for whoever started us; we end what we started in our own order.
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def ask_to_end(self) -> None:
        """SIGTERM."""
        if self.alive:
            self._process.terminate()

    def wait_for_end(self, deadline_s: float) -> None:
        """Waits so long, then ends it the hard way."""
        try:
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, and waits until it is gone."""
        self._process.kill()
        self._process.wait()

    def wait_until(self, what: str, condition: Callable[[], bool], deadline_s: float) -> None:
        """Waits for a condition. Raises LocalServiceError with the log's tail when it ends or the deadline passes."""

        def holds() -> bool:
            if condition():
                return True
            if not self.alive:
                raise LocalServiceError(f"{self.name} ended before {what}:\n{self.log_tail()}")
            return False

        try:
            wait_for(what, holds, deadline_s)
        except TimeoutError as error:
            raise LocalServiceError(f"{self.name}: not {what} within {deadline_s:.0f} s:\n{self.log_tail()}") from error

    def log_tail(self) -> str:
        """The last lines it printed."""
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])


def run_java(arguments: Sequence[str], deadline_s: float, stdin: str = "") -> str:
    """What a Java program prints, run to its end. Raises LocalServiceError when it fails or takes too long."""
    try:
        ended = subprocess.run(
            [program("java"), *QUICK_START, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            errors="backslashreplace",  # records hold any bytes
            timeout=deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LocalServiceError(f"java {' '.join(arguments)} took longer than {deadline_s:.0f} s") from error
    if ended.returncode != 0:
        said = (ended.stderr + ended.stdout).strip()
        raise LocalServiceError(f"java {' '.join(arguments)} ended with {ended.returncode}: {said}")
    return ended.stdout


def program(name: str) -> str:
    """The path of a program. Raises LocalServiceError when it is not installed."""
    found = shutil.which(name)
    if found is None:
        packages = "default-jre-headless maven openssl"
        raise LocalServiceError(f"there is no {name}; on Debian: sudo apt-get install {packages}")
    return found


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on now."""
    probes: list[socket.socket] = []
    try:
        for port in SystemRandom().sample(PORTS, len(PORTS)):
            probe = socket.socket()
            probes.append(probe)
            # Without it a port that was used a minute ago counts as taken; Java's servers set it too.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                probes.remove(probe)
                probe.close()
            if len(probes) == count:
                return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
    raise LocalServiceError(f"there are no {count} free ports from {PORTS.start} to {PORTS.stop}")
