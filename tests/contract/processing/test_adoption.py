"""What waits of a partition that nobody reads is adopted by one processor, and ends once whoever adopts it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from pipeline.buffer import open_buffer
from pipeline.errors import StaleWriterError
from pipeline.headers.own import TRANSIENT_FAILURES
from pipeline.processing.adoption import Adoption
from pipeline.records import Order
from pipeline.running.statusboard import StatusWriter
from pipeline.settings import Settings
from tests.support.buffer_rows import NOW_MS, ORDERS, accept, processor
from tests.support.flow_in_process import CODEC, FlowInProcess, Incoming

RENAMED = replace(ORDERS, topic="renamed", topic_id="renamed-id")
GONE = "orders"


def fails_once(number: int) -> Incoming:
    made = Order(f"O-{number}", "C", "tea", 100, NOW_MS)
    return Incoming(b"k%d" % number, CODEC.encode(made), ((TRANSIENT_FAILURES, b"1"),))


@pytest.fixture
def parked(store):
    """A buffer with four parked records of a topic that is not read any more, and a dead letter on its way."""
    with open_buffer(store.path) as buffer, closing(FlowInProcess(buffer)) as flow:
        flow.sender.answer = None
        flow.round([fails_once(number) for number in range(4)])
        flow.round([Incoming(b"k", b"no order")])
    return store


def everything(waiting):
    return [each for each in waiting if each.identity.topic == GONE]


def test_what_is_parked_is_tried_and_what_is_in_the_outbox_is_sent(parked):
    with open_buffer(parked.path) as buffer, closing(FlowInProcess(buffer, identity=RENAMED)) as flow:
        flow.run_dry()
        assert (len(parked.table("retries")), len(parked.table("outbox"))) == (4, 1)  # not its own
        flow.flow.adopt(everything)
        flow.run_dry()
        assert len(flow.sender.sent) == 1
        flow.flow.adopt(everything)
        assert flow.flow._refs() == list(flow.flow._partitions["renamed", 0].generations)
    assert {(row["topic"], row["order_id"]) for row in parked.table("orders")} == {(GONE, f"O-{n}") for n in range(4)}
    assert parked.table("retries") == parked.table("outbox") == []


def test_of_two_that_adopt_it_the_slower_one_changes_nothing(parked):
    with (
        open_buffer(parked.path) as one,
        open_buffer(parked.path) as other,
        closing(FlowInProcess(one, identity=RENAMED)) as fast,
        closing(FlowInProcess(other, identity=RENAMED)) as slow,
    ):
        for flow in (fast, slow):
            flow.flow.adopt(everything)
        fast.run_dry()
        with pytest.raises(StaleWriterError):
            slow.run_dry()
    assert len(parked.table("orders")) == 4


def test_a_topic_that_is_read_again_takes_back_what_was_adopted(parked):
    with open_buffer(parked.path) as buffer, closing(FlowInProcess(buffer, partitions=())) as flow:
        flow.flow.adopt(everything)
        assert flow.flow._parked == 4
        flow.reader.ends[0] = 5
        flow.flow.assigned(flow.reader, GONE, 0)
        flow.flow.adopt(everything)
        assert (flow.flow._parked, flow.flow._attempts.adopted) == (4, {})


@pytest.mark.parametrize(
    ("instance", "topic", "count", "others", "adopts"),
    [
        pytest.param(0, "renamed", 4, {}, True, id="alone"),
        pytest.param(0, "renamed", 4, {1: "renamed"}, True, id="the lowest"),
        pytest.param(1, "renamed", 4, {0: "renamed"}, False, id="not the lowest"),
        pytest.param(0, "renamed", 4, {1: GONE}, False, id="another processor reads that topic"),
        pytest.param(0, GONE, 4, {}, False, id="its own topic has the partition"),
        pytest.param(0, GONE, 3, {}, True, id="its own topic has it no more"),
        pytest.param(0, GONE, 0, {}, False, id="it is not known which its own topic has"),
        pytest.param(1, GONE, 3, {0: "renamed"}, True, id="the lowest that reads this topic"),
        pytest.param(1, GONE, 3, {0: GONE}, False, id="not the lowest that reads this topic"),
        pytest.param(0, "renamed", 4, {1: f"another, {GONE}"}, False, id="another processor reads that topic and more"),
        pytest.param(1, GONE, 3, {0: f"another, {GONE}"}, False, id="the lowest reads this topic and more"),
        pytest.param(1, GONE, 3, {0: "another, renamed"}, True, id="the lowest reads others"),
    ],
)
def test_who_adopts(buffer, tmp_path, instance, topic, count, others, adopts):
    partition = processor(buffer, 3)
    accept(buffer, partition, 0, 1)
    [generation] = buffer.flow.generations("processor", GONE, 3)
    for other, read in others.items():
        status = StatusWriter(tmp_path, "processor", other, lambda: NOW_MS)
        status.report("running", "", {"topic": read})
    settings = Settings(data_dir=tmp_path, orders_topic=topic)
    adoption = Adoption(settings, instance, lambda: NOW_MS)
    assert adoption.mine([generation], {topic: count}) == ([generation] if adopts else [])


def test_what_was_dealt_out_and_cannot_be_read_yet_is_looked_after_by_whom_it_was_dealt_out_to(parked, tmp_path):
    StatusWriter(tmp_path, "processor", 0, lambda: NOW_MS).report("running", "", {"topic": GONE})
    adoption = Adoption(Settings(data_dir=tmp_path, orders_topic=GONE), 1, lambda: NOW_MS)
    with open_buffer(parked.path) as buffer, closing(FlowInProcess(buffer, partitions=())) as flow:
        flow.flow.adopt(lambda waiting: adoption.mine(waiting, {GONE: 4}))
        assert flow.flow._parked == 0
        flow.flow.adopt(lambda waiting: adoption.mine(waiting, {GONE: 4}, {(GONE, 0)}))
        assert flow.flow._parked == 4
        flow.flow.revoked(GONE, 0)
        assert flow.flow._parked == 0
        flow.flow.adopt(lambda waiting: adoption.mine(waiting, {GONE: 4}, {(GONE, 0)}))
        flow.run_dry()
        assert len(flow.sender.sent) == 1
    assert len(parked.table("orders")) == 4


@pytest.mark.parametrize(("figures", "reads"), [({}, False), ({"unreadable": {f"{GONE}[0]": "no leader"}}, True)])
def test_a_processor_that_waits_for_partitions_of_its_own_is_still_one(buffer, tmp_path, figures, reads):
    partition = processor(buffer, 3)
    accept(buffer, partition, 0, 1)
    [generation] = buffer.flow.generations("processor", GONE, 3)
    StatusWriter(tmp_path, "processor", 0, lambda: NOW_MS).report("waiting", "", {"topic": GONE} | figures)
    adoption = Adoption(Settings(data_dir=tmp_path, orders_topic="renamed"), 1, lambda: NOW_MS)
    assert adoption.mine([generation], {"renamed": 4}) == ([] if reads else [generation])


def test_a_processor_that_is_silent_adopts_nothing(buffer, tmp_path):
    partition = processor(buffer, 3)
    accept(buffer, partition, 0, 1)
    [generation] = buffer.flow.generations("processor", GONE, 3)
    StatusWriter(tmp_path, "processor", 0, lambda: NOW_MS).report("running", "", {"topic": GONE})
    later = Adoption(Settings(data_dir=tmp_path, orders_topic="renamed"), 1, lambda: NOW_MS + 600_000)
    assert later.mine([generation], {"renamed": 4}) == [generation]
