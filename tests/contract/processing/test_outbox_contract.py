"""The outbox while partitions come and go."""

from __future__ import annotations

from pipeline.buffer import Batch, OutboxRow, open_buffer, record_id
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.clock import steady_clock_ms, wall_clock_ms
from pipeline.kafka import Sender
from pipeline.processing.outbox import FRESH_ROWS, OutboxDrain
from pipeline.records import TopicIdentity
from scripts.waiting import wait_for
from tests.support.kafkas import Kafka, on_kafka


@on_kafka()
def test_what_is_confirmed_of_a_partition_that_went_is_not_taken_for_one_of_those_that_stay(kafka: Kafka, tmp_path):
    topic = kafka.make_topic()
    with open_buffer(tmp_path / "orderpulse.db") as buffer:
        identity = TopicIdentity("cluster", "orders", "")
        gone, ours = (buffer.flow.assign("processor", identity, number, 0, 1).ref for number in range(2))
        refs = [gone, ours]
        drain = OutboxDrain(
            BatchWriter(buffer, 1, steady_clock_ms),
            Sender(kafka.settings, kafka.cluster),
            topic,
            lambda: refs,
            wall_clock_ms,
        )
        buffer.flow.commit(Batch(1, outbox=[OutboxRow("first", record_id(gone, 0), 1, b"k", b"v", ())]))
        drain.pump()
        assert drain.busy
        refs.remove(gone)
        drain.recount()
        buffer.flow.commit(Batch(1, outbox=[OutboxRow("second", record_id(ours, 0), 1, b"k", b"v", ())]))
        drain.pump()

        def emptied() -> bool:
            drain.pump()
            return buffer.flow.outbox_size([gone, ours]) == 0

        wait_for("an empty outbox", emptied, 15.0)
        assert [record.value for record in kafka.read_all(2)] == [b"v", b"v"]


@on_kafka()
def test_dead_letters_of_a_key_come_to_the_topic_in_their_order_however_many_wait(kafka: Kafka, tmp_path):
    topic, many = kafka.make_topic(), FRESH_ROWS * 2 + 10
    with open_buffer(tmp_path / "orderpulse.db") as buffer:
        assignment = buffer.flow.assign("processor", TopicIdentity("cluster", "orders", ""), 0, 0, 1)
        sender = Sender(kafka.settings, kafka.cluster)
        drain = OutboxDrain(
            BatchWriter(buffer, 1, steady_clock_ms), sender, topic, lambda: [assignment.ref], wall_clock_ms
        )
        drain.pump()
        for first in range(0, many, many // 2):
            rows = [
                OutboxRow(f"{number}", record_id(assignment.ref, number), 1, b"k", b"%d" % number, ())
                for number in range(first, first + many // 2)
            ]
            buffer.flow.commit(Batch(1, outbox=rows))
            drain.added(rows)
            drain.pump()

        def emptied() -> bool:
            drain.pump()
            return buffer.flow.outbox_size([assignment.ref]) == 0

        wait_for("an empty outbox", emptied, 30.0)
        assert [int(record.value) for record in kafka.read_all(many)] == list(range(many))
