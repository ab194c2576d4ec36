"""Runs produce jobs: sample orders onto the orders topic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.buffer import Buffer, Job
from pipeline.clock import Clock
from pipeline.jobs import JobRun, Window
from pipeline.pace import Pace
from pipeline.records import Outgoing
from pipeline.requests import ProduceRequest
from pipeline.samples import SAMPLE, SampleOrders
from pipeline.sending import Courier
from pipeline.serde import OrderCodec


class ProduceRun(JobRun):
    """A produce job. Its counts tell which sample comes next.

    Making one registers the schema where there is a registry: raises RegistryUnavailableError and SchemaRefusedError.
    """

    send_id_header = SAMPLE

    def __init__(
        self,
        job: Job,
        buffer: Buffer,
        courier: Courier,
        pace: Pace,
        topic: str,
        codec: OrderCodec,
        clock: Clock,
        steady_clock: Clock,
    ) -> None:
        request = ProduceRequest(**json.loads(job.params))
        super().__init__(job, buffer, courier, clock, steady_clock, request.rate)
        self._pace = pace
        self._topic = topic
        self._count = request.count
        self._next = job.done + job.failed + 1
        self._samples = SampleOrders(request, job.id, job.request_id, topic, codec.encoder_for(topic), clock)

    def room(self) -> int:
        """As many as the demo cluster can hold until the processor has read them."""
        self._courier.describe([self._topic])
        return self._pace.orders(self._courier.end_of(self._topic), self._courier.under_way)

    def next_window(self, limit: int) -> Window:
        """The samples after those that are counted or under way."""
        told = {"first": self._next, "last": min(self._count, self._next + limit - 1)}
        return self.window_of(told), told

    def window_of(self, told: Mapping[str, Any]) -> list[Outgoing]:
        """The samples number `first` to `last`."""
        self._next = told["last"] + 1
        return list(self._samples.between(told["first"], told["last"]))
