"""Keeps a pipeline running for the app: one guardian a server process, which starts `python -m pipeline up` whenever
nobody else runs one on the data folder, and ends its own with the app."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from pathlib import Path

import streamlit as st

from dashboard.shared.configuration import settings
from pipeline.running.folder_owner import is_running
from pipeline.settings import PROJECT_DIR

LOG_FILE = "pipeline.log"
LOG_LIMIT_BYTES = 10_000_000
TAIL_BYTES = 8192
LOOK_EVERY_S = 0.5
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
SETTLED_LOOKS = 40
# The supervisor gives its roles 4 s to end.
END_S = 6.0


class Guardian:
    """Watches one data folder from a thread of its own. `trouble` says why its pipeline does not run."""

    def __init__(self, data_dir: Path) -> None:
        self.trouble = ""
        self._data_dir = data_dir
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._wait_s = FIRST_WAIT_S
        self._thread = threading.Thread(target=self._watch, name="pipeline-guardian", daemon=True)

    def start(self) -> None:
        """Begins to watch, and ends what it started when this process exits."""
        atexit.register(self.end)
        self._thread.start()

    def end(self) -> None:
        """Stops watching and ends the pipeline it started; another supervisor's goes on."""
        self._ending.set()
        self._thread.join()
        if self._process is not None:
            _end(self._process)

    def _watch(self) -> None:
        wait_s = 0.0
        while not self._ending.wait(wait_s):
            wait_s = self._look_after()

    def _look_after(self) -> float:
        """Starts a pipeline where none runs, and stays with it while it does; returns the seconds until the next."""
        if is_running(self._data_dir):
            self.trouble = ""
            return LOOK_EVERY_S
        try:
            self._process = _start(self._data_dir)
        except OSError as error:
            self.trouble = f"the pipeline cannot be started: {error}"
        else:
            self._stay_with(self._process)
            if self._ending.is_set():
                return 0.0
            self._process = None
            # It may have lost a race against another supervisor, which is no trouble.
            self.trouble = "" if is_running(self._data_dir) else f"the pipeline ended: {last_line(self._data_dir)}"
        wait_s, self._wait_s = self._wait_s, min(self._wait_s * 2, LONGEST_WAIT_S)
        return wait_s

    def _stay_with(self, process: subprocess.Popen[bytes]) -> None:
        looks = 0
        while process.poll() is None and not self._ending.wait(LOOK_EVERY_S):
            looks += 1
            if looks == SETTLED_LOOKS:
                self.trouble, self._wait_s = "", FIRST_WAIT_S


def keep_pipeline_running() -> None:
    """Sees to it that a pipeline runs on the data folder, unless the settings leave that to somebody else."""
    if settings().autostart:
        _guardian(settings().data_dir)


def pipeline_trouble() -> str:
    """Why the pipeline that the app looks after does not run; empty when it does, or when it is not the app's."""
    return _guardian(settings().data_dir).trouble if settings().autostart else ""


def last_line(data_dir: Path) -> str:
    """The last thing the pipeline's log says."""
    try:
        with (data_dir / LOG_FILE).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = log.read().decode(errors="replace").split("\n")
    except FileNotFoundError:
        return "it left no word"
    said = [line.strip() for line in lines if line.strip()]
    return said[-1].removeprefix("orderpulse: ") if said else "it left no word"


@st.cache_resource(show_spinner=False)
def _guardian(data_dir: Path) -> Guardian:
    guardian = Guardian(data_dir)
    guardian.start()
    return guardian


def _start(data_dir: Path) -> subprocess.Popen[bytes]:
    log_file = data_dir / LOG_FILE
    if log_file.exists() and log_file.stat().st_size > LOG_LIMIT_BYTES:
        log_file.replace(log_file.with_suffix(".log.old"))
    with log_file.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", "up", "--end-with-stdin"],
            cwd=PROJECT_DIR,
            # Nobody writes to this pipe: it closes when we end, however we end, and that ends the pipeline.
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            # Ctrl-C in the app's terminal is for the app, which then ends the pipeline in order.
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.terminate()
