"""The list of crash points is the list of those that the code reaches."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys

import pytest

from pipeline.crash_points import FOLDER_VARIABLE, POINTS
from pipeline.settings import PROJECT_DIR

DIE = "from pipeline.crash_points import reached; reached('worker: job begun'); print('alive')"


def points_in_the_code() -> list[str]:
    found = []
    for path in sorted((PROJECT_DIR / "pipeline").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "reached":
                [point] = node.args
                assert isinstance(point, ast.Constant), f"{path.name} line {node.lineno}: a point is a text"
                found.append(point.value)
    return found


def test_every_point_in_the_code_is_listed_and_every_listed_one_is_in_the_code_once():
    assert sorted(points_in_the_code()) == sorted(POINTS)


@pytest.mark.parametrize(
    ("told", "ends_with", "left"),
    [
        ("worker: job begun\nworker: job ended", -signal.SIGKILL, "worker: job ended"),
        ("worker: job ended", 0, "worker: job ended"),
        ("", 0, ""),
    ],
)
def test_a_process_dies_at_the_first_point_it_is_told_and_at_no_other(tmp_path, told, ends_with, left):
    (tmp_path / "worker").write_text(told)
    environment = os.environ | {FOLDER_VARIABLE: str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", DIE], cwd=PROJECT_DIR, env=environment, check=False)
    assert ended.returncode == ends_with
    assert (tmp_path / "worker").read_text() == left
