"""Runs produce jobs: sample orders onto the orders topic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.buffer import Buffer, Job
from pipeline.clock import Clock
from pipeline.jobs import JobRun
from pipeline.pace import Pace
from pipeline.requests import ProduceRequest
from pipeline.samples import SAMPLE, SampleOrders
from pipeline.sending import Courier, Outgoing
from pipeline.serde import OrderCodec


class ProduceRun(JobRun):
    """A produce job. Its counts tell which sample comes next.

    Making one registers the schema where there is a registry: raises RegistryUnavailableError and SchemaRefusedError.
    """

    send_id_header = SAMPLE

    def __init__(
        self, job: Job, buffer: Buffer, courier: Courier, pace: Pace, topic: str, codec: OrderCodec, clock: Clock
    ) -> None:
        request = ProduceRequest(**json.loads(job.params))
        super().__init__(job, buffer, courier, clock, request.rate)
        self._pace = pace
        self._topic = topic
        self._count = request.count
        self._samples = SampleOrders(request, job.id, job.request_id, codec.encoder_for(topic), clock)

    def room(self) -> int:
        """As many as the demo cluster can hold until the processor has read them."""
        self._courier.describe([self._topic])
        return self._pace.orders(self._courier.end_of(self._topic))

    def next_window(self, limit: int) -> tuple[list[Outgoing], dict[str, Any]]:
        """The samples after those that are counted."""
        first = self._done + self._failed + 1
        told = {"first": first, "last": min(self._count, first + limit - 1)}
        return self.window_of(told), told

    def window_of(self, told: Mapping[str, Any]) -> list[Outgoing]:
        """The samples number `first` to `last`."""
        return [
            Outgoing(self._samples.send_id(sample.number), self._topic, sample.key, sample.value, sample.headers)
            for sample in self._samples.between(told["first"], told["last"])
        ]
