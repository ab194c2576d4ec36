"""An outsider that writes orders at a steady rate and keeps its own account of them, to hold the buffer against."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from pipeline.clock import wall_clock_ms
from pipeline.headers.own import TRANSIENT_FAILURES
from pipeline.kafka import Delivery, Sender
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.sample_requests import ProduceRequest
from pipeline.orders.samples import SampleOrders
from pipeline.orders.serde import OrderCodec
from pipeline.records import Headers, Order
from tests.support.faulty_handler import FAILURES
from tests.support.running_pipeline import RunningPipeline

CUSTOMERS = 997
"""A prime, so that those who fail are not the same customers again and again: each would wait for all of its own."""
TICK_S = 0.02

Kind = Literal["valid", "invalid", "malformed", "transient"]


@dataclass(slots=True)
class Account:
    """What Kafka has confirmed, and what must become of it."""

    orders: int = 0
    revenue_cents: int = 0
    dead_letters: int = 0

    @property
    def records(self) -> int:
        """All of them."""
        return self.orders + self.dead_letters

    def add(self, other: Account) -> None:
        """Counts what is in another one as well."""
        self.orders += other.orders
        self.revenue_cents += other.revenue_cents
        self.dead_letters += other.dead_letters


class OrderWriter:
    """Writes `rate_per_s` records a second from a thread of its own, until it is closed; 0: only what `write` writes.

    Of every hundred, `faults` says which are not plainly valid. An invalid or malformed one must become a dead letter,
    a transient one an order at its third attempt, if the pipeline's handler is FAIL_AS_ASKED.
    """

    def __init__(
        self, pipeline: RunningPipeline, rate_per_s: int, faults: dict[int, Kind] | None = None, topic: str = ""
    ) -> None:
        self._topic = topic or pipeline.settings.orders_topic
        self._codec = OrderCodec(SchemaStore(pipeline.settings.schemas_dir))
        self._pipeline = pipeline
        self._sender = Sender(pipeline.settings, pipeline.cluster)
        self._writing = threading.RLock()
        self._rate_per_s = rate_per_s
        self._faults = faults or {}
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, name="order-writer")
        self.account = Account()
        self.errors: list[str] = []
        self.slowest_confirmation_s = 0.0
        """How long Kafka took at most to confirm a record; may be set to 0 to measure again."""

    def __enter__(self) -> Self:
        if self._rate_per_s:
            self._thread.start()
        return self

    def write(self, count: int, kind: Kind | None = None) -> None:
        """Writes so many at once and waits until Kafka has confirmed them; for a writer without a rate.

        `kind` is what each of them is, whatever `faults` says.
        """
        assert not self._rate_per_s
        for number in itertools.islice(self._numbers, count):
            self._send(number, kind or self._kind_of(number))
        self._confirm()

    def add(self, account: Account) -> None:
        """Counts what others have written."""
        with self._writing:
            self.account.add(account)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._rate_per_s:
            self._thread.join()
        if kind is None:
            self._confirm()
        self._sender.close()

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Writes nothing meanwhile; all that was written is confirmed. What is due is made up for afterwards."""
        with self._writing:
            self._confirm()
            self._sender.close()
            yield
            # A producer may not go on to write to a topic that was recreated.
            self._sender = Sender(self._pipeline.settings, self._pipeline.cluster)

    def _confirm(self) -> None:
        assert self._sender.flush(60.0) == 0
        assert self.errors == []

    def _write(self) -> None:
        began_s, written = time.monotonic(), 0
        while not self._stop.wait(TICK_S):
            with self._writing:
                due = int((time.monotonic() - began_s) * self._rate_per_s)
                for number in itertools.islice(self._numbers, due - written):
                    self._send(number, self._kind_of(number))
                written = max(written, due)
                self._sender.poll()

    def _kind_of(self, number: int) -> Kind:
        return self._faults.get(number % 100, "valid")

    def _send(self, number: int, kind: Kind) -> None:
        cents = 0 if kind == "invalid" else 100 + number % 9900
        customer = f"C{number % CUSTOMERS:04d}"
        value = self._codec.encode(Order(f"W-{number}", customer, "Cup", cents, time.time_ns() // 1_000_000))
        if kind == "malformed":
            value = value[:-2]
        headers: Headers = ((FAILURES, b"2"),) if kind == "transient" else ()

        sent_s = time.monotonic()

        def confirmed(delivery: Delivery) -> None:
            self.slowest_confirmation_s = max(self.slowest_confirmation_s, time.monotonic() - sent_s)
            if delivery.error:
                self.errors.append(delivery.error)
            elif kind in ("invalid", "malformed"):
                self.account.dead_letters += 1
            else:
                self.account.orders += 1
                self.account.revenue_cents += cents

        self._sender.send(self._topic, customer.encode(), value, headers, confirmed)


def write_samples(pipeline: RunningPipeline, job_id: int, request: ProduceRequest) -> None:
    """Writes what a produce job would, transient failures too, which no job may ask of the handler on Apache Kafka.

    They have the header of FAIL_AS_ASKED instead of that of the demo cluster's handler.
    """
    topic, codec = pipeline.settings.orders_topic, OrderCodec(SchemaStore(pipeline.settings.schemas_dir))
    samples = SampleOrders(request, job_id, f"request-{job_id}", topic, codec, wall_clock_ms)
    pipeline.send(*((each.key, each.value, _renamed(each.headers)) for each in samples.between(1, request.count)))


def _renamed(headers: Headers) -> Headers:
    return tuple((FAILURES if name == TRANSIENT_FAILURES else name, value) for name, value in headers)
