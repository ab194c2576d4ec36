"""What the read side promises: never a silent cut, never a file that is no longer there, never a write."""

import os
import sqlite3
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pipeline.buffer import DeadLetterFilter, OrderFilter, Reader, open_buffer
from pipeline.buffer.sqlite import reader as reads
from pipeline.buffer.views import Count
from pipeline.errors import BufferCorruptError, BufferTooNewError, BufferUnavailableError
from pipeline.search.query import Query, Text
from tests.support.buffer_rows import accept, collect_many, processor


@pytest.fixture
def path(tmp_path):
    return tmp_path / "orderpulse.db"


def filled(path, orders=50, dead_letters=0):
    with open_buffer(path) as buffer:
        accept(buffer, processor(buffer), 0, orders)
        if dead_letters:
            collect_many(buffer, dead_letters)
    return path


def test_a_reader_sees_what_was_committed(path):
    with Reader(filled(path, 50, 4)) as reader:
        assert (reader.totals().orders, reader.totals().dead_letters) == (50, 4)
        assert reader.status_counts() == {"open": 4}
        assert reader.orders(OrderFilter(), limit=7).cut == ""
        assert [letter.id for letter in reader.dead_letters(DeadLetterFilter(), limit=2)] == [4, 3]


def test_more_rows_than_the_cap_are_cut_and_it_says_so(path):
    with Reader(filled(path), row_cap=10) as reader:
        found = reader.orders(OrderFilter(), limit=50)
        assert (len(found.rows), found.cut) == (10, "only the first 10 are shown")
        assert reader.orders(OrderFilter(), limit=10).cut == ""


def test_a_query_over_the_time_limit_is_stopped_and_it_says_so(path):
    with Reader(filled(path, 20_000), limit_ms=0) as reader:
        found = reader.orders(OrderFilter(min_price_cents=1000))
        assert (found.rows, found.cut) == ([], "stopped after 0 s: narrow the filter")
        assert reader.count_orders(OrderFilter(min_price_cents=1000)) == Count(0, True)


def test_a_stopped_query_does_not_stop_the_next_one(path):
    with Reader(filled(path, 20_000), limit_ms=0) as reader:
        assert reader.orders(OrderFilter(min_price_cents=1000)).cut
        assert reader.totals().orders == 20_000


def test_a_slow_query_holds_up_nobody_else(path, monkeypatch):
    begun, release = threading.Event(), threading.Event()

    @contextmanager
    def slow(connection, limit_ms):
        if threading.current_thread() is reading:
            begun.set()
            assert release.wait(10)
        yield

    monkeypatch.setattr(reads, "limited", slow)
    with Reader(filled(path)) as reader:
        reading = threading.Thread(target=reader.orders, args=(OrderFilter(),))
        reading.start()
        assert begun.wait(10)
        assert reader.data_version()
        assert reader.totals().orders == 50
        release.set()
        reading.join()


def test_an_answer_that_cannot_say_it_was_cut_is_an_error_instead(path):
    with Reader(filled(path, 1, 3000), limit_ms=0) as reader:
        with pytest.raises(BufferUnavailableError, match="narrow the filter"):
            reader.dead_letters(DeadLetterFilter(Query((Text("nowhere to be found"),))))
        with pytest.raises(BufferUnavailableError, match="not whole"):
            reader.dead_letter_values("dialect")


def test_without_a_buffer_there_is_nothing_to_read_until_it_is_made(path):
    with Reader(path) as reader:
        with pytest.raises(BufferUnavailableError, match="no buffer"):
            reader.totals()
        filled(path, 3)
        assert reader.totals().orders == 3


def test_a_buffer_that_is_just_being_made_is_unavailable(path):
    path.touch()
    with Reader(path) as reader, pytest.raises(BufferUnavailableError, match="being made"):
        reader.totals()


def test_a_replaced_buffer_is_opened_again(path, tmp_path):
    with Reader(filled(path, 3)) as reader:
        before = reader.data_version()
        assert reader.totals().orders == 3
        os.replace(filled(tmp_path / "restored.db", 5), path)
        assert reader.totals().orders == 5
        assert reader.data_version() != before


def test_a_buffer_that_was_moved_away_is_unavailable(path, tmp_path):
    with Reader(filled(path, 3)) as reader:
        reader.totals()
        path.rename(tmp_path / "elsewhere.db")
        with pytest.raises(BufferUnavailableError):
            reader.totals()


def test_the_data_version_changes_with_every_write_and_only_then(path):
    with open_buffer(path) as buffer, Reader(path) as reader:
        assignment = processor(buffer)
        before = reader.data_version()
        assert reader.data_version() == before
        accept(buffer, assignment, 0, 1)
        assert reader.data_version() != before


def test_garbage_and_newer_layouts_are_told_apart(path, tmp_path):
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"no database at all, just text" * 100)
    with Reader(garbage) as reader, pytest.raises(BufferCorruptError):
        reader.totals()
    with closing(sqlite3.connect(filled(path))) as connection:
        connection.execute("PRAGMA user_version = 99")
    with Reader(path) as reader, pytest.raises(BufferTooNewError):
        reader.totals()


def test_a_relative_path_is_read_like_any_other(path, monkeypatch):
    monkeypatch.chdir(filled(path, 2).parent)
    with Reader(Path(path.name)) as reader:
        assert reader.totals().orders == 2


def test_lists_hold_the_beginning_of_long_texts_and_one_dead_letter_is_whole(path):
    long, short = "é" * 600_000, "é" * 2_000
    with open_buffer(path) as buffer:
        collect_many(buffer, 1, reason=long, stacktrace=long)
        accept(buffer, processor(buffer), 0, 1, product=short)
    with Reader(path) as reader:
        [letter] = reader.dead_letters(DeadLetterFilter())
        assert letter.reason == "é" * 2_000 + "… (1,200,000 bytes)"
        assert reader.order_values("product") == [short]
        detail = reader.dead_letter(letter.id)
        assert (detail.row.reason, detail.stacktrace) == (long, long)
