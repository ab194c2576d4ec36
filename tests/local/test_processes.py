"""Nothing that was started for a test outlives it, however the test ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from pipeline.settings import PROJECT_DIR
from scripts.local.process import JavaProcess, LocalServiceError
from scripts.waiting import wait_for
from tests.support.running_pipeline import alive

START_IT = """
import sys, threading
from pathlib import Path
from scripts.local.registry import ApicurioRegistry
with ApicurioRegistry(Path(sys.argv[1])) as registry:
    print(registry.pid, flush=True)
    threading.Event().wait()
"""


def test_a_process_ends_with_the_one_that_started_it_even_when_that_is_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", START_IT, str(tmp_path)], cwd=PROJECT_DIR, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        java_pid = int(parent.stdout.readline())
        assert alive(java_pid)
        parent.kill()
    wait_for("its end", lambda: not alive(java_pid), 10)


def test_a_program_that_ends_at_once_is_an_error_with_what_it_said(tmp_path):
    process = JavaProcess(("no.such.Main",), tmp_path / "example.log")
    with pytest.raises(LocalServiceError, match=r"example ended before up:\n(.*\n)*.*ClassNotFoundException"):
        process.wait_until("up", lambda: False, 30.0)


def test_ctrl_c_ends_make_kafka_and_takes_its_data_away(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "scripts.local"],
        cwd=PROJECT_DIR,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdout is not None
        lines = [started.stdout.readline() for _ in range(3)]
        [folder] = tmp_path.iterdir()
        started.send_signal(signal.SIGINT)
        assert started.wait(30) == 0
    assert lines[0].startswith("export ORDERPULSE_BOOTSTRAP_SERVERS=127.0.0.1:")
    assert lines[1].startswith("export ORDERPULSE_SCHEMA_REGISTRY_URL=http://127.0.0.1:")
    assert str(folder) in lines[2]
    assert not folder.exists()
