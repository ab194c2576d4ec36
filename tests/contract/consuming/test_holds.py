"""What may be a copy is not read: where reading stops, of which topics, and who hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest
from confluent_kafka import Message

from pipeline.buffer import Reader, RereadPlan, Span
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.consuming.holds import LOOK_EVERY_MS, TopicHolds
from pipeline.errors import TopicHeldError
from pipeline.kafka import Fetched
from pipeline.records import Position, Record, TopicIdentity
from tests.support.buffer_rows import DEAD, NOW_MS, ORDERS, batch, collector, processor

MIRROR = replace(ORDERS, cluster_id="cluster-2", topic_id="mirror-id")
LIMIT_MS = 5000


class Session:
    """The holds of one session, whose clock is the test's."""

    def __init__(self, store, role="processor", *told: TopicIdentity) -> None:
        self.now_ms = NOW_MS
        self._open = ExitStack()
        buffer = store.open()
        self.writer = self._open.enter_context(closing(BatchWriter(buffer, 1000, lambda: self.now_ms)))
        reader = self._open.enter_context(Reader(store.path))
        self.holds = TopicHolds(role, self.writer, reader, lambda: self.now_ms)
        self.holds.expect({each.topic: each for each in told or [MIRROR]})

    def check(self) -> None:
        self.now_ms += LOOK_EVERY_MS
        self.holds.check()

    def close(self) -> None:
        self._open.close()


@pytest.fixture
def session(store, buffer) -> Iterator:
    """Makes sessions, after the first cluster was read up to the limit."""
    for make, identity in ((processor, ORDERS), (collector, DEAD)):
        assignment = make(buffer, identity=identity)
        step = batch(assignment.ref, 0, 1)
        moves = [replace(step.advances[0], newest_ms=LIMIT_MS)]
        if make is processor:
            step.advances = moves
            buffer.flow.commit(step)
        else:
            buffer.dead_letters.collect(moves, [], NOW_MS)
    made: list[Session] = []

    def make_one(role="processor", *told: TopicIdentity) -> Session:
        made.append(Session(store, role, *told))
        return made[-1]

    yield make_one
    for each in made:
        each.close()


def fetched(*times: int, topic: str = "orders", partition: int = 0, first: int = 0) -> Fetched:
    return Fetched(
        [
            Message(topic=topic, partition=partition, offset=first + index, value=b"x", timestamp=(1, at_ms))
            for index, at_ms in enumerate(times)
        ]
    )


def record(topic: str, offset: int, at_ms: int, partition: int = 0) -> Record:
    return Record(Position(topic, partition, offset), at_ms, None, b"x")


def offsets(found: list[Fetched]) -> list[list[int]]:
    return [each.offsets() for each in found]


def events(store) -> list[str]:
    return [row["message"] for row in store.table("events")]


def test_reading_stops_before_the_first_record_that_is_not_newer(session, store):
    first, second = session(), session()
    found = first.holds.before_copies([fetched(5001, 6000, 5000, 7000), fetched(9000, partition=1)])
    assert offsets(found) == [[0, 1], [0]]
    [held] = store.table("rereads")
    assert (held["partition"], held["offset"], held["timestamp_ms"], held["newest_ms"]) == (0, 2, 5000, LIMIT_MS)
    assert (held["clusters"], held["cluster_id"]) == ("cluster-1", "cluster-2")
    with pytest.raises(TopicHeldError, match="may be a copy"):
        first.holds.check_met()
    # Nobody else met one, and all hear of it.
    second.holds.check_met()
    with pytest.raises(TopicHeldError, match="orders: reading was stopped"):
        second.check()
    # The next session knows from the beginning on.
    assert set(session().holds.held) == {"orders"}


def test_newer_records_are_read_with_an_event_at_the_first_session(session, store, buffer):
    first = session()
    assert offsets(first.holds.before_copies([fetched(5001, 5002)])) == [[0, 1]]
    first.holds.check_met()
    first.check()
    assert [text.partition(":")[0] for text in events(store)] == [
        "topic orders is read from cluster cluster-2, and was from cluster-1"
    ]
    processor(buffer, identity=MIRROR)
    session()
    assert len(events(store)) == 1


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(ORDERS, id="the same cluster"),
        pytest.param(replace(ORDERS, topic_id="recreated"), id="recreated there"),
        pytest.param(replace(MIRROR, topic="others"), id="another topic"),
        pytest.param(replace(MIRROR, cluster_id="demo-1"), id="the demo cluster"),
    ],
)
def test_elsewhere_old_records_are_no_copies(session, told):
    found = session("processor", told).holds.before_copies([fetched(1, 2, topic=told.topic)])
    assert offsets(found) == [[0, 1]]


def test_what_was_read_of_a_demo_cluster_is_no_measure(store, buffer):
    demo = processor(buffer, identity=replace(ORDERS, cluster_id="demo-1"))
    step = batch(demo.ref, 0, 1)
    step.advances = [replace(step.advances[0], newest_ms=LIMIT_MS)]
    buffer.flow.commit(step)
    with closing(Session(store)) as only:
        assert offsets(only.holds.before_copies([fetched(1, 2)])) == [[0, 1]]


def test_a_topic_that_a_mirror_has_named_after_its_cluster_is_the_same(session):
    east = session("processor", replace(MIRROR, topic="east.orders"))
    assert east.holds.before_copies([fetched(1, 2, topic="east.orders")]) == []


def test_of_dead_letter_topics_one_stops_and_the_others_are_read_on(session):
    mirror = replace(MIRROR, topic=DEAD.topic)
    only = session("collector", mirror, replace(MIRROR, topic="payments-dlt"))
    came = [
        record(DEAD.topic, 0, 6000),
        record("payments-dlt", 0, 1),
        record(DEAD.topic, 1, 4000),
        record(DEAD.topic, 2, 6000),
        record(DEAD.topic, 0, 6000, partition=1),
        record("payments-dlt", 1, 2),
    ]
    kept = only.holds.records_before_copies(came)
    assert [str(each.position) for each in kept] == [
        "orders-dlq[0] offset 0",
        "payments-dlt[0] offset 0",
        "orders-dlq[1] offset 0",
        "payments-dlt[0] offset 1",
    ]
    with pytest.raises(TopicHeldError):
        only.holds.check_met()
    assert set(session("collector", mirror).holds.held) == {DEAD.topic}
    # The orders are another question.
    assert session().holds.held == {}


def test_the_question_is_that_of_one_cluster_and_what_is_taken_out_stops_all(session, buffer):
    session().holds.before_copies([fetched(1)])
    assert session("processor", ORDERS).holds.held == {}
    buffer.rereads.ask("processor", "orders", "cluster-2", "latest", "somebody", NOW_MS)
    assert session("processor", ORDERS).holds.held == {}
    assert set(session().holds.held) == {"orders"}


def test_records_without_a_time_may_be_copies_of_such(session):
    assert session().holds.before_copies([fetched(-1)]) == []


def test_a_reread_that_is_done_between_two_looks_is_noticed(session, buffer):
    only = session("processor", ORDERS)
    plan = RereadPlan("processor", ORDERS, "latest", [Span(0, 1, 1)], [])
    number = buffer.rereads.begin(plan, "somebody", NOW_MS)
    assert buffer.rereads.close_partitions(number)
    assert buffer.rereads.take_orders(number, NOW_MS) == 0
    with pytest.raises(TopicHeldError, match="goes on from elsewhere"):
        only.check()
    session("processor", ORDERS).check()
