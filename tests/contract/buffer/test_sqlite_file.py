"""What SQLite adds to the contract: files that are missing, foreign, damaged, locked, full, newer or moved."""

import os
import sqlite3
from contextlib import closing

import pytest

from pipeline.buffer import open_buffer
from pipeline.buffer.sqlite.connection import CHECKPOINT_PAGES, LAYOUT_VERSION, PAGE_BYTES, WAL_REUSED_BYTES
from pipeline.errors import BufferCorruptError, BufferTooNewError, BufferUnavailableError, UsageError
from tests.support.buffer_rows import NOW_MS, accept, batch, order_row, processor


def filled(path, orders=9000):
    """A closed buffer of many pages."""
    with open_buffer(path) as buffer:
        accept(buffer, processor(buffer), 0, orders)
    return path


def damage(path):
    """Overwrites the second half of the pages: rows, not the tables' definitions."""
    pages = path.stat().st_size // PAGE_BYTES
    with path.open("r+b") as file:
        file.seek(pages // 2 * PAGE_BYTES)
        file.write(b"\xa5" * PAGE_BYTES * (pages - pages // 2))


def test_a_new_buffer_has_our_page_size_and_keeps_a_write_ahead_log(tmp_path):
    path = filled(tmp_path / "new.db", 1)
    with closing(sqlite3.connect(path)) as connection:
        pragmas = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "journal_mode")]
    assert pragmas == [PAGE_BYTES, "wal"]


@pytest.mark.parametrize("garbage", [b"not a database, but long enough to have a header" * 50, b"\x00" * 8192])
def test_a_garbage_file_is_corrupt_and_stays_as_it_is(tmp_path, garbage):
    path = tmp_path / "garbage.db"
    path.write_bytes(garbage)
    with pytest.raises(BufferCorruptError, match=r"garbage\.db"):
        open_buffer(path)
    assert path.read_bytes() == garbage


@pytest.mark.parametrize("pragma", ["application_id = 77", "user_version = 1", "user_version = 0"])
def test_a_database_of_another_program_is_refused_and_stays_as_it_is(tmp_path, pragma):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (id)")
        connection.execute(f"PRAGMA {pragma}")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(BufferCorruptError, match="another program"):
        open_buffer(path)
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_buffer(tmp_path):
    path = tmp_path / "empty.db"
    path.touch()
    filled(path, 1)


def test_a_damaged_page_is_told_as_damage(tmp_path):
    path = filled(tmp_path / "damaged.db")
    damage(path)
    with open_buffer(path) as buffer, pytest.raises(BufferCorruptError, match=r"damaged\.db"):
        accept(buffer, processor(buffer), 9000, 9000)


def test_a_newer_layout_is_refused_and_stays_as_it_is(tmp_path):
    path = filled(tmp_path / "newer.db", 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {LAYOUT_VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(BufferTooNewError, match=f"layout {LAYOUT_VERSION + 1}"):
        open_buffer(path)
    assert path.read_bytes() == before


def test_a_full_disk_writes_nothing_by_halves_and_the_batch_goes_in_when_there_is_room(tmp_path):
    path = filled(tmp_path / "full.db", 10)
    with open_buffer(path) as buffer, closing(sqlite3.connect(path)) as onlooker:
        assignment = processor(buffer)
        pages = onlooker.execute("PRAGMA page_count").fetchone()[0]
        before = list(onlooker.iterdump())
        buffer._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        step = batch(assignment.ref, 10, 5010)
        step.orders = [order_row(assignment.ref, offset) for offset in range(10, 5010)]
        with pytest.raises(BufferUnavailableError, match="full"):
            buffer.flow.commit(step)
        assert list(onlooker.iterdump()) == before
        buffer._connection.execute("PRAGMA max_page_count = 1073741823")
        buffer.flow.commit(step)
        assert onlooker.execute("SELECT orders FROM totals").fetchone() == (5010,)


def test_a_buffer_that_another_program_locks_for_long_is_unavailable(tmp_path):
    path = filled(tmp_path / "locked.db", 1)
    with open_buffer(path, busy_timeout_s=0.01) as buffer, closing(sqlite3.connect(path)) as greedy:
        greedy.execute("BEGIN IMMEDIATE")
        with pytest.raises(BufferUnavailableError, match="locked"):
            buffer.watch.event("supervisor", "info", "hello", NOW_MS)
        greedy.execute("ROLLBACK")
        buffer.watch.event("supervisor", "info", "hello", NOW_MS)


def test_a_folder_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(BufferUnavailableError, match="nowhere"):
        open_buffer(tmp_path / "nowhere" / "new.db")


def test_a_buffer_in_its_place_is_found_in_its_place(tmp_path):
    with open_buffer(tmp_path / "here.db") as buffer:
        buffer.check_file()
        accept(buffer, processor(buffer), 0, 1)
        buffer.check_file()


def test_a_moved_buffer_is_missed(tmp_path):
    path = tmp_path / "here.db"
    with open_buffer(path) as buffer:
        path.rename(tmp_path / "there.db")
        with pytest.raises(BufferUnavailableError, match="moved or replaced"):
            buffer.check_file()


def test_a_replaced_buffer_is_not_taken_for_the_one_that_was_opened(tmp_path):
    path, restored = tmp_path / "here.db", filled(tmp_path / "restored.db", 1)
    with open_buffer(path) as buffer:
        os.replace(restored, path)
        with pytest.raises(BufferUnavailableError, match="moved or replaced"):
            buffer.check_file()


@pytest.mark.parametrize("offset", [-1, 2**40])
def test_an_offset_that_does_not_fit_into_a_record_id_is_refused(offset):
    with pytest.raises(UsageError, match=str(offset)):
        order_row(1, offset)


def test_a_slow_flow_reuses_a_short_log(tmp_path):
    path = tmp_path / "slow.db"
    with open_buffer(path) as buffer, open_buffer(path, "FULL") as worker:
        assignments = [processor(buffer, number) for number in range(4)]
        lengths = set()
        for number in range(1200):
            accept(buffer, assignments[number % 4], number // 4, 1, now_ms=NOW_MS + number * 20)
            worker.watch.event("worker", "info", "hello", NOW_MS)
            lengths.add(buffer.upkeep.wal_bytes())
    assert 0.9 * CHECKPOINT_PAGES * PAGE_BYTES < max(lengths) < 1.1 * CHECKPOINT_PAGES * PAGE_BYTES


def test_a_log_that_a_long_read_made_longer_is_cut_when_the_flow_goes_on(tmp_path):
    path = tmp_path / "read.db"
    with open_buffer(path) as buffer, closing(sqlite3.connect(path, isolation_level=None)) as reader:
        assignment, offset = processor(buffer), 0
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM totals").fetchone()
        while buffer.upkeep.wal_bytes() <= 2 * WAL_REUSED_BYTES:
            accept(buffer, assignment, offset, 20_000)
            offset += 20_000
        reader.execute("COMMIT")
        # The first one writes the log back, the second begins it again.
        accept(buffer, assignment, offset, 1)
        accept(buffer, assignment, offset + 1, 1)
        assert buffer.upkeep.wal_bytes() == WAL_REUSED_BYTES
