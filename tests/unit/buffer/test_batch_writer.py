"""What the writer of batches says of its own pace."""

import threading
from collections.abc import Iterator

import pytest

from pipeline.buffer.batch_writer import (
    BIG_RECORDS,
    LONG_MS,
    MIN_RECORDS,
    SHORT_MS,
    SLOW_MS,
    TOLD_FOR_MS,
    BatchWriter,
)

MOST = 10_000


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
def writer(time: Time) -> Iterator[BatchWriter]:
    writer = BatchWriter(MOST, time)
    yield writer
    writer.close()


@pytest.mark.parametrize("records", [1, BIG_RECORDS])
def test_a_slow_batch_is_told_for_a_while(writer, time, records):
    writer.write(lambda: time.passes(SLOW_MS - 1), records)
    writer.finish()
    assert writer.trouble == ""
    writer.write(lambda: time.passes(SLOW_MS + 500), records)
    writer.finish()
    assert "a batch took 2.5 s" in writer.trouble
    time.passes(TOLD_FOR_MS)
    assert writer.trouble != ""
    time.passes(1)
    assert writer.trouble == ""


def test_quick_batches_do_not_hide_a_slow_one_before_them(writer, time):
    writer.write(lambda: time.passes(SLOW_MS), 1)
    writer.write(lambda: time.passes(1), 1)
    assert "2.0 s" in writer.trouble


def test_a_batch_that_takes_long_is_told_while_it_lasts(writer, time):
    go_on, said = threading.Event(), []

    def say() -> None:
        time.passes(SLOW_MS)
        said.append(writer.trouble)
        go_on.set()

    writer.write(go_on.wait, BIG_RECORDS)
    writer.finish(say)
    assert "a batch has taken 2 s so far" in said[0]


def test_batches_become_smaller_while_writing_is_slow_and_grow_again(writer, time):
    writer.write(lambda: time.passes(4 * LONG_MS), 1000)
    writer.finish()
    assert writer.records_at_once == 250
    writer.write(lambda: time.passes(LONG_MS), 250)
    assert writer.records_at_once == 250
    writer.write(lambda: time.passes(100 * LONG_MS), 250)
    assert writer.records_at_once == MIN_RECORDS
    for _ in range(20):
        writer.write(lambda: time.passes(SHORT_MS - 1), 50)
    assert writer.records_at_once == MOST
