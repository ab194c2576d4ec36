"""What a process is spared when it starts: the app and the tests start many."""

from __future__ import annotations

import subprocess
import sys

from pipeline.settings import PROJECT_DIR

AFTER_THE_START = """
import gc, os, pipeline.__main__ as command_line
command_line.main(["config"])
import numpy
print()
print(len(os.listdir("/proc/self/task")), gc.get_threshold()[0])
"""


def test_no_library_starts_threads_that_nobody_needs_and_what_is_imported_is_not_searched_for_garbage(tmp_path):
    environment = {"ORDERPULSE_DATA_DIR": str(tmp_path), "PATH": ""}
    started = subprocess.run(
        [sys.executable, "-c", AFTER_THE_START],
        cwd=PROJECT_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert started.stdout.splitlines()[-1] == "1 100000"
