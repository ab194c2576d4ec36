"""Figures of each second, minute, product and source are kept by topic, and agree with the rows whatever happens."""

import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.buffer import (
    Advance,
    Attempted,
    Batch,
    Cut,
    OrderBlock,
    Reader,
    RereadPlan,
    Retention,
    Span,
    open_buffer,
    record_id,
    recount,
    repair,
)
from pipeline.buffer.views import Totals
from pipeline.orders.columns import columns_of
from tests.support.buffer_rows import (
    NOW_MS,
    ORDERS,
    accept,
    batch,
    collect,
    collector,
    dead_letter,
    order,
    order_row,
    parked,
    processor,
)

SHOP = replace(ORDERS, topic="shop.orders")
SECOND_MS = NOW_MS - NOW_MS % 1000
HOUR_MS = 3_600_000


def block(ref, first, *products):
    """Orders of these products that are plain, from this offset on, at 2.50 each."""
    orders = [order(f"B-{first + index}", product) for index, product in enumerate(products)]
    return OrderBlock([record_id(ref, first + index) for index in range(len(products))], columns_of(orders))


def sums(reader, topic=None, grain="minute"):
    """Orders, revenue, retries and dead letters of the last hour."""
    flow = reader.flow(grain, HOUR_MS, topic)
    return tuple(sum(flow.column(name)) for name in ("orders", "revenue_cents", "retries", "dead_letters"))


def products(reader, topic=None):
    rows = reader.product_totals(10, topic)
    return dict(zip(rows.column("product"), rows.column("orders"), strict=True))


def prune_all(buffer, until_ms=NOW_MS + HOUR_MS):
    while buffer.upkeep.prune(Retention(until_ms, until_ms)):
        pass


def reread(buffer, identity, *cuts):
    """Takes out what a topic has from these offsets on."""
    plan = RereadPlan("processor", identity, "earliest", [Span(0, 0, 9)], list(cuts), -1)
    number = buffer.rereads.begin(plan, "me", NOW_MS)
    assert buffer.rereads.close_partitions(number)
    while buffer.rereads.unfinished():
        buffer.rereads.take_orders(number, NOW_MS)


def test_a_batch_of_several_topics_counts_each_in_its_own_figures(buffer, store):
    first, second, shop = processor(buffer), processor(buffer, 1), processor(buffer, identity=SHOP)
    step = Batch(NOW_MS, [Advance(first.ref, 0, 2), Advance(second.ref, 0, 1), Advance(shop.ref, 0, 4)])
    step.blocks = [block(first.ref, 0, "tea", "tea"), block(shop.ref, 0, "tea", "mug", "mug")]
    step.parked = [parked(second.ref, 0), parked(shop.ref, 3)]
    step.failed_attempts = Counter({second.ref: 1, shop.ref: 2})
    buffer.flow.commit(step)
    # What waited in either is accepted while nothing new is read.
    again = Batch(NOW_MS + 1000, taken=[Attempted(record_id(each.ref, offset), 1) for each, offset in [
        (second, 0), (shop, 3)
    ]])  # fmt: skip
    again.settled = [each.record_id for each in again.taken]
    again.orders = [order_row(second.ref, 0, 2, price_cents=7), order_row(shop.ref, 3, 2, price_cents=11)]
    buffer.flow.commit(again)
    with Reader(store.path) as reader:
        for grain in ("second", "minute"):
            assert sums(reader, "orders", grain) == (3, 507, 1, 0)
            assert sums(reader, "shop.orders", grain) == (4, 761, 2, 0)
            assert sums(reader, None, grain) == (7, 1268, 3, 0)
        assert products(reader, "orders") == {"tea": 3}
        assert products(reader, "shop.orders") == {"mug": 2, "tea": 2}
        assert products(reader) == {"tea": 5, "mug": 2}
        assert reader.product_totals(1, "shop.orders").rows == [("mug", 2, 500)]
    assert recount(store.path) == []


