"""What the buffer promises to processors: guards, figures, parked records and the outbox."""

from collections import Counter
from dataclasses import replace

import pytest

from pipeline.buffer import (
    Advance,
    Attempted,
    Batch,
    Generation,
    OrderFilter,
    Parked,
    Reader,
    ReadUpTo,
    record_id,
    recount,
)
from pipeline.buffer.views import Totals
from pipeline.errors import StaleWriterError
from pipeline.records import LastRead, TopicIdentity
from tests.support.buffer_rows import (
    NOW_MS,
    ORDERS,
    accept,
    batch,
    collector,
    order_row,
    outbox_row,
    parked,
    processor,
)

HEADERS = (("a", b"1"), ("a", b""), ("b", None), ("raw", b"\xff\xfe"), ("a", "ü".encode()))


def park(buffer, assignment, *offsets, due_at_ms=NOW_MS + 1000):
    """Parks records at these offsets, which follow each other from the partition's beginning."""
    step = batch(assignment.ref, assignment.next_offset, assignment.next_offset + len(offsets))
    step.parked = [parked(assignment.ref, offset, due_at_ms=due_at_ms) for offset in offsets]
    buffer.flow.commit(step)


# -- partitions


def test_a_partition_met_for_the_first_time_begins_where_it_is_told_and_goes_on_from_there(buffer):
    assignment = buffer.flow.assign("processor", ORDERS, 3, 17, NOW_MS)
    assert (assignment.topic, assignment.partition, assignment.next_offset) == ("orders", 3, 17)
    assert buffer.flow.assign("processor", ORDERS, 3, 0, NOW_MS + 1) == assignment


def test_where_a_topic_begins_is_decided_once_for_all_its_partitions(buffer, other, store):
    assert buffer.flow.begin_topic("processor", ORDERS, {0: 7, 1: 0}, NOW_MS, "from its end")
    # Somebody else is too late, whatever they found, and so is whoever meets the topic when it was recreated.
    assert not other.flow.begin_topic("processor", ORDERS, {0: 9, 1: 3, 2: 5}, NOW_MS, "from a later end")
    assert not other.flow.begin_topic("processor", replace(ORDERS, topic_id="another"), {0: 9}, NOW_MS, "no")
    found = [other.flow.assign("processor", ORDERS, partition, 1, NOW_MS).next_offset for partition in range(3)]
    assert found == [7, 0, 1]
    assert [event["message"] for event in store.table("events")] == ["from its end"]
    [generation] = buffer.flow.topic_generations("processor", ORDERS.cluster_id, ORDERS.topic)
    assert generation.read == {0: ReadUpTo(7, None, 7), 1: ReadUpTo(0, None), 2: ReadUpTo(1, None)}
    # Another topic, another role and another cluster are asked about by themselves.
    for role, identity in (
        ("processor", replace(ORDERS, topic="other")),
        ("processor", replace(ORDERS, cluster_id="cluster-2")),
        ("collector", ORDERS),
    ):
        assert buffer.flow.begin_topic(role, identity, {0: 4}, NOW_MS, "another one")


def test_roles_partitions_and_topics_have_offsets_of_their_own(buffer):
    assignments = [
        processor(buffer),
        processor(buffer, 1),
        collector(buffer, 0, ORDERS),
        processor(buffer, 0, replace(ORDERS, topic="other")),
    ]
    assert len({assignment.ref for assignment in assignments}) == 4
    accept(buffer, assignments[0], 0, 5)
    assert processor(buffer).next_offset == 5
    assert [processor(buffer, 1).next_offset, collector(buffer, 0, ORDERS).next_offset] == [0, 0]


@pytest.mark.parametrize("changed", [{"topic_id": "another"}, {"cluster_id": "cluster-2"}])
def test_a_recreated_topic_starts_over_and_the_rows_of_the_old_one_stay(buffer, store, changed):
    old = processor(buffer)
    accept(buffer, old, 0, 3)
    recreated = replace(ORDERS, **changed)
    new = processor(buffer, 0, recreated)
    assert (new.ref != old.ref, new.next_offset) == (True, 0)
    accept(buffer, new, 0, 2)
    assert [row["offset"] for row in store.table("orders")].count(0) == 2
    assert len(store.table("order_rows")) == 5
    assert processor(buffer) == replace(old, next_offset=3)
    assert buffer.flow.generations("processor", "orders", 0) == [
        Generation(old.ref, ORDERS, 0),
        Generation(new.ref, recreated, 0),
    ]


