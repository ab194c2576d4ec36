"""A long time of steady load on one buffer with retention on, hours in minutes: does it stay at its size?

The clock is an argument everywhere, so a simulated hour takes as long as its writes. Everything goes through the stores
that the roles use, and through the worker's own upkeep. `make soak` prints a line an hour and what it found.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.buffer import (
    Advance,
    Batch,
    Buffer,
    DeadLetterFilter,
    DeadLetterRow,
    OrderRow,
    ReplayOutcome,
    Sent,
    open_buffer,
    record_id,
    recount,
)
from pipeline.records import Order, TopicIdentity
from pipeline.settings import load_settings
from pipeline.watching.upkeep import Upkeep

START_MS = 1_767_225_600_000  # 2026-01-01 00:00:00 UTC
HOUR_MS = 3_600_000
PARTITIONS = 4
SETTLED_AFTER_MS = 600_000
PAGE_OF_PROCESS_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Load:
    """What is simulated. A batch is what a processor writes at once; its size is rate times `batch_every_ms`."""

    hours: int = 24
    rate: int = 500
    kept_hours: int = 1
    dead_letter_share: float = 0.01
    batch_every_ms: int = 5000
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Measured:
    """The state after a simulated hour. Bytes of the file, its write-ahead log, what rows take, and of the process."""

    hour: int
    orders: int
    file_bytes: int
    wal_bytes: int
    used_bytes: int
    resident_bytes: int


def soak(path: Path, load: Load) -> Iterator[Measured]:
    """Runs the load and yields what it measured after each simulated hour."""
    kept_days = load.kept_hours / 24
    settings = load_settings(
        data_dir=path.parent, orders_kept_days=kept_days, dead_letters_kept_days=kept_days, buffer_max_mb=0
    )
    with open_buffer(path) as buffer:
        upkeep = Upkeep(settings, buffer, lambda _: False)
        flow = _Flow(buffer, load)
        for at_ms in range(START_MS, START_MS + load.hours * HOUR_MS, load.batch_every_ms):
            flow.batch(at_ms)
            upkeep.round(at_ms)
            since_start_ms = at_ms + load.batch_every_ms - START_MS
            if since_start_ms % HOUR_MS == 0:
                yield _measured(path, buffer, since_start_ms // HOUR_MS, flow.orders)


class _Flow:
    """Orders, dead letters, and people who settle those ten minutes later: half are discarded, half replayed."""

    def __init__(self, buffer: Buffer, load: Load) -> None:
        self._buffer = buffer
        self._load = load
        self._draw = random.Random(load.seed)
        identity = TopicIdentity("soak", "orders", "orders")
        self._assigned = [buffer.flow.assign("processor", identity, each, 0, START_MS) for each in range(PARTITIONS)]
        self._next = [0] * PARTITIONS
        self._dead = buffer.flow.assign("collector", TopicIdentity("soak", "dead", "dead"), 0, 0, START_MS)
        self._dead_letters = 0
        self._settled = 0
        self._settle_at_ms = START_MS + SETTLED_AFTER_MS
        self.orders = 0

    def batch(self, at_ms: int) -> None:
        """One batch at this time."""
        count = self._load.rate * self._load.batch_every_ms // 1000
        failed = sum(self._draw.random() < self._load.dead_letter_share for _ in range(count))
        self._accept(count - failed, at_ms)
        if failed:
            self._collect(failed, at_ms)
        if at_ms >= self._settle_at_ms:
            self._settle_at_ms += SETTLED_AFTER_MS
            self._settle(at_ms)

    def _accept(self, count: int, at_ms: int) -> None:
        partition = self._draw.randrange(PARTITIONS)
        assigned, first = self._assigned[partition], self._next[partition]
        rows = [
            OrderRow(record_id(assigned.ref, first + index), self._order(self.orders + index, at_ms), 1)
            for index in range(count)
        ]
        self._buffer.flow.commit(Batch(at_ms, [Advance(assigned.ref, first, first + count)], rows))
        self._next[partition] += count
        self.orders += count

    def _order(self, number: int, at_ms: int) -> Order:
        return Order(
            f"ORD-{number:09}",
            f"C-{self._draw.randrange(5000)}",
            f"product {self._draw.randrange(40)}",
            self._draw.randrange(1, 100_000),
            at_ms - 50,
            "north",
        )

    def _collect(self, count: int, at_ms: int) -> None:
        first, ref = self._dead_letters, self._dead.ref
        rows = [self._dead_letter(ref, offset, at_ms) for offset in range(first, first + count)]
        self._buffer.dead_letters.collect([Advance(ref, first, first + count)], rows, at_ms)
        self._dead_letters += count

    def _dead_letter(self, ref: int, offset: int, at_ms: int) -> DeadLetterRow:
        group = self._draw.randrange(50)
        return DeadLetterRow(
            record_id(ref, offset),
            "dead",
            0,
            offset,
            at_ms,
            b"C-1",
            self._draw.randbytes(200),
            (("trace", b"1"),),
            "none",
            f"reason {group}",
            f"group-{group}",
            f"reason {group}",
            at_ms,
            f"soak-{offset}",
            source_topic="orders",
        )

    def _settle(self, at_ms: int) -> None:
        """Everything that is open; ids are given in the order of collection."""
        ids = list(range(self._settled + 1, self._dead_letters + 1))
        self._settled = self._dead_letters
        self._buffer.dead_letters.triage(ids[::2], "discarded", at_ms)
        replayed = ids[1::2]
        if not replayed:
            return
        request = f"at-{at_ms}"
        which = DeadLetterFilter(ids=tuple(replayed))
        job = self._buffer.jobs.queue_replay("{}", which, None, "soak", request, at_ms)
        if job is None:
            raise AssertionError("nothing was open")
        names = [f"{request}-{each}" for each in replayed]
        self._buffer.jobs.next_job(at_ms)
        self._buffer.jobs.open_send_window(job, "{}", names)
        sent = [Sent(name, "orders", 0, index) for index, name in enumerate(names)]
        self._buffer.jobs.close_send_window(job, len(sent), 0, sent, {}, at_ms)
        self._buffer.jobs.finish(job, "done", at_ms)
        self._buffer.flow.commit(Batch(at_ms, outcomes=[ReplayOutcome(name, "recovered") for name in names]))


def _measured(path: Path, buffer: Buffer, hour: int, orders: int) -> Measured:
    resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Measured(
        hour,
        orders,
        path.stat().st_size,
        buffer.upkeep.wal_bytes(),
        buffer.upkeep.used_bytes(),
        resident_pages * PAGE_OF_PROCESS_BYTES,
    )


def growth(measured: list[Measured], after_hour: int) -> dict[str, float]:
    """How much each size grew from that hour to the largest one after it: 1.0 is a plateau."""
    first, *later = [each for each in measured if each.hour >= after_hour]
    return {
        name: max(getattr(each, name) for each in later) / getattr(first, name)
        for name in ("file_bytes", "used_bytes", "resident_bytes")
    }


def main() -> int:
    """Runs the whole of it and prints what it found; exit code 1 when something grew or a figure is wrong."""
    options = argparse.ArgumentParser(prog="python -m scripts.soak", description="Does the buffer stay at its size?")
    for name in ("hours", "rate", "kept_hours", "seed"):
        options.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(Load(), name))
    load = Load(**vars(options.parse_args()))
    measured = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="orderpulse-soak-") as folder:
        path = Path(folder) / "orderpulse.db"
        for each in soak(path, load):
            measured.append(each)
            print(
                f"hour {each.hour:3}  {each.orders:12,} orders  file {each.file_bytes / 1e6:7.1f} MB  log "
                f"{each.wal_bytes / 1e6:5.1f} MB  process {each.resident_bytes / 1e6:6.1f} MB",
                flush=True,
            )
        differences = recount(path)
    grew = growth(measured, load.kept_hours + 2)
    print(", ".join(f"{name} x {factor:.3f}" for name, factor in grew.items()), f"in {time.monotonic() - began:.0f} s")
    for difference in differences:
        print(difference)
    return 1 if differences or max(grew.values()) > 1.1 else 0


if __name__ == "__main__":
    sys.exit(main())
