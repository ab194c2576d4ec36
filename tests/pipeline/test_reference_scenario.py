"""The demonstration it began with: 20 orders, one of which fails for good."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline.buffer import DeadLetterFilter, OrderFilter
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.sample_requests import ProduceRequest
from pipeline.orders.samples import REFERENCE_REASON, SampleOrders
from pipeline.orders.serde import OrderCodec
from pipeline.settings import PROJECT_DIR
from scripts.waiting import wait_for


@pytest.mark.alone
def test_nineteen_succeed_and_order_15_is_dead_lettered_after_three_retries_two_seconds_apart(pipeline_with):
    pipeline = pipeline_with(retry_preset="fixed")
    pipeline.up()

    assert pipeline.command("produce", "--scenario", "reference").returncode == 0
    with pipeline.reader() as reader:
        wait_for("19 orders while order 15 waits", lambda: reader.totals().orders == 19, 5)
        waiting = reader.parked()
        assert waiting.column("attempts")[0] in (1, 2)
        assert reader.totals().dead_letters == 0

        wait_for("the dead letter", lambda: reader.totals().dead_letters == 1, 15)
        [letter] = reader.dead_letters(DeadLetterFilter())
        orders = reader.orders(OrderFilter(), limit=100)
        totals = reader.totals()

    [sample] = SampleOrders(
        ProduceRequest(20, scenario="reference"),
        1,
        "x",
        "orders",
        OrderCodec(SchemaStore(pipeline.settings.schemas_dir)),
        lambda: 0,
    ).between(15, 15)
    expected = OrderCodec(SchemaStore(pipeline.settings.schemas_dir)).decode(sample.value)
    assert letter.order_id == expected.order_id == "ORD-1-000015"
    assert (letter.product, letter.price_cents) == (expected.product, expected.price_cents)
    assert letter.reason == REFERENCE_REASON
    assert letter.attempts == 4
    assert letter.created_at_ms is not None
    assert 6000 <= letter.failed_at_ms - letter.first_failed_at_ms < 7500
    assert len(orders.rows) == totals.orders == 19
    assert totals.revenue_cents == sum(orders.column("price_cents"))
    assert totals.average_cents == sum(orders.column("price_cents")) / 19
    assert set(orders.column("attempts")) == {1}


@pytest.mark.alone
def test_make_demo_plays_it_on_the_console():
    played = subprocess.run(
        [sys.executable, "-m", "scripts.demo"],
        cwd=PROJECT_DIR,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert played.returncode == 0, played.stderr
    assert "19 orders are processed; order 15 waits for its retries (1 parked)" in played.stdout
    assert REFERENCE_REASON in played.stdout
    assert "4 attempts, 3 of them retries, over 6." in played.stdout
