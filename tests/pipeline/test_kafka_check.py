"""`check` against a broker: what was read must be in the buffer as it was, unless it was pruned there."""

import shutil

import pytest

from pipeline.buffer import Batch, DeadLetterFilter, ReplayOutcome, Retention, Sent, open_buffer, record_id, recount
from pipeline.headers import dead_letter_id_of, replay_headers
from pipeline.kafka import BROKER_FILE, ClusterView, DemoBroker, Sender
from pipeline.settings import load_settings
from pipeline.watching.kafka_check import compare_with_kafka
from tests.support.buffer_rows import NOW_MS, batch, dead_letter, order_row, outbox_row, parked

COUNT = 6


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    folder = tmp_path_factory.mktemp("broker")
    broker = DemoBroker(folder)
    yield folder, broker.cluster
    broker.close()


class Checked:
    """A buffer beside a broker whose topics it has read: 4 orders, one parked, one on its way, and 6 dead letters."""

    def __init__(self, settings, cluster):
        self.settings, self.cluster = settings, cluster
        sent = [(b"key", b"value", ()) for _ in range(COUNT)]
        self.send(settings.orders_topic, *sent)
        self.send(settings.own_dlq_topic, *sent)
        view = ClusterView(settings, cluster)
        identities = view.identities([settings.orders_topic, settings.own_dlq_topic])
        self.orders_identity = identities[settings.orders_topic]
        self.buffer = open_buffer(settings.database_file)
        self.orders = self.buffer.flow.assign("processor", self.orders_identity, 0, 0, NOW_MS)
        self.dead = self.buffer.flow.assign("collector", identities[settings.own_dlq_topic], 0, 0, NOW_MS)

    def send(self, topic, *records):
        sender = Sender(self.settings, self.cluster)
        errors = []
        for key, value, headers in records:
            sender.send(
                topic,
                key,
                value,
                headers,
                lambda delivery: errors.append(delivery.error) if delivery.error else None,
                partition=0,
            )
        assert sender.flush(30.0) == 0
        assert errors == []

    def read_orders(self, orders=range(4), value=b"value"):
        step = batch(self.orders.ref, 0, COUNT)
        step.orders = [order_row(self.orders.ref, offset) for offset in orders]
        step.parked, step.outbox = [parked(self.orders.ref, 4)], [outbox_row(self.orders.ref, 5)]
        self.buffer.flow.commit(step)

    def read_dead_letters(self, offsets=range(COUNT), **fields):
        rows = [dead_letter(self.dead.ref, offset, topic=self.settings.own_dlq_topic, **fields) for offset in offsets]
        advance = batch(self.dead.ref, 0, COUNT).advances
        self.buffer.dead_letters.collect(advance, rows, NOW_MS)

    def differences(self):
        found = compare_with_kafka(self.settings)
        assert found.not_compared == []
        return found.differences


@pytest.fixture
def checked(broker, tmp_path, request):
    folder, cluster = broker
    shutil.copy(folder / BROKER_FILE, tmp_path)
    topic = f"t{abs(hash(request.node.name))}"
    settings = load_settings(
        data_dir=tmp_path,
        orders_topic=topic,
        dlq_topics=(f"{topic}-dlq",),
    )
    checked = Checked(settings, cluster)
    yield checked
    checked.buffer.close()


def test_a_buffer_that_has_everything_agrees_with_the_topics(checked):
    checked.read_orders()
    checked.read_dead_letters()
    assert checked.differences() == []
    assert recount(checked.settings.database_file) == []


def test_what_was_read_and_is_nowhere_is_named(checked):
    checked.read_orders(orders=(0, 1, 3))
    checked.read_dead_letters(offsets=(0, 1, 2, 3, 5))
    orders, dead = checked.settings.orders_topic, checked.settings.own_dlq_topic
    assert checked.differences() == [
        f"{dead}[0] offset 4: was read, but is not in dead_letters",
        f"{orders}[0] offset 2: was read, but is neither an order nor parked nor a dead letter nor passed over",
    ]


def test_what_was_passed_over_is_not_missed_and_hides_nothing_that_is(checked):
    step = batch(checked.orders.ref, 0, COUNT)
    step.orders = [order_row(checked.orders.ref, offset) for offset in (0, 1)]
    step.passed_over = [record_id(checked.orders.ref, offset) for offset in (2, 4, 5)]
    checked.buffer.flow.commit(step)
    checked.read_dead_letters()
    topic = checked.settings.orders_topic
    assert checked.differences() == [
        f"{topic}[0] offset 3: was read, but is neither an order nor parked nor a dead letter nor passed over"
    ]


def test_bytes_that_are_not_the_topics_are_named(checked):
    checked.read_orders()
    checked.read_dead_letters(value=b"other")
    assert checked.differences()[0].endswith("offset 0: dead_letters holds other bytes than the topic")
    assert len(checked.differences()) == COUNT


def test_pruned_records_are_not_missing(checked):
    checked.read_orders()
    checked.read_dead_letters()
    checked.buffer.dead_letters.triage([1, 3], "discarded", NOW_MS)
    while checked.buffer.upkeep.prune(Retention(NOW_MS + 1, NOW_MS + 1)):
        pass
    assert checked.differences() == []


def test_a_failed_order_whose_dead_letter_was_pruned_is_not_missing(checked):
    step = batch(checked.orders.ref, 0, COUNT)
    step.orders = [order_row(checked.orders.ref, offset) for offset in range(COUNT) if offset != 2]
    checked.buffer.flow.commit(step)
    name = dead_letter_id_of(checked.orders_identity, 0, 2)
    topic = checked.settings.orders_topic
    advance = batch(checked.dead.ref, 0, 1).advances
    row = dead_letter(
        checked.dead.ref, 0, name=name, topic=checked.settings.own_dlq_topic, source_topic=topic, source_offset=2
    )
    checked.buffer.dead_letters.collect(advance, [row], NOW_MS)
    assert checked.differences() == []
    checked.buffer.dead_letters.triage([1], "discarded", NOW_MS)
    assert checked.buffer.upkeep.prune(Retention(dead_letters_before_ms=NOW_MS + 1))
    assert checked.differences() == []


def test_a_replay_that_was_read_and_has_no_outcome_is_named(checked):
    checked.read_orders()
    checked.read_dead_letters()
    checked.buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(1,)), None, "me", "r", NOW_MS)
    checked.buffer.jobs.next_job(NOW_MS)
    checked.buffer.jobs.open_send_window(1, "{}", ["r-1"])
    checked.send(checked.settings.orders_topic, (b"key", b"value", replay_headers((), "r-1", "dl-0")))
    topic = checked.settings.orders_topic
    checked.buffer.jobs.close_send_window(1, 1, 0, [Sent("r-1", topic, 0, COUNT)], {}, NOW_MS)
    assert checked.differences() == []  # the processor has not read it yet
    step = batch(checked.orders.ref, COUNT, COUNT + 1)
    step.orders = [order_row(checked.orders.ref, COUNT)]
    checked.buffer.flow.commit(step)
    assert checked.differences() == [f"{topic}[0] offset {COUNT}: is replay r-1 and was read, but the ledger says sent"]
    checked.buffer.flow.commit(Batch(NOW_MS, outcomes=[ReplayOutcome("r-1", "recovered")]))
    assert checked.differences() == []
