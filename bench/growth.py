"""Whether inserting stays as fast, and rows as small, while the buffer grows: the processor's own transaction."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.orders import Load, values
from pipeline.buffer import Advance, Batch, OrderBlock, open_buffer, record_id
from pipeline.columns import OrderColumns
from pipeline.records import TopicIdentity
from pipeline.serde import OrderCodec, SchemaStore

BATCH_RECORDS = 10_000
PARTITIONS = 4
WINDOW = 1_000_000


@dataclass(frozen=True, slots=True)
class Growth:
    """Microseconds of CPU an order over the first and the last million, and bytes an order at the end."""

    rows: int
    first_us: float
    last_us: float
    bytes_an_order: float


def grow(file: Path, rows: int) -> Growth:
    """Commits batches of new orders with random ids until there are so many."""
    window = min(WINDOW, rows // 2)
    block = OrderCodec(SchemaStore(Path("schemas"))).decode_many(values(Load(BATCH_RECORDS // PARTITIONS)))
    spent: list[float] = []
    with open_buffer(file) as buffer:
        topic = TopicIdentity("growth", "orders")
        refs = [buffer.flow.assign("processor", topic, number, 0, 0).ref for number in range(PARTITIONS)]
        for done in range(0, rows, BATCH_RECORDS):
            batch = _batch(refs, done // PARTITIONS, block)
            before = time.process_time()
            buffer.flow.commit(batch)
            spent.append(time.process_time() - before)
    size = file.stat().st_size
    many = window // BATCH_RECORDS
    first, last = sum(spent[:many]) / window * 1e6, sum(spent[-many:]) / window * 1e6
    return Growth(rows, first, last, size / rows)


def _batch(refs: list[int], offset: int, like: OrderColumns) -> Batch:
    batch = Batch(1_700_000_000_000 + offset)
    end = offset + len(like)
    for ref in refs:
        ids = np.random.default_rng(ref << 40 | offset).integers(0, 1 << 48, len(like)).tolist()
        orders = replace(
            like, order_ids=[f"ORD-{number:012x}" for number in ids], created_at_ms=like.created_at_ms + offset
        )
        batch.advances.append(Advance(ref, offset, end))
        batch.blocks.append(OrderBlock([record_id(ref, place) for place in range(offset, end)], orders))
    return batch