def test_generations_are_those_of_one_role_topic_and_partition(buffer):
    mine = processor(buffer, 1)
    collector(buffer, 1, ORDERS)
    processor(buffer, 0)
    processor(buffer, 1, TopicIdentity("cluster-1", "other"))
    assert [each.ref for each in buffer.flow.generations("processor", "orders", 1)] == [mine.ref]


def test_skipping_lost_offsets_leaves_an_event_that_says_so(buffer, store):
    assignment = processor(buffer)
    buffer.flow.skip(assignment.ref, 0, 40, NOW_MS, "orders[0]: 40 records are gone")
    assert processor(buffer).next_offset == 40
    (event,) = store.table("events")
    assert (event["role"], event["level"], event["message"]) == ("processor", "error", "orders[0]: 40 records are gone")


# -- guards


def stale_advance(ref):
    step = batch(ref, 4, 9)
    step.orders = [order_row(ref, 4)]
    step.parked = [parked(ref, 5)]
    step.outbox = [outbox_row(ref, 6)]
    step.passed_over = [record_id(ref, 7)]
    step.failed_attempts = Counter({ref: 1})
    return step


def tried_elsewhere(ref):
    step = batch(ref, 3, 5)
    step.orders = [order_row(ref, 3)]
    step.taken = [Attempted(record_id(ref, 0), 7)]
    step.settled = [record_id(ref, 0)]
    return step


def settled_elsewhere(ref):
    return Batch(NOW_MS, taken=[Attempted(record_id(ref, 1), 1)], orders=[order_row(ref, 1)])


@pytest.mark.parametrize("stale", [stale_advance, tried_elsewhere, settled_elsewhere])
def test_a_stale_writer_writes_nothing(buffer, store, stale):
    assignment = processor(buffer)
    step = batch(assignment.ref, 0, 3)
    step.parked = [parked(assignment.ref, 0)]
    buffer.flow.commit(step)
    before = store.dump()
    with pytest.raises(StaleWriterError):
        buffer.flow.commit(stale(assignment.ref))
    assert store.dump() == before


def test_one_stale_partition_refuses_the_whole_batch(buffer, store):
    first, second = processor(buffer, 0), processor(buffer, 1)
    before = store.dump()
    with pytest.raises(StaleWriterError):
        buffer.flow.commit(Batch(NOW_MS, [Advance(first.ref, 0, 1), Advance(second.ref, 1, 2)]))
    assert store.dump() == before


def test_a_stale_skip_moves_nothing_and_leaves_no_event(buffer, store):
    assignment = processor(buffer)
    before = store.dump()
    with pytest.raises(StaleWriterError):
        buffer.flow.skip(assignment.ref, 1, 40, NOW_MS, "lost")
    assert store.dump() == before


def test_the_slower_of_two_writers_of_a_batch_is_refused(buffer, other, store):
    assignment = processor(buffer)
    accept(buffer, assignment, 0, 2)
    after = store.dump()
    with pytest.raises(StaleWriterError):
        accept(other, assignment, 0, 2)
    assert store.dump() == after
    assert processor(other).next_offset == 2


def test_a_writer_goes_on_after_it_was_refused(buffer):
    assignment = processor(buffer)
    with pytest.raises(StaleWriterError):
        accept(buffer, assignment, 5, 1)
    accept(buffer, assignment, 0, 1)
    assert processor(buffer).next_offset == 1


# -- figures


def test_all_figures_change_with_the_orders_they_count(buffer, store):
    assignment = processor(buffer)
    accept(buffer, assignment, 0, 2, product="tea", price_cents=250)
    accept(buffer, assignment, 2, 3, now_ms=NOW_MS + 61_000, product="mug", price_cents=900)
    (totals,) = store.table("totals")
    assert (totals["orders"], totals["revenue_cents"]) == (5, 3200)
    for figures in ("flow_seconds", "flow_minutes"):
        assert sorted((row["orders"], row["revenue_cents"]) for row in store.table(figures)) == [(2, 500), (3, 2700)]
    assert sorted((row["orders"], row["revenue_cents"]) for row in store.table("product_totals")) == [
        (2, 500),
        (3, 2700),
    ]
    assert {row["second_ms"] for row in store.table("flow_seconds")} == {1_700_000_000_000, 1_700_000_061_000}
    assert {row["minute_ms"] for row in store.table("flow_minutes")} == {1_699_999_980_000, 1_700_000_040_000}


