"""Apicurio, a schema registry with Confluent's API, on a free port of this machine, its schemas in memory."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from scripts.local.class_archive import with_kept_classes
from scripts.local.fetch import registry_home
from scripts.local.process import JavaProcess, LocalService, free_ports

START_S = 90.0
STOP_S = 60.0
"""One whose classes are kept writes them when it is asked to end."""
ANSWER_S = 5.0
HEAP_MB = 320
CONNECTIONS = {"initial-size": 1, "min-size": 1, "max-size": 10}
"""Of its pools to the database in its own memory; it opens 20 of each at once if it is let."""


class ApicurioRegistry(LocalService):
    """One registry; `with ApicurioRegistry(folder) as registry` starts and stops it.

    Its log is in `folder`. Stopped, it has forgotten every schema. Start it from a thread that outlives it.
    With `java_options` the JVM gets those instead of what makes use of classes that are kept.
    """

    def __init__(self, folder: Path, java_options: Sequence[str] | None = None) -> None:
        self._folder = folder
        self._java = with_kept_classes(registry_home()) if java_options is None else tuple(java_options)
        [self._port] = free_ports(1)
        self._process: JavaProcess | None = None

    @property
    def url(self) -> str:
        """Where a Confluent-compatible client finds it."""
        return f"http://127.0.0.1:{self._port}/apis/ccompat/v7"

    def start(self) -> None:
        """Runs it and waits until it answers; after `stop` on the same port. Raises LocalServiceError."""
        settings = {"quarkus.http.host": "127.0.0.1", "quarkus.http.port": self._port, "quarkus.log.level": "WARN"}
        for pool in ("", "blue.", "green."):
            settings |= {f"apicurio.datasource.{pool}jdbc.{name}": size for name, size in CONNECTIONS.items()}
        [jar] = registry_home().glob("*-runner.jar")
        self._process = JavaProcess(
            (
                *self._java,
                f"-Xmx{HEAP_MB}m",
                *(f"-D{name}={each}" for name, each in settings.items()),
                "-jar",
                str(jar),
            ),
            self._folder / "registry.log",
        )
        self._process.wait_until("up", self._answers, START_S)

    def stop(self) -> None:
        """Asks it to end and waits until it has."""
        if self._process is not None:
            self._process.ask_to_end()
            self._process.wait_for_end(STOP_S)
            self._process = None

    def kill(self) -> None:
        """Ends it without a word (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int:
        """The process id; 0 when it was not started."""
        return self._process.pid if self._process is not None else 0

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=ANSWER_S) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False
