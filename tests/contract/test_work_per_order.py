"""Counts the work that orders cause, which no busy machine changes: a slow-down of the hot path fails here.

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
from pipeline.headers.orderpulse import TRANSIENT_FAILURES
from pipeline.records import Order
from pipeline.requests import ProduceRequest
from pipeline.samples import SampleOrders
from tests.contract.conftest import SqliteStore
from tests.support.buffer_rows import NOW_MS
from tests.support.flow_in_process import CODEC, FlowInProcess, Incoming

PARTITIONS = (0, 1, 2, 3)
ORDERS = 4000


def batch(first: int, transient: int = 0, invalid: int = 0) -> list[Incoming]:
    """Orders of as many customers; of each hundred, some fail once and some break a rule."""
    made = []
    for number in range(first, first + ORDERS):
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


def test_a_sample_order_takes_few_calls():
    samples = SampleOrders(
        ProduceRequest(count=ORDERS, transient_share=0.05), 1, "request", "orders", CODEC, lambda: NOW_MS
    )
    found = counted(lambda: list(samples.between(1, ORDERS)))
    assert found["call"] / ORDERS <= 12.5
    assert found["c_call"] / ORDERS <= 7.7