def test_a_batch_of_nothing_but_failed_attempts_counts_them_as_retries(buffer, store):
    assignment = processor(buffer)
    step = batch(assignment.ref, 0, 1)
    step.parked, step.failed_attempts = [parked(assignment.ref, 0)], Counter({assignment.ref: 3})
    buffer.flow.commit(step)
    assert [(row["orders"], row["retries"]) for row in store.table("flow_minutes")] == [(0, 3)]
    assert [row["orders"] for row in store.table("totals")] == [0]


@pytest.mark.parametrize("few_orders", [0, 50_000], ids=["topics of many orders", "topics of few"])
def test_figures_of_a_topic_are_those_of_its_partitions_in_all_generations(buffer, store, monkeypatch, few_orders):
    monkeypatch.setattr("pipeline.buffer.sqlite.reader.FEW_ORDERS", few_orders)
    shop = replace(ORDERS, topic="shop.orders")
    first, second, other = processor(buffer), processor(buffer, 1), processor(buffer, identity=shop)
    accept(buffer, first, 0, 3, price_cents=100)
    accept(buffer, processor(buffer, identity=replace(ORDERS, topic_id="recreated")), 0, 2, price_cents=10)
    accept(buffer, other, 0, 1, price_cents=7)
    # What waited for a retry is accepted while nothing new is read of its partition.
    park(buffer, second, 0)
    again = batch(first.ref, 3, 4)
    again.taken, again.settled = [Attempted(record_id(second.ref, 0), 1)], [record_id(second.ref, 0)]
    again.orders = [order_row(second.ref, 0, 2, price_cents=1000), order_row(first.ref, 3, price_cents=100)]
    buffer.flow.commit(again)
    with Reader(store.path) as reader:
        assert reader.topic_totals() == {"orders": Totals(7, 1420, 0), "shop.orders": Totals(1, 7, 0)}
        assert reader.count_orders(OrderFilter(topics=("orders",))).rows == 7
        assert reader.count_orders(OrderFilter(topics=("shop.orders",), text="A")).rows == 1
        assert reader.count_orders(OrderFilter(topics=("nowhere",))).rows == 0
        assert reader.orders(OrderFilter(topics=("shop.orders",))).column("price_cents") == [7]
    assert recount(store.path) == []


def test_an_order_is_shown_with_its_place_its_names_and_its_attempts(buffer, store):
    assignment = processor(buffer, 2)
    accept(buffer, assignment, 0, 1, attempts=4, product="Ümlaut", region="south", price_cents=1)
    (row,) = store.table("orders")
    assert (row["topic"], row["partition"], row["offset"], row["order_id"]) == ("orders", 2, 0, "A-0")
    assert (row["product"], row["region"], row["price_cents"], row["attempts"]) == ("Ümlaut", "south", 1, 4)
    assert (row["created_at_ms"], row["processed_at_ms"]) == (NOW_MS - 10_000, NOW_MS)


def test_a_product_first_seen_in_a_refused_batch_is_counted_right_afterwards(buffer, other, store):
    mine, theirs = processor(buffer, 0), processor(buffer, 1)
    doubled = batch(mine.ref, 0, 2)
    doubled.orders = [order_row(mine.ref, 0, product="ghost"), order_row(mine.ref, 1, product="ghost")]
    doubled.outbox = [outbox_row(mine.ref, 0, "same"), outbox_row(mine.ref, 1, "same")]
    with pytest.raises(Exception, match="outbox.dead_letter_id"):
        buffer.flow.commit(doubled)
    # Another writer takes the reference that was rolled back, and we learn of it before we need the name again.
    accept(other, theirs, 0, 1, product="real")
    accept(buffer, mine, 0, 1, product="real")
    accept(buffer, mine, 1, 1, product="ghost")
    assert sorted(row["product"] for row in store.table("orders")) == ["ghost", "real", "real"]
    assert sorted(row["orders"] for row in store.table("product_totals")) == [1, 2]