def test_what_waits_is_counted_by_topic_in_all_its_generations(buffer, store):
    recreated = replace(SHOP, topic_id="recreated")
    for identity, offsets in ((ORDERS, (0,)), (SHOP, (0, 1)), (recreated, (0, 1, 2))):
        place = processor(buffer, identity=identity)
        step = batch(place.ref, 0, len(offsets))
        step.parked = [parked(place.ref, offset) for offset in offsets]
        buffer.flow.commit(step)
    with Reader(store.path) as reader:
        counts = [reader.parked_count(topic) for topic in (None, "orders", "shop.orders", "nowhere")]
    assert counts == [6, 1, 5, 0]


def test_generations_of_a_topic_are_one_in_its_figures(buffer, store):
    accept(buffer, processor(buffer), 0, 3)
    accept(buffer, processor(buffer, identity=replace(ORDERS, topic_id="recreated")), 0, 2)
    accept(buffer, processor(buffer, identity=replace(ORDERS, cluster_id="another")), 0, 1)
    assert [(row["topic"], row["orders"]) for row in store.table("flow_minutes")] == [("orders", 6)]
    assert recount(store.path) == []


def test_figures_of_a_quiet_topic_end_when_those_of_the_others_do(buffer, store):
    accept(buffer, processor(buffer), 0, 2)
    accept(buffer, processor(buffer, identity=SHOP), 0, 1, now_ms=NOW_MS + 4000)
    with Reader(store.path) as reader:
        flow = reader.flow("second", HOUR_MS, "orders")
        assert list(zip(flow.column("at_ms"), flow.column("orders"), strict=True)) == [
            (SECOND_MS, 2),
            (SECOND_MS + 4000, 0),
        ]
        assert sums(reader, "nowhere") == (0, 0, 0, 0)


def test_dead_letters_are_those_of_their_source_and_of_no_topic_without_one(buffer, store):
    accept(buffer, processor(buffer), 0, 1)
    accept(buffer, processor(buffer, identity=SHOP), 0, 1)
    dead = collector(buffer)
    sources = ["orders", "shop.orders", "shop.orders", None, "", "x" * 249, "ü" * 125, "pay\0ments"]
    rows = [dead_letter(dead.ref, offset, source_topic=source) for offset, source in enumerate(sources)]
    collect(buffer, dead, 0, *rows)
    # A copy is none more.
    collect(buffer, dead, 8, dead_letter(dead.ref, 8, "dl-1", source_topic="shop.orders", source_offset=1))
    with Reader(store.path) as reader:
        assert sums(reader, "shop.orders")[3] == sums(reader, "shop.orders", "second")[3] == 2
        assert sums(reader)[3] == len(sources)
        assert reader.topic_totals() == {"orders": Totals(1, 250, 1), "shop.orders": Totals(1, 250, 2)}
    named = {row["topic"]: row["dead_letters"] for row in store.table("dead_letter_sources")}
    assert named == {"orders": 1, "shop.orders": 2, "": 3, "x" * 249: 1, "pay\0ments": 1}
    assert recount(store.path) == []


def test_what_retention_takes_stays_in_the_figures_of_its_topic(buffer, store):
    places = {identity.topic: processor(buffer, identity=identity) for identity in (ORDERS, SHOP)}
    for topic, place in places.items():
        accept(buffer, place, 0, 3 if topic == "orders" else 5, product=topic)
    dead = collector(buffer)
    collect(buffer, dead, 0, *(dead_letter(dead.ref, at, source_topic="shop.orders") for at in range(4)))
    buffer.dead_letters.triage([1, 2], "discarded", NOW_MS)

    def figures():
        with Reader(store.path) as reader:
            of_topics = [(sums(reader, topic), products(reader, topic)) for topic in places]
            return of_topics, reader.topic_totals()

    before = figures()
    prune_all(buffer)
    assert store.table("orders") == []
    assert len(store.table("dead_letters")) == 2
    assert figures() == before
    pruned = {row["topic"]: (row["pruned_orders"], row["pruned_dead_letters"]) for row in store.table("flow_minutes")}
    assert pruned == {"orders": (3, 0), "shop.orders": (5, 2)}
    assert recount(store.path) == []


