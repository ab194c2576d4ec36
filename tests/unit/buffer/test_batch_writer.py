"""What the writer of batches says of its own pace, and who may use the buffer meanwhile."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.buffer import Assignment, Batch, Buffer, open_buffer
from pipeline.buffer.batch_writer import (
    BIG_RECORDS,
    LONG_MS,
    MIN_RECORDS,
    REPORTED_FOR_MS,
    SHORT_MS,
    SLOW_MS,
    BatchWriter,
)
from tests.support.buffer_rows import NOW_MS, ORDERS, accept

MAX_RECORDS = 10_000


class Time:
    """A clock that only stands still or is moved."""

    def __init__(self) -> None:
        self.now_ms = 1

    def __call__(self) -> int:
        return self.now_ms

    def passes(self, ms: int) -> None:
        self.now_ms += ms


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def buffer(tmp_path: Path) -> Iterator[Buffer]:
    with open_buffer(tmp_path / "orderpulse.db") as opened:
        yield opened


@pytest.fixture
def writer(buffer: Buffer, time: Time) -> Iterator[BatchWriter]:
    writer = BatchWriter(buffer, MAX_RECORDS, time)
    yield writer
    writer.close()


@pytest.mark.parametrize("records", [1, BIG_RECORDS])
def test_a_slow_batch_is_told_for_a_while(writer, time, records):
    writer.write(lambda _: time.passes(SLOW_MS - 1), records)
    writer.finish()
    assert writer.trouble == ""
    writer.write(lambda _: time.passes(SLOW_MS + 500), records)
    writer.finish()
    assert "a batch took 2.5 s" in writer.trouble
    time.passes(REPORTED_FOR_MS)
    assert writer.trouble != ""
    time.passes(1)
    assert writer.trouble == ""


def test_quick_batches_do_not_hide_a_slow_one_before_them(writer, time):
    writer.write(lambda _: time.passes(SLOW_MS), 1)
    writer.write(lambda _: time.passes(1), 1)
    assert "2.0 s" in writer.trouble


def test_a_batch_that_takes_long_is_told_while_it_lasts(writer, time):
    go_on, reported = threading.Event(), []

    def report() -> None:
        time.passes(SLOW_MS)
        reported.append(writer.trouble)
        go_on.set()

    writer.write(lambda _: go_on.wait(), BIG_RECORDS)
    writer.finish(report)
    assert "a batch has taken 2 s so far" in reported[0]


def test_batches_become_smaller_while_writing_is_slow_and_grow_again(writer, time):
    writer.write(lambda _: time.passes(4 * LONG_MS), 1000)
    writer.finish()
    assert writer.records_at_once == 250
    writer.write(lambda _: time.passes(LONG_MS), 250)
    assert writer.records_at_once == 250
    writer.write(lambda _: time.passes(100 * LONG_MS), 250)
    assert writer.records_at_once == MIN_RECORDS
    for _ in range(20):
        writer.write(lambda _: time.passes(SHORT_MS - 1), 50)
    assert writer.records_at_once == MAX_RECORDS


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def processor_at(writer: BatchWriter) -> Assignment:
    return writer.flow.assign("processor", ORDERS, 0, 0, NOW_MS)


def test_who_asks_for_the_buffer_while_a_batch_is_being_written_gets_it_after_the_batch(writer, go_on):
    asking, order = threading.Event(), []

    def commit(buffer: Buffer) -> None:
        go_on.wait()
        accept(buffer, partition, 0, 3)
        order.append("batch")

    def ask() -> int:
        asking.set()
        assigned = processor_at(writer)
        order.append("another")
        return assigned.next_offset

    partition = processor_at(writer)
    with ThreadPoolExecutor(1) as pool:
        writer.write(commit, BIG_RECORDS)
        asked = pool.submit(ask)
        asking.wait()
        go_on.set()
        assert asked.result() == 3
    assert order == ["batch", "another"]


@pytest.mark.parametrize("use", ["reads", "writes"])
def test_a_store_that_somebody_kept_cannot_be_used_while_a_batch_is_being_written(writer, buffer, go_on, use):
    kept = writer.flow
    calls = {"reads": lambda: kept.parked([1]), "writes": lambda: kept.commit(Batch(NOW_MS))}
    writer.write(lambda _: go_on.wait(), BIG_RECORDS)
    with pytest.raises(RuntimeError, match="while a batch is being written"):
        calls[use]()
    # Even before its thread has got anywhere the batch has it, and after it whoever asks.
    go_on.set()
    writer.wait()
    calls[use]()


@pytest.mark.parametrize("records", [1, BIG_RECORDS])
def test_after_a_batch_that_failed_the_buffer_can_be_used(writer, records):
    def write_and_finish() -> None:
        writer.write(lambda _: 1 // 0, records)
        writer.finish()

    with pytest.raises(ZeroDivisionError):
        write_and_finish()
    assert writer.flow.parked([1]) == []
    assert not writer.busy


def test_no_batch_is_begun_before_the_one_before_is_finished(writer):
    writer.write(lambda _: None, BIG_RECORDS)
    with pytest.raises(RuntimeError, match="not finished"):
        writer.write(lambda _: None, 1)
