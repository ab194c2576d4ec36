"""Whether inserting and the Overview stay as fast, and rows as small, while the buffer grows.

Orders go in by the processor's own transaction, the Overview asks what its page asks at every refresh.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.orders import Load, values
from dashboard.shared.snapshots import overview_of
from dashboard.shared.time_ranges import TIME_RANGES
from pipeline.buffer import Advance, Batch, OrderBlock, Reader, open_buffer, record_id
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.columns import OrderColumns
from pipeline.orders.mapping.currency import DEFAULT_CURRENCY
from pipeline.orders.serde import OrderCodec
from pipeline.records import TopicIdentity

BATCH_RECORDS = 10_000
PARTITIONS = 4
WINDOW = 1_000_000
SMALL = 100_000
LOOKS = 20
BATCH_EVERY_MS = 144 * 60_000
"""A tenth of a day, so that the Overview's longest window has as much in it at first as in the end."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Microseconds of CPU an order over the first and the last million, and bytes an order at the end.

    Beside it, milliseconds that the Overview's questions take when 100,000 orders are there, and at the end.
    """

    rows: int
    first_us: float
    last_us: float
    bytes_an_order: float
    small_overview_ms: float
    big_overview_ms: float


def grow(file: Path, rows: int) -> Growth:
    """Commits batches of new orders with random ids until there are so many."""
    window = min(WINDOW, rows // 2)
    block = OrderCodec(SchemaStore(Path("schemas"))).decode_many(values(Load(BATCH_RECORDS // PARTITIONS)))
    spent: list[float] = []
    small_overview_ms = 0.0
    with open_buffer(file) as buffer:
        topic = TopicIdentity("growth", "orders")
        refs = [buffer.flow.assign("processor", topic, number, 0, 0).ref for number in range(PARTITIONS)]
        for done in range(0, rows, BATCH_RECORDS):
            batch = _batch(refs, done // PARTITIONS, block)
            before = time.process_time()
            buffer.flow.commit(batch)
            spent.append(time.process_time() - before)
            if done + BATCH_RECORDS == SMALL:
                small_overview_ms = _overview_ms(file)
    size = file.stat().st_size
    many = window // BATCH_RECORDS
    first, last = sum(spent[:many]) / window * 1e6, sum(spent[-many:]) / window * 1e6
    return Growth(rows, first, last, size / rows, small_overview_ms, _overview_ms(file))


def _overview_ms(file: Path) -> float:
    """What one refresh of the Overview asks, in the middle of many, over the longest window there is."""
    times = []
    with Reader(file) as reader:
        for _ in range(LOOKS):
            before = time.perf_counter()
            overview_of(reader, list(TIME_RANGES.values())[-1], "UTC", DEFAULT_CURRENCY)
            times.append((time.perf_counter() - before) * 1000)
    return statistics.median(times)


def _batch(refs: list[int], offset: int, like: OrderColumns) -> Batch:
    batch = Batch(1_700_000_000_000 + offset // len(like) * BATCH_EVERY_MS)
    end = offset + len(like)
    for ref in refs:
        ids = np.random.default_rng(ref << 40 | offset).integers(0, 1 << 48, len(like)).tolist()
        orders = replace(
            like,
            texts=like.texts | {"order_id": [f"ORD-{number:012x}" for number in ids]},
            numbers=like.numbers | {"created_at_ms": like.created_at_ms + offset},
        )
        batch.advances.append(Advance(ref, offset, end))
        batch.blocks.append(OrderBlock([record_id(ref, each) for each in range(offset, end)], orders))
    return batch
