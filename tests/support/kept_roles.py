"""Roles that are started again whenever they die at a crash point, without the supervisor's growing waits."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from pipeline.crash_points import FOLDER_VARIABLE
from scripts.waiting import wait_for
from tests.support.running_pipeline import RunningPipeline

Answer = TypeVar("Answer")
END_S = 10.0


class KeptRoles:
    """Processes of some roles of a pipeline; whoever waits here looks after them meanwhile."""

    def __init__(self, pipeline: RunningPipeline, folder: Path, roles: Iterable[str]) -> None:
        self.pipeline = pipeline
        self._folder = folder
        folder.mkdir()
        pipeline.environment[FOLDER_VARIABLE] = str(folder)
        self._deaths = Counter[str]()
        self._processes: dict[str, subprocess.Popen[bytes]] = {role: pipeline.start(role) for role in roles}

    def die_at(self, role: str, points: Iterable[str]) -> None:
        """Has a role die at each of these points, one after the other."""
        names = list(points)
        self._deaths[role] = -len(names)
        (self._folder / role).write_text("\n".join(names))

    def has_died(self, role: str) -> bool:
        """Whether a role has died at all the points that it was told, and lives again."""
        return self._deaths[role] == 0

    def end(self, role: str) -> None:
        """Ends a role politely."""
        process = self._processes.pop(role)
        process.terminate()
        # One that was started a moment ago, and does not listen to signals yet, is ended by the signal itself.
        assert process.wait(END_S) in (0, -signal.SIGTERM), self.pipeline.log(role)

    def start(self, role: str) -> None:
        """Starts a role that was ended."""
        self._processes[role] = self.pipeline.start(role)

    def wait_for(self, what: str, condition: Callable[[], Answer]) -> Answer:
        """As the function of that name."""

        def looked_after() -> Answer:
            for role, process in self._processes.items():
                self._look_after(role, process)
            return condition()

        return wait_for(what, looked_after)

    def _look_after(self, role: str, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is not None:
            assert process.returncode == -signal.SIGKILL, self.pipeline.log(role)
            self._deaths[role] += 1
            self._processes[role] = self.pipeline.start(role)
