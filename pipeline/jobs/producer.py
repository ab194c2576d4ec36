"""Runs produce jobs: sample orders onto the orders topic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.buffer import Buffer, Job
from pipeline.clock import Clock
from pipeline.jobs.pace import Pace
from pipeline.jobs.runs import JobRun, SendWindow
from pipeline.jobs.sending import WindowSender
from pipeline.orders.sample_requests import ProduceRequest
from pipeline.orders.samples import SAMPLE, SampleOrders
from pipeline.orders.serde import OrderCodec
from pipeline.records import Outgoing


class ProduceRun(JobRun):
    """A produce job. Its counts decide which sample comes next.

    Making one registers the schema where there is a registry: raises RegistryUnavailableError and SchemaRefusedError.
    """

    send_id_header = SAMPLE

    def __init__(
        self,
        job: Job,
        buffer: Buffer,
        window_sender: WindowSender,
        pace: Pace,
        topic: str,
        codec: OrderCodec,
        clock: Clock,
        steady_clock: Clock,
    ) -> None:
        request = ProduceRequest(**json.loads(job.params))
        super().__init__(job, buffer, window_sender, clock, steady_clock, request.rate)
        self._pace = pace
        self._topic = topic
        self._count = request.count
        self._next = job.done + job.failed + 1
        self._samples = SampleOrders(request, job.id, job.request_id, topic, codec.encoder_for(topic), clock)

    def room(self) -> int:
        """As many as the demo cluster can hold until the processor has read them."""
        self._window_sender.describe([self._topic])
        return self._pace.orders(self._window_sender.ends_of([self._topic]), self._window_sender.under_way)

    def next_send_window(self, limit: int) -> SendWindow:
        """The samples after those that are counted or under way."""
        described = {"first": self._next, "last": min(self._count, self._next + limit - 1)}
        return SendWindow(self.records_of_window(described), described)

    def records_of_window(self, described: Mapping[str, Any]) -> list[Outgoing]:
        """The samples from the `first` to the `last`, counted from 1."""
        self._next = described["last"] + 1
        return list(self._samples.between(described["first"], described["last"]))
