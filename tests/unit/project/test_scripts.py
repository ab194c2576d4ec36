"""What a new user meets before anything runs: each obstacle is one clear line."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.settings import PROJECT_DIR


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=PROJECT_DIR,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def one_line(text: str) -> str:
    [line] = text.strip().splitlines()
    return line


def test_a_python_that_is_too_old_is_named(tmp_path):
    old = tmp_path / "python3"
    # Answers as Python 3.9 does: the version check fails, and the version is told.
    old.write_text('#!/bin/sh\ncase "$2" in *version.split*) echo 3.9.2 ;; *) exit 1 ;; esac\n')
    old.chmod(0o755)
    answer = run("sh", "scripts/make_venv.sh", str(old), str(tmp_path / "venv"))
    assert answer.returncode == 1
    assert "needs Python 3.11 or newer" in one_line(answer.stderr)
    assert "3.9.2" in answer.stderr
    assert not (tmp_path / "venv").exists()


def test_a_python_that_is_not_there_is_named(tmp_path):
    answer = run("sh", "scripts/make_venv.sh", "python-that-is-not-there", str(tmp_path / "venv"))
    assert answer.returncode == 1
    assert "there is no python-that-is-not-there" in one_line(answer.stderr)


def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = run(sys.executable, "-m", "scripts.preflight", str(port))
    assert answer.returncode == 1
    assert f"port {port} is in use" in one_line(answer.stderr)


@pytest.mark.parametrize("port", ["abc", "99999", "0", "-1", "", "8501.0", "80 81", "8_501", "٣", "1" * 5000, "$x"])
def test_what_is_no_port_is_named(port, tmp_path):
    answer = run(sys.executable, "-m", "scripts.preflight", port, ORDERPULSE_DATA_DIR=str(tmp_path))
    assert answer.returncode == 1
    assert f"PORT={port} is no port" in one_line(answer.stderr)


@pytest.mark.parametrize("port", ["abc", "99999", ""])
def test_make_run_says_so_and_starts_nothing(port, tmp_path):
    # As make does it, with Streamlit in the place of which something would be seen.
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    (tmp_path / "installed").touch()
    streamlit = folder / "streamlit"
    streamlit.write_text("#!/bin/sh\necho started >&2\n")
    streamlit.chmod(0o755)
    ours = ("-o", f"{tmp_path}/installed", f"VENV={tmp_path}", f"BIN={folder}", f"PORT={port}")
    answer = run("make", "-s", "run", *ours, ORDERPULSE_DATA_DIR=str(tmp_path / "data"))
    assert answer.returncode != 0
    # Inside of another make, as in `make test`, its own lines begin with make[1].
    said = [line for line in answer.stderr.splitlines() if not re.match(r"make(\[\d+\])?: ", line)]
    assert [f"PORT={port} is no port" in line for line in said] == [True]


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for command in (("-m", "scripts.preflight", "1"), ("-m", "pipeline", "up")):
        answer = run(sys.executable, *command, ORDERPULSE_DATA_DIR=str(Path(file) / "data"))
        assert answer.returncode == 1
        assert "cannot be written" in one_line(answer.stderr)
        assert "ORDERPULSE_DATA_DIR" in answer.stderr


def test_what_no_test_runs_whole_can_be_imported():
    folders = ("bench", "scripts", "tests/chaos", "tests/fuzz")
    files = [file.relative_to(PROJECT_DIR) for folder in folders for file in (PROJECT_DIR / folder).rglob("*.py")]
    # What we are measured against, and what a shop writes its orders with, is installed for `make bench` alone.
    others = {"peers", "shop"}
    modules = [".".join(file.with_suffix("").parts) for file in files if others.isdisjoint(file.parts)]
    assert "bench.__main__" in modules
    answer = run(sys.executable, "-c", "\n".join(f"import {module}" for module in sorted(modules)))
    assert answer.returncode == 0, answer.stderr
