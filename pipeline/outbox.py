"""Drains the outbox: failed records go to the dead-letter topic and leave the buffer when Kafka has confirmed them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from pipeline.buffer import FlowStore, OutboxRow
from pipeline.clock import Clock, is_due
from pipeline.crash_points import reached
from pipeline.kafka import Delivery, Sender

log = logging.getLogger(__name__)

IN_FLIGHT = 1000
FIRST_WAIT_MS = 500
LONGEST_WAIT_MS = 15_000


class OutboxDrain:
    """Sends the outbox rows of the partitions that this processor owns.

    A row that is sent twice, since its confirmation was lost, is recognised by its dead-letter id.
    """

    def __init__(
        self, flow: FlowStore, sender: Sender, topic: str, refs: Callable[[], list[int]], clock: Clock
    ) -> None:
        self._flow = flow
        self._sender = sender
        self._topic = topic
        self._refs = refs
        self._clock = clock
        self._in_flight: set[str] = set()
        self._confirmed: list[str] = []
        self._wait_ms = 0
        self._failed_at_ms = 0
        self._counted = False
        self.waiting = 0
        """Rows known to be in the outbox, those in flight included."""
        self.error = ""

    def recount(self) -> None:
        """Partitions came or went: the next `pump` counts the outbox anew."""
        self._counted = False

    def added(self, rows: int) -> None:
        """So many rows were written to the outbox."""
        self.waiting += rows

    @property
    def busy(self) -> bool:
        """Whether confirmations are on their way."""
        return bool(self._in_flight)

    def pump(self) -> None:
        """Takes in confirmations and sends what waits."""
        # 1. What Kafka has confirmed leaves the outbox.
        self._sender.poll()
        if self._confirmed:
            reached("processor: dead letters confirmed")
            self._flow.delivered(self._confirmed)
            reached("processor: outbox emptied")
            self.waiting = max(0, self.waiting - len(self._confirmed))
            self._confirmed = []
            if not self._in_flight:
                # Some may have been of partitions that went meanwhile: what is left of ours would be forgotten.
                self._counted = False
        if not self._counted:
            self.waiting = self._flow.outbox_size(self._refs())
            self._counted = True
        # 2. What is not on its way yet is sent.
        if self.waiting > len(self._in_flight) < IN_FLIGHT and is_due(self._clock(), self._failed_at_ms, self._wait_ms):
            reached("processor: before dead letters are sent")
            for row in self._flow.outbox(self._refs(), 2 * IN_FLIGHT):
                if row.dead_letter_id not in self._in_flight:
                    self._send(row)
            reached("processor: dead letters handed over")

    def _send(self, row: OutboxRow) -> None:
        self._in_flight.add(row.dead_letter_id)
        done = partial(self._done, row.dead_letter_id)
        self._sender.send(self._topic, row.key, row.value, row.headers, done, timestamp_ms=row.timestamp_ms)

    def _done(self, dead_letter_id: str, delivery: Delivery) -> None:
        self._in_flight.discard(dead_letter_id)
        if delivery.error:
            # The row stays; all that waits is tried again together, ever more slowly.
            self._note(f"{self._topic}: {delivery.error}")
            self._wait_ms = min(max(FIRST_WAIT_MS, self._wait_ms * 2), LONGEST_WAIT_MS)
            self._failed_at_ms = self._clock()
        else:
            self._confirmed.append(dead_letter_id)
            self.error, self._wait_ms = "", 0

    def _note(self, error: str) -> None:
        if error != self.error:
            log.warning("dead letters wait in the outbox: %s", error)
            self.error = error
