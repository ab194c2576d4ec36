"""Dead letters of an older layout are stored as new ones are while everything goes on, however often that dies."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.letters import LetterLoad, fill_buffer
from pipeline.buffer import DeadLetterFilter, Reader, Retention, back_up, open_buffer, recount
from pipeline.buffer.sqlite.stores.compaction import LETTERS_AT_ONCE
from pipeline.crash_points import FOLDER_VARIABLE, POINTS
from pipeline.search.query import Named, Query
from pipeline.settings import PROJECT_DIR, load_settings
from pipeline.watching.upkeep import STEPS_AT_ONCE, Upkeep
from tests.support.buffer_rows import NOW_MS, collect, collector, dead_letter
from tests.support.layout_dump import layout_file, load
from tests.support.older_layout import as_layout_10

LOAD = LetterLoad(4500, causes=20)
POINTS_HERE = tuple(point for point in POINTS if point.startswith("compaction: "))
COMPACTS = """
import sys
from pathlib import Path
from pipeline.buffer import open_buffer
with open_buffer(Path(sys.argv[1])) as buffer:
    while buffer.upkeep.compact():
        pass
"""

LATER = {"dead_letters_by_stack", "dead_letters_by_set"}
"""Indexes that are made of what was stored anew."""


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A buffer of layout 10."""
    folder = tmp_path_factory.mktemp("older")
    fill_buffer(folder / "newest.db", LOAD)
    as_layout_10(folder / "newest.db", folder / "older.db")
    return folder / "older.db"


@pytest.fixture
def path(older: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "orderpulse.db"
    copy.write_bytes(older.read_bytes())
    return copy


def public_rows(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM dead_letters ORDER BY id").fetchall()


def compacted(path: Path) -> int:
    """How many steps it took."""
    with open_buffer(path) as buffer:
        steps = 0
        while buffer.upkeep.compact():
            steps += 1
        while buffer.upkeep.incremental_vacuum():
            pass
    return steps


def test_every_row_reads_the_same_before_meanwhile_and_after(path: Path) -> None:
    before = public_rows(path)
    with open_buffer(path) as buffer:
        assert public_rows(path) == before
        used = buffer.upkeep.used_bytes()
        progress = buffer.upkeep.compact()
        assert progress is not None
        assert progress.done == LETTERS_AT_ONCE
        assert progress.total == LOAD.letters
        # Some are stored in the one way, some in the other.
        assert public_rows(path) == before
        assert recount(path) == []
    assert compacted(path) == -(-LOAD.letters // LETTERS_AT_ONCE) - 1
    assert public_rows(path) == before
    assert recount(path) == []
    with open_buffer(path) as buffer:
        assert buffer.upkeep.used_bytes() < used / 5


def test_all_goes_on_meanwhile(path: Path) -> None:
    with open_buffer(path) as buffer:
        assert buffer.upkeep.compact()
        assignment = collector(buffer)
        collect(buffer, assignment, 0, *(dead_letter(assignment.ref, offset, f"new {offset}") for offset in range(5)))
        buffer.dead_letters.triage(range(1, 60), "discarded", NOW_MS)
        while pruned := buffer.upkeep.prune(Retention(dead_letters_before_ms=LOAD.until_ms + 1)):
            assert pruned.dead_letters
        assert recount(path) == []
        while buffer.upkeep.compact():
            pass
        assert recount(path) == []
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM dead_letter_rows WHERE kind_ref IS NULL").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM dead_letters WHERE dead_letter_id LIKE 'new %'").fetchone() == (
            5,
        )


@pytest.mark.parametrize("point", POINTS_HERE)
def test_it_goes_on_where_it_died(path: Path, tmp_path: Path, point: str) -> None:
    before = public_rows(path)
    (tmp_path / "compaction").write_text(f"{point}\n{point}")
    for _ in range(2):
        told = os.environ | {FOLDER_VARIABLE: str(tmp_path)}
        died = subprocess.run([sys.executable, "-c", COMPACTS, str(path)], cwd=PROJECT_DIR, env=told, check=False)
        assert died.returncode == -9
        assert public_rows(path) == before
        assert recount(path) == []
    compacted(path)
    assert public_rows(path) == before
    assert recount(path) == []


@pytest.mark.parametrize("version", range(1, 11))
def test_dead_letters_of_every_released_layout_read_the_same_afterwards(tmp_path: Path, version: int) -> None:
    path = tmp_path / "orderpulse.db"
    load(layout_file(version).read_text(), path)
    open_buffer(path).close()
    before = public_rows(path)
    assert compacted(path) == 1
    assert public_rows(path) == before
    assert recount(path) == []
    assert compacted(path) == 0


def test_what_reads_all_of_them_waits_until_they_are_small(path: Path) -> None:
    # Whoever opens the buffer waits for its steps, and roles begin with that.
    open_buffer(path).close()
    assert not LATER & set(indexes(path))
    text = DeadLetterFilter(Query((Named("stack", "java"),)))
    with Reader(path) as reader:
        before = reader.find(text).ids
    assert before
    with open_buffer(path) as buffer:
        assert not buffer.texts.index_some()
        assert not LATER & set(indexes(path))
        while buffer.upkeep.compact():
            pass
        while buffer.texts.index_some():
            pass
    assert set(indexes(path)) >= LATER
    with Reader(path) as reader:
        assert reader.find(text).ids == before


def indexes(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}


def test_the_worker_does_it_in_its_rounds_and_says_how_far_it_is(path: Path) -> None:
    with open_buffer(path) as buffer:
        upkeep = Upkeep(load_settings(), buffer, lambda _: False)
        upkeep.round(NOW_MS)
        share = STEPS_AT_ONCE * LETTERS_AT_ONCE / LOAD.letters
        assert upkeep.detail == f"storing dead letters of an older layout as new ones: {share:.0%} of {LOAD.letters:,}"
        for second in range(1, 60):
            upkeep.round(NOW_MS + second * 11_000)
        assert upkeep.detail == ""
    with closing(sqlite3.connect(path)) as connection:
        said = [message for (message,) in connection.execute("SELECT message FROM events ORDER BY id DESC LIMIT 2")]
    assert said[0].startswith("all dead letters of an older layout are stored as new ones now")
    assert "dead letters of an older layout are being stored as new ones are" in said[1]


def test_a_backup_in_the_middle_of_it_goes_on_from_there(path: Path, tmp_path: Path) -> None:
    before = public_rows(path)
    with open_buffer(path) as buffer:
        buffer.upkeep.compact()
    back_up(path, tmp_path / "backup.db")
    compacted(tmp_path / "backup.db")
    assert public_rows(tmp_path / "backup.db") == before
    assert recount(tmp_path / "backup.db") == []
