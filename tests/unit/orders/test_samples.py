"""Sample orders: plausible, repeatable, with the faults asked for."""

from pathlib import Path

import pytest

from pipeline.errors import UndecodableError
from pipeline.headers.own import FAULT_REASON, TRANSIENT_FAILURES, last_text
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.sample_requests import ProduceRequest
from pipeline.orders.samples import CATALOGUE, REFERENCE_REASON, SAMPLE, SampleOrders
from pipeline.orders.serde import OrderCodec

CODEC = OrderCodec(SchemaStore(Path(__file__).parents[3] / "schemas"))
NOW_MS = 1_790_000_000_000


def samples(job_id=7, **request):
    return SampleOrders(ProduceRequest(**request), job_id, "request", "orders", CODEC, lambda: NOW_MS)


def kinds(request):
    """What each sample of a request turns out to be, judged by its record alone."""
    found = []
    for sample in samples(**request).between(1, request["count"]):
        try:
            order = CODEC.decode(sample.value)
        except UndecodableError:
            found.append("malformed")
            continue
        plausible = 0 < order.price_cents <= 100_000_00 and order.product and order.created_at_ms <= NOW_MS
        transient = last_text(sample.headers, TRANSIENT_FAILURES)
        found.append("transient" if transient else "valid" if plausible else "invalid")
    return found


def test_the_same_seed_makes_the_same_orders():
    assert list(samples(count=2500, seed=5).between(1, 2500)) == list(samples(count=2500, seed=5).between(1, 2500))


def test_another_seed_makes_other_orders():
    first = [sample.value for sample in samples(count=20, seed=1).between(1, 20)]
    assert first != [sample.value for sample in samples(count=20, seed=2).between(1, 20)]


@pytest.mark.parametrize("first", [1, 2, 999, 1000, 1001, 1500, 2000])
def test_a_job_that_goes_on_in_the_middle_makes_what_it_would_have_made(first):
    whole = list(samples(count=2500, malformed_share=0.2).between(1, 2500))
    assert list(samples(count=2500, malformed_share=0.2).between(first, 2200)) == whole[first - 1 : 2200]


def test_the_shares_are_met_to_the_order():
    found = kinds({"count": 1000, "invalid_share": 0.1, "transient_share": 0.2, "malformed_share": 0.05, "seed": 3})
    assert [found.count(kind) for kind in ("invalid", "transient", "malformed", "valid")] == [100, 200, 50, 650]


@pytest.mark.parametrize("kind", ["invalid", "transient", "malformed"])
def test_a_share_of_one_is_all_of_them(kind):
    assert set(kinds({"count": 300, f"{kind}_share": 1.0})) == {kind}


def test_without_shares_every_order_is_valid():
    assert set(kinds({"count": 300})) == {"valid"}


def test_prices_are_those_of_the_catalogue():
    prices = {product: (lowest, highest) for product, lowest, highest, _ in CATALOGUE}
    for sample in samples(count=500).between(1, 500):
        order = CODEC.decode(sample.value)
        lowest, highest = prices[order.product]
        assert lowest <= order.price_cents <= highest + 9


def test_few_customers_order_much():
    orders = [CODEC.decode(sample.value) for sample in samples(count=5000).between(1, 5000)]
    by_customer = [order.customer_id for order in orders]
    counts = sorted((by_customer.count(customer) for customer in set(by_customer)), reverse=True)
    assert counts[0] > 10 * counts[len(counts) // 2]
    assert len(counts) > 300


def test_the_key_is_the_customer_and_every_record_carries_its_send_id():
    for number, sample in enumerate(samples(count=5).between(1, 5), 1):
        assert sample.key.decode() == CODEC.decode(sample.value).customer_id
        assert last_text(sample.headers, SAMPLE) == sample.send_id == f"request:{number}"


def test_order_ids_are_unique_across_jobs():
    ids = {CODEC.decode(sample.value).order_id for job in (1, 2) for sample in samples(job, count=50).between(1, 50)}
    assert len(ids) == 100


def test_in_the_reference_scenario_only_order_15_fails_and_for_good():
    made = list(samples(count=20, scenario="reference").between(1, 20))
    failing = [sample.send_id for sample in made if last_text(sample.headers, TRANSIENT_FAILURES)]
    assert failing == ["request:15"]
    assert last_text(made[14].headers, FAULT_REASON) == REFERENCE_REASON
    assert len({sample.key for sample in made}) == 20