def test_a_name_that_another_writer_made_is_one_name(buffer, other, store):
    accept(buffer, processor(buffer, 0), 0, 1, product="tea")
    accept(other, processor(other, 1), 0, 1, product="tea")
    assert [row["orders"] for row in store.table("product_totals")] == [2]


def test_more_names_than_are_remembered_are_still_told_apart(buffer, store, monkeypatch):
    monkeypatch.setattr("pipeline.buffer.sqlite.stores.order_table.REMEMBERED_NAMES", 3)
    assignment = processor(buffer)
    for offset in range(12):
        accept(buffer, assignment, offset, 1, product=f"product {offset % 6}")
    assert sorted(row["product"] for row in store.table("orders")) == sorted(f"product {n % 6}" for n in range(12))
    assert [row["orders"] for row in store.table("product_totals")] == [2] * 6


# -- parked records


@pytest.mark.parametrize("key", [None, b"", b"k", b"\x00\xff"])
@pytest.mark.parametrize("value", [None, b"", b"v", b"\x00\xff"])
def test_a_parked_record_comes_back_byte_for_byte(buffer, key, value):
    assignment = processor(buffer)
    kept = Parked(
        record_id(assignment.ref, 0), -1, key, value, HEADERS, 2, NOW_MS, NOW_MS - 5, "handler", "later", False, True
    )
    step = batch(assignment.ref, 0, 1)
    step.parked = [kept]
    buffer.flow.commit(step)
    assert buffer.flow.load_parked([kept.record_id]) == [kept]
    (found,) = buffer.flow.parked([assignment.ref])
    assert (found.record_id, found.key, found.due_at_ms) == (kept.record_id, key, NOW_MS)


def test_parked_records_come_in_offset_order_and_only_of_the_partitions_asked_for(buffer):
    first, second = processor(buffer, 0), processor(buffer, 1)
    park(buffer, first, 2, 0, 1)
    park(buffer, second, 0)
    ids = [record_id(first.ref, offset) for offset in range(3)]
    assert [each.record_id for each in buffer.flow.parked([first.ref])] == ids
    assert len(buffer.flow.parked([first.ref, second.ref])) == 4
    assert buffer.flow.parked([]) == []
    assert [each.record_id for each in buffer.flow.load_parked([ids[2], ids[0], 99])] == [ids[0], ids[2]]


def test_a_failed_attempt_keeps_the_record_with_its_new_count_and_due_time(buffer):
    assignment = processor(buffer)
    park(buffer, assignment, 0)
    again = parked(assignment.ref, 0)._replace(attempts=2, due_at_ms=NOW_MS + 9000, reason="still not")
    failed = Counter({assignment.ref: 1})
    buffer.flow.commit(Batch(NOW_MS, taken=[Attempted(again.record_id, 1)], parked=[again], failed_attempts=failed))
    assert buffer.flow.load_parked([again.record_id]) == [again]


def test_a_settled_record_is_parked_no_more(buffer, store):
    assignment = processor(buffer)
    park(buffer, assignment, 0, 1)
    step = Batch(NOW_MS, taken=[Attempted(record_id(assignment.ref, 0), 1)], settled=[record_id(assignment.ref, 0)])
    step.orders = [order_row(assignment.ref, 0, attempts=2)]
    buffer.flow.commit(step)
    assert [each.record_id for each in buffer.flow.parked([assignment.ref])] == [record_id(assignment.ref, 1)]
    assert [row["attempts"] for row in store.table("orders")] == [2]


def test_a_second_writers_try_of_the_same_parked_record_is_refused(buffer, other, store):
    assignment = processor(buffer)
    park(buffer, assignment, 0)
    mine = parked(assignment.ref, 0, attempts=2)
    failed = Counter({assignment.ref: 1})
    buffer.flow.commit(Batch(NOW_MS, taken=[Attempted(mine.record_id, 1)], parked=[mine], failed_attempts=failed))
    after = store.dump()
    theirs = Batch(
        NOW_MS, taken=[Attempted(mine.record_id, 1)], settled=[mine.record_id], orders=[order_row(assignment.ref, 0)]
    )
    with pytest.raises(StaleWriterError):
        other.flow.commit(theirs)
    assert store.dump() == after


# -- the outbox


