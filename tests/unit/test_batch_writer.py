"""What the writer of batches says of its own pace."""

from collections.abc import Iterator

import pytest

from pipeline.batch_writer import BIG_RECORDS, SLOW_MS, TOLD_FOR_MS, BatchWriter


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
    writer = BatchWriter(time)
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
