"""A backup is one state of a buffer that is being written, and restoring it loses neither the old one nor the new."""

import sqlite3
import threading
from contextlib import closing

import pytest

from pipeline.buffer import Reader, back_up, open_buffer, recount, restore
from pipeline.buffer.sqlite.connection import LAYOUT_VERSION, PAGE_BYTES
from pipeline.errors import BufferCorruptError, BufferTooNewError, BufferUnavailableError, UsageError
from tests.support.buffer_rows import NOW_MS, accept, processor


def filled(path, orders):
    with open_buffer(path) as buffer:
        accept(buffer, processor(buffer), 0, orders)
    return path


def orders_in(path):
    with Reader(path) as reader:
        return reader.totals().orders


@pytest.fixture
def path(tmp_path):
    return filled(tmp_path / "orderpulse.db", 3000)


def test_a_backup_is_the_buffer_in_one_file(path, tmp_path):
    target = tmp_path / "copy.db"
    assert back_up(path, target) == target.stat().st_size
    assert orders_in(target) == 3000
    assert recount(target) == []
    assert sorted(each.name for each in tmp_path.glob("copy*")) == ["copy.db"]


def test_a_backup_while_orders_arrive_is_one_state_and_holds_nobody_up(path, tmp_path):
    with open_buffer(path) as buffer:
        accept(buffer, processor(buffer), 3000, 60_000)
    done = threading.Event()
    written = [63_000]

    def keep_writing():
        with open_buffer(path) as buffer:
            while not done.is_set():
                accept(buffer, processor(buffer), written[0], 10)
                written[0] += 10

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        back_up(path, tmp_path / "copy.db")
    finally:
        done.set()
        writer.join()
    assert 63_000 <= orders_in(tmp_path / "copy.db") <= written[0]
    assert written[0] > 63_000
    assert recount(tmp_path / "copy.db") == []


def test_a_backup_does_not_replace_a_file(path, tmp_path):
    (tmp_path / "copy.db").write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        back_up(path, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "mine"


def test_a_backup_into_a_folder_that_is_not_there_says_so(path, tmp_path):
    with pytest.raises(UsageError, match="cannot be written"):
        back_up(path, tmp_path / "nowhere" / "copy.db")


def test_without_a_buffer_there_is_no_backup(tmp_path):
    with pytest.raises(BufferUnavailableError, match="no buffer"):
        back_up(tmp_path / "missing.db", tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_buffer_makes_no_backup(path, tmp_path):
    damage(path)
    with pytest.raises(BufferCorruptError):
        back_up(path, tmp_path / "copy.db")
    assert not list(tmp_path.glob("copy*"))


def damage(path):
    pages = path.stat().st_size // PAGE_BYTES
    with path.open("r+b") as file:
        file.seek((pages - 4) * PAGE_BYTES)
        file.write(b"\xa5" * PAGE_BYTES * 4)


def test_a_restored_buffer_is_the_one_that_was_backed_up_and_the_replaced_one_is_kept(path, tmp_path):
    back_up(path, tmp_path / "copy.db")
    with open_buffer(path) as buffer:
        accept(buffer, processor(buffer), 3000, 5)
    kept = restore(path, tmp_path / "copy.db", NOW_MS)
    assert kept == tmp_path / "orderpulse-replaced-20231114T221320Z.db"
    assert (orders_in(path), orders_in(kept)) == (3000, 3005)
    assert recount(path) == recount(kept) == []
    with open_buffer(path) as buffer:
        accept(buffer, processor(buffer), 3000, 1)


def test_what_was_only_in_the_log_of_the_replaced_buffer_is_kept_with_it(path, tmp_path):
    back_up(path, tmp_path / "copy.db")
    # Another process was killed: its log stays.
    with closing(sqlite3.connect(path, isolation_level=None)) as onlooker:
        onlooker.execute("BEGIN")
        onlooker.execute("SELECT * FROM totals").fetchone()
        with open_buffer(path) as buffer:
            accept(buffer, processor(buffer), 3000, 5)
    kept = restore(path, tmp_path / "copy.db", NOW_MS)
    assert (orders_in(path), orders_in(kept)) == (3000, 3005)


def test_where_there_is_no_buffer_a_restore_makes_one(path, tmp_path):
    back_up(path, tmp_path / "copy.db")
    assert restore(tmp_path / "fresh.db", tmp_path / "copy.db", NOW_MS) is None
    assert orders_in(tmp_path / "fresh.db") == 3000


def test_a_damaged_buffer_can_be_replaced(path, tmp_path):
    back_up(path, tmp_path / "copy.db")
    path.write_bytes(b"not a database any more" * 1000)
    kept = restore(path, tmp_path / "copy.db", NOW_MS)
    assert kept.read_bytes().startswith(b"not a database")
    assert orders_in(path) == 3000


def newer(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {LAYOUT_VERSION + 1}")


def foreign(path):
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (id)")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (damage, BufferCorruptError),
        (newer, BufferTooNewError),
        (foreign, BufferCorruptError),
        (lambda path: path.write_bytes(b"hello"), BufferCorruptError),
        (lambda path: path.write_bytes(b""), BufferUnavailableError),
        (lambda path: path.unlink(), UsageError),
    ],
    ids=["damaged", "newer", "foreign", "no database", "empty", "missing"],
)
def test_what_is_no_usable_backup_is_refused_and_the_buffer_stays(path, tmp_path, spoil, error):
    back_up(path, tmp_path / "copy.db")
    spoil(tmp_path / "copy.db")
    before = path.read_bytes()
    with pytest.raises(error, match=r"copy\.db"):
        restore(path, tmp_path / "copy.db", NOW_MS)
    assert path.read_bytes() == before
    assert not [each.name for each in tmp_path.iterdir() if "restoring" in each.name or "replaced" in each.name]


def test_the_buffer_is_not_restored_from_itself(path):
    with pytest.raises(UsageError, match="itself"):
        restore(path, path, NOW_MS)


def test_pages_that_look_on_find_the_restored_buffer(path, tmp_path):
    back_up(path, tmp_path / "copy.db")
    with open_buffer(path) as buffer:
        accept(buffer, processor(buffer), 3000, 5)
    with Reader(path) as reader:
        assert reader.totals().orders == 3005
        restore(path, tmp_path / "copy.db", NOW_MS)
        assert reader.totals().orders == 3000


def test_whoever_writes_on_notices_that_the_buffer_is_another_one(path, tmp_path):
    back_up(path, tmp_path / "copy.db")
    with open_buffer(path) as buffer:
        restore(path, tmp_path / "copy.db", NOW_MS)
        with pytest.raises(BufferUnavailableError, match="moved or replaced"):
            buffer.check_file()
