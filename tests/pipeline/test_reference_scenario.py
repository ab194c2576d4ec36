"""The demonstration it began with: 20 orders, one of which fails for good."""

from __future__ import annotations

from pipeline.buffer import DeadLetterFilter, OrderFilter
from pipeline.requests import ProduceRequest
from pipeline.samples import REFERENCE_REASON, SampleOrders
from pipeline.serde import OrderCodec, SchemaStore
from tests.support.running_pipeline import wait_for


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
