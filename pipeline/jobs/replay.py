"""Runs replay jobs: dead letters back to where they came from, with a name by which their outcome is known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.buffer import Buffer, Job, ReplayItem
from pipeline.clock import Clock
from pipeline.headers import original_key_and_value, replay_headers, why_not_replayed
from pipeline.headers.own import REPLAY_ID
from pipeline.jobs.pace import Pace
from pipeline.jobs.runs import JobRun, SendWindow
from pipeline.jobs.sending import WindowSender
from pipeline.records import Outgoing

WINDOW_RECORDS = 5000
NO_TARGET = "the dead letter names no source topic, and nobody has named one for its dead-letter topic"
"""Of an item that an older version has queued: now none gets into the ledger."""


class ReplayRun(JobRun):
    """A replay job. The ledger decides which dead letters come next."""

    send_id_header = REPLAY_ID

    def __init__(
        self,
        job: Job,
        buffer: Buffer,
        window_sender: WindowSender,
        pace: Pace,
        orders_topics: Sequence[str],
        clock: Clock,
        steady_clock: Clock,
    ) -> None:
        super().__init__(job, buffer, window_sender, clock, steady_clock, json.loads(job.params)["rate"])
        self._pace = pace
        self._orders_topics = orders_topics

    def room(self) -> int:
        """As many as the demo cluster can hold until the processor has read them."""
        if self._pace.limited:
            self._window_sender.describe(self._orders_topics)
        ends = self._window_sender.ends_of(self._orders_topics)
        return min(WINDOW_RECORDS, self._pace.orders(ends, self._window_sender.under_way))

    def next_send_window(self, limit: int) -> SendWindow:
        """The next planned items of the ledger."""
        items = self._buffer.jobs.planned_items(self.job.id, limit)
        return SendWindow(self._outgoing(items), {})

    def records_of_window(self, described: Mapping[str, Any]) -> list[Outgoing]:
        """The items that the ledger says were being sent."""
        return self._outgoing(self._buffer.jobs.sending_items(self.job.id))

    def _outgoing(self, items: list[ReplayItem]) -> list[Outgoing]:
        return [_outgoing(item) for item in items]


def _outgoing(item: ReplayItem) -> Outgoing:
    key, value = original_key_and_value(item.headers, item.key, item.value)
    refused = why_not_replayed(item.headers, key, value) or ("" if item.topic else NO_TARGET)
    return Outgoing(
        item.replay_id,
        item.topic or "",
        key,
        value,
        replay_headers(item.headers, item.replay_id, item.public_id),
        item.partition,
        refused,
    )
