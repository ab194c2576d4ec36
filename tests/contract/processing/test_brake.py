"""Each topic has a brake of its own, and all processors obey the same ones."""

from __future__ import annotations

from contextlib import closing

from pipeline.buffer import OrderRow, record_id
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.processing.brake import Brake
from pipeline.records import Order
from pipeline.settings import load_settings
from tests.support.buffer_rows import NOW_MS, batch, outbox_row

TOPIC_OF = {1: "web", 2: "web", 3: "shop"}
BRAKED = load_settings(brake_share=0.5, brake_min_records=4)


def judged(accepted: tuple[int, ...] = (), failed: tuple[int, ...] = ()):
    """A batch with one order, or one failure, of each of these partitions of the buffer."""
    made = batch(1, 0, 1)
    order = Order("O-1", "C", "tea", 100, NOW_MS)
    made.orders = [OrderRow(record_id(ref, offset), order, 1) for offset, ref in enumerate(accepted)]
    made.outbox = [outbox_row(ref, offset, f"{ref}-{offset}") for offset, ref in enumerate(failed)]
    return made


def test_a_topic_that_fails_stops_no_other(store):
    with (
        store.open() as opened,
        store.open() as other,
        closing(BatchWriter(opened, 100, lambda: NOW_MS)) as writer,
        closing(BatchWriter(other, 100, lambda: NOW_MS)) as others_writer,
    ):
        brake = Brake(BRAKED, writer, TOPIC_OF, lambda: NOW_MS)
        brake.count(judged(accepted=(1, 3, 3, 3, 3), failed=(1, 2)))
        assert brake.stopped == {}
        brake.count(judged(accepted=(3,), failed=(2,)))
        assert {topic: (each.accepted, each.failed) for topic, each in brake.stopped.items()} == {"web": (1, 3)}
        another = Brake(BRAKED, others_writer, TOPIC_OF, lambda: NOW_MS)
        another.look()
        assert another.stopped == brake.stopped