def test_a_topic_that_is_read_again_goes_out_of_its_own_figures_alone(buffer, store):
    first, shop = processor(buffer), processor(buffer, identity=SHOP)
    accept(buffer, first, 0, 4)
    accept(buffer, shop, 0, 6)
    reread(buffer, SHOP, Cut(shop.ref, 2))
    with Reader(store.path) as reader:
        for grain in ("second", "minute"):
            assert sums(reader, "orders", grain)[:2] == (4, 1000)
            assert sums(reader, "shop.orders", grain)[:2] == (2, 500)
        assert (products(reader, "orders"), products(reader, "shop.orders")) == ({"tea": 4}, {"tea": 2})
        assert reader.topic_totals()["shop.orders"] == Totals(2, 500, 0)
    assert recount(store.path) == []


def test_old_seconds_of_many_topics_are_all_dropped(buffer, store, monkeypatch):
    monkeypatch.setattr("pipeline.buffer.sqlite.stores.alerts.SECONDS_AT_ONCE", 2)
    for number in range(3):
        place = processor(buffer, identity=replace(ORDERS, topic=f"topic-{number}"))
        for offset in range(3):
            accept(buffer, place, offset, 1, now_ms=NOW_MS + offset * 1000)
    buffer.watch.prune_seconds(NOW_MS + HOUR_MS)
    assert store.table("flow_seconds") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "UPDATE flow_minutes SET topic = 'payments' WHERE topic = 'shop.orders'",
            "flow_minutes of 2023-11-14 22:13 UTC in shop.orders: orders is 0, its rows make 2",
        ),
        (
            "UPDATE product_totals SET orders = orders + 1 WHERE topic = 'shop.orders'",
            "product_totals of tea in shop.orders: orders is 3, its rows make 2",
        ),
        (
            "UPDATE dead_letter_sources SET dead_letters = 5 WHERE topic = ''",
            "dead_letter_sources of no topic: dead_letters is 5, its rows make 1",
        ),
        ("DELETE FROM dead_letter_sources", "dead_letter_sources of orders: dead_letters is 0, its rows make 1"),
    ],
)
def test_a_figure_of_a_wrong_topic_is_named_and_mended(buffer, store, change, said):
    accept(buffer, processor(buffer), 0, 1)
    accept(buffer, processor(buffer, identity=SHOP), 0, 2)
    dead = collector(buffer)
    collect(buffer, dead, 0, dead_letter(dead.ref, 0), dead_letter(dead.ref, 1, source_topic=None))
    with Reader(store.path) as reader:
        before = [sums(reader, topic) for topic in ("orders", "shop.orders")]
    with closing(sqlite3.connect(store.path)) as connection, connection:
        assert connection.execute(change).rowcount > 0
    assert said in map(str, recount(store.path))
    _, left = repair(store.path)
    assert left == []
    with Reader(store.path) as reader:
        assert [sums(reader, topic) for topic in ("orders", "shop.orders")] == before


def test_orders_of_a_topic_that_somebody_has_deleted_are_pruned_all_the_same(buffer, store):
    accept(buffer, processor(buffer), 0, 2)
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE partitions SET topic_ref = 99")
    _, left = repair(store.path)
    prune_all(buffer)
    with closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute("SELECT count(*) FROM order_rows").fetchone() == (0,)
        pruned = connection.execute("SELECT topic, pruned_orders FROM flow_minutes WHERE pruned_orders > 0").fetchall()
    assert pruned == [("", 2)]
    assert recount(store.path) == left


