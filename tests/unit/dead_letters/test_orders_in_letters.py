"""The order in a dead letter is read as one of the topic that it came from, with the time that it had there."""

from __future__ import annotations

import json

import pytest

from pipeline.dead_letters.collector import orders_in
from pipeline.headers import failure_headers
from pipeline.orders.order_reader import OrderReader
from pipeline.records import Order, Position, Record
from tests.support.buffer_rows import NOW_MS
from tests.support.flow_in_process import CODEC
from tests.support.mapped import mapped

FILE = """
[topics.web]
order_id = "id"
customer_id = "header:customer"
product = { constant = "tea" }
price = "total"
created_at = "timestamp"

[topics.app]
order_id = "id"
customer_id = "key"
product = { constant = "cup" }
price = { path = "total", unit = "minor" }
created_at = "timestamp"
"""
FAILED_AT_MS = NOW_MS + 60_000


def letter(topic, timestamp_ms=None, append_time=False):
    headers = failure_headers(
        Position(topic, 0, 7),
        stage="VALUE_CONVERTER",
        class_name="a.Handler",
        exception_class="an.Error",
        message="no",
        stacktrace="",
        timestamp_ms=timestamp_ms,
        attempts=1,
        first_failed_at_ms=FAILED_AT_MS,
        failed_at_ms=FAILED_AT_MS,
        rule="price",
        dead_letter_id="1" * 32,
    )
    value = json.dumps({"id": "A-1", "total": 250}).encode()
    place = Position("orders-dlq", 0, 0)
    return Record(place, FAILED_AT_MS, b"C-2", value, (("customer", b"C-1"), *headers), append_time=append_time)


@pytest.mark.parametrize("append_time", [False, True])
def test_it_is_read_by_the_section_of_its_own_topic_with_its_own_time(append_time):
    reader = OrderReader(CODEC, mapped(FILE))
    letters = [letter(topic, NOW_MS, append_time) for topic in ("web", "app", "elsewhere", "web")]
    web = Order("A-1", "C-1", "tea", 25_000, NOW_MS)
    assert orders_in(letters, reader) == [web, Order("A-1", "C-2", "cup", 250, NOW_MS), None, web]


def test_a_time_that_nobody_told_is_that_of_the_dead_letter():
    [found] = orders_in([letter("web")], OrderReader(CODEC, mapped(FILE)))
    assert found is not None
    assert found.created_at_ms == FAILED_AT_MS