def test_the_outbox_gives_the_oldest_first_until_they_are_delivered(buffer):
    first, second = processor(buffer, 0), processor(buffer, 1)
    for assignment in (first, second):
        step = batch(assignment.ref, 0, 3)
        step.outbox = [outbox_row(assignment.ref, offset)._replace(headers=HEADERS) for offset in (2, 0, 1)]
        buffer.flow.commit(step)
    waiting = buffer.flow.outbox([first.ref], 2)
    assert waiting == [outbox_row(first.ref, offset)._replace(headers=HEADERS) for offset in (0, 1)]
    assert (buffer.flow.outbox_size([first.ref]), buffer.flow.outbox_size([first.ref, second.ref])) == (3, 6)
    buffer.flow.delivered([each.dead_letter_id for each in waiting] + ["unknown"])
    assert buffer.flow.outbox([first.ref], 10) == [outbox_row(first.ref, 2)._replace(headers=HEADERS)]
    assert buffer.flow.outbox_size([second.ref]) == 3


@pytest.mark.parametrize("key", [None, b"", b"\x80"])
@pytest.mark.parametrize("value", [None, b"", b"\x80"])
def test_an_outbox_record_keeps_its_key_and_value(buffer, key, value):
    assignment = processor(buffer)
    row = outbox_row(assignment.ref, 0)._replace(key=key, value=value)
    step = batch(assignment.ref, 0, 1)
    step.outbox = [row]
    buffer.flow.commit(step)
    assert buffer.flow.outbox([assignment.ref], 1) == [row]


def test_what_was_written_is_there_for_whoever_opens_the_buffer_next(buffer, store):
    assignment = processor(buffer)
    accept(buffer, assignment, 0, 2)
    buffer.close()
    with store.open() as reopened:
        assert processor(reopened).next_offset == 2
        accept(reopened, assignment, 2, 1)
    assert len(store.table("order_rows")) == 3


# -- what tells a recreated topic


def test_the_last_record_that_was_read_is_known_with_the_offset_after_it(buffer):
    assignment, last = processor(buffer), LastRead.of(4, NOW_MS, b"k", b"v")
    step = batch(assignment.ref, 0, 5)
    step.advances = [Advance(assignment.ref, 0, 5, last)]
    buffer.flow.commit(step)
    [generation] = buffer.flow.topic_generations("processor", ORDERS.cluster_id, ORDERS.topic)
    assert (generation.identity, generation.read) == (ORDERS, {0: ReadUpTo(5, last)})

    # A move without a record leaves it, and one that is refused changes nothing.
    buffer.flow.skip(assignment.ref, 5, 9, NOW_MS, "gone")
    with pytest.raises(StaleWriterError):
        buffer.flow.commit(Batch(NOW_MS, [Advance(assignment.ref, 5, 6, LastRead.of(5, NOW_MS, None, None))]))
    [generation] = buffer.flow.topic_generations("processor", ORDERS.cluster_id, ORDERS.topic)
    assert generation.read == {0: ReadUpTo(9, last)}


def test_generations_of_a_topic_are_told_oldest_first_and_by_role(buffer):
    recreated = replace(ORDERS, topic_id="another")
    processor(buffer)
    collector(buffer, 0, ORDERS)
    processor(buffer, 1, recreated)
    processor(buffer, 0, replace(ORDERS, cluster_id="cluster-2"))
    found = buffer.flow.topic_generations("processor", ORDERS.cluster_id, ORDERS.topic)
    assert [(each.identity, sorted(each.read)) for each in found] == [(ORDERS, [0]), (recreated, [1])]
    assert buffer.flow.topic_generations("processor", ORDERS.cluster_id, "unknown") == []


# -- what waits, whoever reads


def test_partitions_of_which_something_waits_are_found_whatever_topic_they_are_of(buffer):
    first, second, third = processor(buffer), processor(buffer, 1), processor(buffer, 2, replace(ORDERS, topic="other"))
    accept(buffer, first, 0, 3)
    assert buffer.flow.waiting() == []
    park(buffer, second, 0, 1)
    step = batch(third.ref, 0, 1)
    step.outbox = [outbox_row(third.ref, 0)]
    buffer.flow.commit(step)
    assert [(each.ref, each.partition, each.identity.topic) for each in buffer.flow.waiting()] == [
        (second.ref, 1, "orders"),
        (third.ref, 2, "other"),
    ]
    buffer.flow.delivered([step.outbox[0].dead_letter_id])
    assert [each.ref for each in buffer.flow.waiting()] == [second.ref]
