"""Records of one partition, as they were fetched."""

from __future__ import annotations

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE, Message

from pipeline.kafka import Fetched
from pipeline.records import LastRead

COUNT = 10_000


def message(offset: int, timestamp: tuple[int, int]) -> Message:
    return Message(topic="orders", partition=0, offset=offset, key=b"k", value=b"v", timestamp=timestamp)


@pytest.mark.parametrize("newest", [0, 1, COUNT // 2 + 1, COUNT - 2, COUNT - 1])
def test_the_latest_timestamp_is_found_wherever_it_is_in_a_large_batch(newest):
    fetched = Fetched([message(each, (TIMESTAMP_CREATE_TIME, 1000 + (each == newest))) for each in range(COUNT)])
    last = LastRead.of(COUNT - 1, 1000 + (newest == COUNT - 1), b"k", b"v")
    assert fetched.last_read() == (last, 1001)


def test_records_without_a_time_have_no_latest_one():
    assert Fetched([message(0, (TIMESTAMP_NOT_AVAILABLE, -1))]).last_read()[1] == -1