IDENTITIES = (ORDERS, SHOP, replace(SHOP, topic_id="recreated"))
SOURCES = (None, "orders", "shop.orders", "payments")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("orders"), st.lists(st.integers(0, 2), min_size=1, max_size=5)),
        st.tuples(st.just("letters"), st.lists(st.integers(0, 3), min_size=1, max_size=4)),
        st.tuples(st.just("prune"), st.booleans()),
        st.tuples(st.just("reread"), st.integers(0, 5)),
    ),
    min_size=5,
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_whatever_happens_each_topic_has_what_was_counted_in_it(steps):
    folder = Path(tempfile.mkdtemp(prefix="orderpulse-topics-"))
    path = folder / "orderpulse.db"
    try:
        with open_buffer(path) as buffer:
            _Model(buffer, path).run(steps)
    finally:
        shutil.rmtree(folder)


class _Model:
    """What each topic should have, beside a buffer that is told the same."""

    def __init__(self, buffer, path):
        self.buffer, self.path, self.now_ms = buffer, path, NOW_MS
        self.identities = list(IDENTITIES)
        self.orders = {}
        self.pruned = set()
        self.letters = Counter()
        self.retries = Counter()

    def run(self, steps):
        for kind, what in steps:
            self.now_ms += 20_000
            getattr(self, f"_{kind}")(what)
            self._agrees()

    def _orders(self, which):
        """A batch with an order, and a failed attempt, for each number: which topic it is of."""
        step = Batch(self.now_ms)
        for identity, count in Counter(self.identities[number] for number in which).items():
            place = processor(self.buffer, identity=identity)
            first = place.next_offset
            step.advances.append(Advance(place.ref, first, first + count))
            names = ["tea" if offset % 2 else "mug" for offset in range(first, first + count)]
            step.blocks.append(block(place.ref, first, *names))
            step.failed_attempts[place.ref] += 1
            self.retries[place.topic] += 1
            self.orders |= {(place.ref, first + at): (place.topic, name) for at, name in enumerate(names)}
        self.buffer.flow.commit(step)

    def _letters(self, which):
        dead = collector(self.buffer)
        rows = [
            dead_letter(dead.ref, dead.next_offset + at, source_topic=SOURCES[number])
            for at, number in enumerate(which)
        ]
        collect(self.buffer, dead, dead.next_offset, *rows, now_ms=self.now_ms)
        self.buffer.dead_letters.triage(range(1, dead.next_offset + 2), "discarded", self.now_ms)
        self.letters.update(SOURCES[number] for number in which)

    def _prune(self, all_of_them):
        prune_all(self.buffer, self.now_ms - (0 if all_of_them else 20_000))
        with closing(sqlite3.connect(self.path)) as connection:
            there = set(connection.execute("SELECT record_id >> 40, record_id & 1099511627775 FROM order_rows"))
        self.pruned = self.orders.keys() - there

    def _reread(self, offset):
        """The topic that was recreated, from an offset of its newest generation on."""
        identity = self.identities[2]
        place = processor(self.buffer, identity=identity)
        below = self.buffer.rereads.pruned_below([place.ref]).get(place.ref, 0)
        reread(self.buffer, identity, Cut(place.ref, max(offset, below)))
        # Nobody writes to any generation of before.
        self.identities[1] = self.identities[2] = replace(identity, reading=identity.reading + 1)
        gone = {(ref, at) for ref, at in self.orders if ref == place.ref and at >= max(offset, below)}
        self.orders = {key: each for key, each in self.orders.items() if key not in gone}

    def _agrees(self):
        assert recount(self.path) == []
        with Reader(self.path) as reader:
            for topic in ("orders", "shop.orders", "payments"):
                mine = [name for of_topic, name in self.orders.values() if of_topic == topic]
                expected = (len(mine), 250 * len(mine), self.retries[topic], self.letters[topic])
                assert sums(reader, topic) == sums(reader, topic, "second") == expected
                assert +Counter(products(reader, topic)) == Counter(mine)
            totals = reader.topic_totals()
        assert {topic: each.dead_letters for topic, each in totals.items()} == {
            topic: self.letters[topic] for topic in {of_topic for of_topic, _ in self.orders.values()}
        }
