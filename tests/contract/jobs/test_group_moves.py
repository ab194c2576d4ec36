"""A split moves dead letters in steps: restartable, and beside whoever else does the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.buffer import Reader, open_buffer, recount
from pipeline.buffer.sqlite.groups.moves import BYTES_AT_ONCE, LETTERS_AT_ONCE
from pipeline.crash_points import FOLDER_VARIABLE
from pipeline.settings import PROJECT_DIR
from tests.support.buffer_rows import NOW_MS, collect, collector, dead_letter

LETTERS = 3 * LETTERS_AT_ONCE + 10
COMMAND = [sys.executable, "-m", "pipeline", "groups", "split", "price", "--reason", "tea"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A buffer with one group, every second dead letter of which is to be split off."""
    path = tmp_path / "orderpulse.db"
    with open_buffer(path) as buffer:
        assignment = collector(buffer)
        rows = [
            dead_letter(assignment.ref, each, reason=f"no {'tea' if each % 2 else 'mug'}") for each in range(LETTERS)
        ]
        collect(buffer, assignment, 0, *rows)
    return path


def totals(path: Path) -> list[int]:
    with Reader(path) as reader:
        return sorted(reader.groups(NOW_MS).column("total"))


def test_who_dies_while_letters_are_moved_leaves_nothing_half_done_and_the_next_goes_on(path: Path, tmp_path) -> None:
    folder = tmp_path / "points"
    folder.mkdir()
    (folder / "groups").write_text("groups: move not committed")
    environment = {**os.environ, "ORDERPULSE_DATA_DIR": str(path.parent)}
    died = subprocess.run(COMMAND, cwd=PROJECT_DIR, env=environment | {FOLDER_VARIABLE: str(folder)}, timeout=60)
    assert died.returncode == -signal.SIGKILL
    assert totals(path) == [LETTERS]
    assert recount(path) == []
    # As the worker does it.
    with open_buffer(path) as buffer:
        while buffer.groups.move():
            pass
    assert totals(path) == [LETTERS // 2, LETTERS - LETTERS // 2]
    assert recount(path) == []


def test_two_who_move_at_once_move_each_letter_once(path: Path) -> None:
    with open_buffer(path) as buffer:
        buffer.groups.split("price", "reason", "tea", "ann", NOW_MS)
    failed: list[BaseException] = []

    def moving() -> None:
        try:
            with open_buffer(path) as buffer:
                while buffer.groups.move():
                    pass
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=moving) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert totals(path) == [LETTERS // 2, LETTERS - LETTERS // 2]
    assert recount(path) == []


def test_large_letters_are_held_against_the_rules_a_few_at_once(tmp_path: Path) -> None:
    with open_buffer(tmp_path / "orderpulse.db") as buffer:
        assignment = collector(buffer)
        large = bytes(BYTES_AT_ONCE // 3)
        collect(buffer, assignment, 0, *(dead_letter(assignment.ref, each, value=large) for each in range(7)))
        buffer.groups.split("price", "reason", "price", "ann", NOW_MS)
        assert max(iter(buffer.groups.move, 0)) < 4
    assert totals(tmp_path / "orderpulse.db") == [7]
