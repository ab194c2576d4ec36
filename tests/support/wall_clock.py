"""A wall clock for a pipeline's processes that a test can set; see moved_clock/sitecustomize.py."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.support.running_pipeline import RunningPipeline

FOLDER = Path(__file__).with_name("moved_clock")


class WallClock:
    """The clock of all processes that the pipeline starts from now on."""

    def __init__(self, file: Path, pipeline: RunningPipeline) -> None:
        self._file = file
        file.write_bytes(bytes(8))
        pipeline.environment |= {"MOVED_CLOCK_FILE": str(file), "PYTHONPATH": str(FOLDER)}

    def set(self, ahead_s: float) -> None:
        """Sets it so much ahead of the true time; below zero: behind it."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("q", int(ahead_s * 1e9)))
