"""What is fetched from outside is what this project was tested with, or it is not used."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.local.fetch import compare
from scripts.local.process import LocalServiceError

JAR = b"a jar"
KNOWN = f"{hashlib.sha256(JAR).hexdigest()}  kafka/a.jar\n"


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "a.jar").write_bytes(JAR)
    return tmp_path


def refusal(folder: Path) -> str:
    with pytest.raises(LocalServiceError) as refused:
        compare(folder, KNOWN)
    [line] = str(refused.value).splitlines()
    return line


def test_files_with_their_recorded_checksums_are_taken(downloads):
    compare(downloads, KNOWN)


def test_a_file_that_differs_is_named_in_one_line_with_both_checksums(downloads):
    (downloads / "kafka" / "a.jar").write_bytes(b"another jar")
    line = refusal(downloads)
    assert "kafka/a.jar" in line
    assert hashlib.sha256(b"another jar").hexdigest() in line
    assert hashlib.sha256(JAR).hexdigest() in line


def test_a_file_that_nobody_recorded_is_refused(downloads):
    (downloads / "kafka" / "b.jar").write_bytes(b"stowaway")
    assert "kafka/b.jar" in refusal(downloads)


def test_a_file_that_did_not_come_is_named(downloads):
    (downloads / "kafka" / "a.jar").unlink()
    assert "kafka/a.jar" in refusal(downloads)


def test_no_maven_is_one_line_that_says_what_to_install(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "scripts.local.fetch"],
        env={"XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "there is no mvn; on Debian: sudo apt-get install" in ended.stderr.splitlines()[-1]
    assert [path.name for path in (tmp_path / "orderpulse").iterdir()] == ["fetch.lock"]
