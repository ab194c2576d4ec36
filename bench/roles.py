"""Runs roles of the pipeline as users do, by `python -m pipeline ROLE`, and looks at what they do from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.buffer import Reader
from pipeline.errors import BufferUnavailableError
from scripts.waiting import wait_for

END_WITHIN_S = 30
LIMIT_S = 600.0
LOOK_EVERY_S = 0.02
"""How exactly a moment is measured."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Role:
    """A role that runs while the `with` block does."""

    def __init__(self, name: str, data_dir: Path, settings: dict[str, str], instance: int = 0) -> None:
        environment = os.environ | {f"ORDERPULSE_{key}": value for key, value in settings.items()}
        environment["ORDERPULSE_DATA_DIR"] = str(data_dir)
        data_dir.mkdir(exist_ok=True)
        self._log = (data_dir / f"{name}-{instance}.log").open("wb")
        command = [sys.executable, "-m", "pipeline", name, "--instance", str(instance)]
        self._process = subprocess.Popen(command, env=environment, stderr=self._log, stdout=self._log)

    def cpu_s(self) -> float:
        """CPU time so far, of all its threads, in user and kernel mode."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def memory_mb(self) -> float:
        """Resident memory now."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def hold(self) -> None:
        """Stops it where it is."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Lets it go on."""
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self.go_on()
        self._process.wait(END_WITHIN_S)
        self._log.close()


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast something went. `cpu_us` is what one took of one core, `memory_mb` the most that was resident."""

    per_s: float
    cpu_us: float
    memory_mb: float


def rate_until(total: int, count: Callable[[], int], roles: list[Role], limit_s: float = 1800) -> Rate:
    """The rate from the first that are counted to the last of `total`, so without start-up."""
    first, memory_mb = 0, 0.0

    def begun() -> bool:
        nonlocal first
        first = count()
        return first > 0

    def done() -> bool:
        nonlocal memory_mb
        memory_mb = max(memory_mb, *(role.memory_mb() for role in roles))
        return count() >= total

    wait_for("the first of them", begun, limit_s, LOOK_EVERY_S)
    began, cpu_s = time.monotonic(), sum(role.cpu_s() for role in roles)
    wait_for(f"the last of {total:,}", done, limit_s, LOOK_EVERY_S)
    seconds, many = time.monotonic() - began, max(1, total - first)
    spent_s = sum(role.cpu_s() for role in roles) - cpu_s
    return Rate(many / max(seconds, LOOK_EVERY_S), spent_s / many * 1e6, memory_mb)


class Buffer:
    """What the buffer of a data folder holds, before and after it is there."""

    def __init__(self, data_dir: Path) -> None:
        self.file = data_dir / "orderpulse.db"
        self.reader = Reader(self.file)

    def orders(self) -> int:
        """Orders accepted."""
        with suppress(BufferUnavailableError):
            return self.reader.totals().orders
        return 0

    def dead_letters(self) -> int:
        """Dead letters collected."""
        with suppress(BufferUnavailableError):
            return self.reader.totals().dead_letters
        return 0

    def next_offsets(self) -> list[int]:
        """Where each partition of the orders topic that a processor has taken over is to be read on."""
        with suppress(BufferUnavailableError):
            partitions = self.reader.partitions()
            roles, offsets = partitions.column("role"), partitions.column("next_offset")
            return [offset for role, offset in zip(roles, offsets, strict=True) if role == "processor"]
        return []
