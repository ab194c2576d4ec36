"""Counts the work that orders and dead letters cause, which no busy machine changes: a slow-down fails here.

Limits are a fifth above what was counted when they were written. Who makes it slower on purpose raises them on purpose;
who makes it faster lowers them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing

import pytest

from pipeline.buffer import open_buffer
from pipeline.buffer.connection import PAGE_BYTES
from pipeline.headers.orderpulse import TRANSIENT_FAILURES
from pipeline.records import Order
from pipeline.requests import ProduceRequest
from pipeline.samples import SampleOrders
from tests.contract.conftest import SqliteStore
from tests.support.buffer_rows import NOW_MS
from tests.support.collection_in_process import CollectionInProcess, LettersByHand, our_headers
from tests.support.flow_in_process import CODEC, FlowInProcess, Incoming

PARTITIONS = (0, 1, 2, 3)
ORDERS = 4000
LETTERS = 2000


def batch(first: int, transient: int = 0, invalid: int = 0, orders: int = ORDERS) -> list[Incoming]:
    """Orders of as many customers; of each hundred, some fail once and some break a rule."""
    made = []
    for number in range(first, first + orders):
        of_hundred = number % 100
        price_cents = 0 if of_hundred < invalid else 100 + number % 7
        fails = invalid <= of_hundred < invalid + transient
        order = Order(f"ORD-{number:08}", f"C{number}", f"product {number % 15}", price_cents, NOW_MS)
        headers = ((TRANSIENT_FAILURES, b"1"),) if fails else ()
        made.append(Incoming(f"C{number}".encode(), CODEC.encode(order), headers, number % len(PARTITIONS)))
    return made


def counted(work: Callable[[], None]) -> Counter[str]:
    """How many functions were called meanwhile: `call` in Python, `c_call` in C."""
    calls: Counter[str] = Counter()
    sys.setprofile(lambda _, event, __: calls.update((event,)))
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    ("transient", "invalid", "statements", "calls", "c_calls"),
    [(0, 0, 33, 0.25, 0.25), (5, 1, 63, 5.5, 4.1)],
    ids=["all are plain", "6 % fail"],
)
def test_a_batch_takes_few_statements_and_few_calls(
    tmp_path, monkeypatch, transient, invalid, statements, calls, c_calls
):
    # Written at once, in this thread, so that all of it is counted and always in the same order.
    monkeypatch.setattr("pipeline.batch_writer.BIG_RECORDS", 2 * ORDERS)
    with open_buffer(SqliteStore(tmp_path).path) as buffer, closing(FlowInProcess(buffer, PARTITIONS)) as processor:
        processor.round(batch(0, transient, invalid), pass_ms=2500)
        executed: list[str] = []
        buffer.flow._connection.set_trace_callback(executed.append)
        # What failed in the round before is due now.
        processor.reader.give(batch(ORDERS, transient, invalid))
        found = counted(lambda: processor.flow.round(processor.reader))
    assert len(executed) <= statements
    assert found["call"] / ORDERS <= calls
    assert found["c_call"] / ORDERS <= c_calls


@pytest.mark.parametrize(("orders", "pages"), [(1, 11.2), (10, 37)])
def test_a_small_batch_writes_few_pages(tmp_path, orders, pages):
    batches = 30
    with open_buffer(SqliteStore(tmp_path).path) as buffer, closing(FlowInProcess(buffer, PARTITIONS)) as processor:
        for first in range(0, 5 * ORDERS, ORDERS):
            processor.round(batch(first))
            processor.run_dry()
        # Each page that a commit changes goes into the write-ahead log as a whole.
        assert buffer.upkeep.empty_wal(0)
        for number in range(batches):
            processor.round(batch(5 * ORDERS + number * orders, orders=orders))
        written = buffer.upkeep.wal_bytes() / PAGE_BYTES / batches
    assert written <= pages


def test_a_dead_letter_takes_few_statements_and_few_calls(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.batch_writer.BIG_RECORDS", 2 * LETTERS)
    monkeypatch.setattr("pipeline.collector.BATCH_RECORDS", LETTERS)
    reader = LettersByHand()
    for number in range(2 * LETTERS):
        order = Order(f"ORD-{number:08}", f"C{number}", f"product {number % 15}", 0, NOW_MS)
        reader.give(f"C{number}".encode(), CODEC.encode(order), our_headers(number), number % len(PARTITIONS))
    with (
        open_buffer(SqliteStore(tmp_path).path) as buffer,
        closing(CollectionInProcess(buffer, reader, len(PARTITIONS))) as collector,
    ):
        collector.collection.round()
        executed: list[str] = []
        buffer.dead_letters._connection.set_trace_callback(executed.append)
        found = counted(collector.collection.round)
    assert len(SqliteStore(tmp_path).table("dead_letters")) == 2 * LETTERS
    assert len(executed) <= 31
    assert found["call"] / LETTERS <= 93
    assert found["c_call"] / LETTERS <= 134


def test_a_sample_order_takes_few_calls():
    samples = SampleOrders(ProduceRequest(count=ORDERS, transient_share=0.05), 1, "request", CODEC, lambda: NOW_MS)
    found = counted(lambda: list(samples.between(1, ORDERS)))
    assert found["call"] / ORDERS <= 12.5
    assert found["c_call"] / ORDERS <= 7.7
