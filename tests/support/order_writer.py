"""An outsider that writes orders at a steady rate and keeps its own account of them, to hold the buffer against."""

from __future__ import annotations

import itertools
import threading
import time
from types import TracebackType
from typing import Self

from pipeline.kafka import Delivery, Sender
from pipeline.records import Order
from pipeline.serde import OrderCodec, SchemaStore
from tests.support.running_pipeline import RunningPipeline

CUSTOMERS = 1000
TICK_S = 0.02


class OrderWriter:
    """Writes `rate_per_s` valid orders a second from a thread of its own, until it is closed."""

    def __init__(self, pipeline: RunningPipeline, rate_per_s: int) -> None:
        self._topic = pipeline.settings.orders_topic
        self._codec = OrderCodec(SchemaStore(pipeline.settings.schemas_dir))
        self._sender = Sender(pipeline.settings, pipeline.cluster)
        self._rate_per_s = rate_per_s
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, name="order-writer")
        self.orders = 0
        """How many Kafka has confirmed."""
        self.revenue_cents = 0
        """The sum of their prices."""
        self.errors: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if kind is None:
            assert self._sender.flush(60.0) == 0
            assert self.errors == []
        self._sender.close()

    def _write(self) -> None:
        began_s, written = time.monotonic(), 0
        while not self._stop.wait(TICK_S):
            due = int((time.monotonic() - began_s) * self._rate_per_s)
            for number in itertools.islice(self._numbers, due - written):
                self._send(number)
            written = max(written, due)
            self._sender.poll()

    def _send(self, number: int) -> None:
        cents = 100 + number % 9900
        customer = f"C{number % CUSTOMERS:04d}"
        order = Order(f"W-{number}", customer, "Cup", cents, time.time_ns() // 1_000_000)

        def confirmed(delivery: Delivery) -> None:
            if delivery.error:
                self.errors.append(delivery.error)
            else:
                self.orders += 1
                self.revenue_cents += cents

        self._sender.send(self._topic, customer.encode(), self._codec.encode(order), (), confirmed)
