"""Drains the outbox: failed records go to the dead-letter topic and leave the buffer when Kafka has confirmed them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence

from pipeline.buffer import OutboxRow
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.clock import Clock, is_due
from pipeline.crash_points import reached
from pipeline.kafka import Delivery, Sender

log = logging.getLogger(__name__)

IN_FLIGHT = 1000
FIRST_WAIT_MS = 500
LONGEST_WAIT_MS = 15_000
FRESH_ROWS = 2000
"""Rows kept at hand until they are sent; more are read from the outbox when their turn comes."""


class OutboxDrain:
    """Sends the outbox rows of the partitions that this processor owns.

    A row that is sent twice, since its confirmation was lost, is recognised by its dead-letter id.
    """

    def __init__(
        self, writer: BatchWriter, sender: Sender, topic: str, refs: Callable[[], list[int]], clock: Clock
    ) -> None:
        self._writer = writer
        self._sender = sender
        self._topic = topic
        self._refs = refs
        self._clock = clock
        self._fresh: deque[OutboxRow] = deque()
        self._in_flight: set[str] = set()
        self._confirmed: list[str] = []
        self._wait_ms = 0
        self._failed_at_ms = 0
        self._counted = False
        self._in_flight_before: set[str] = set()
        self.waiting = 0
        """Rows known to be in the outbox, those in flight included."""
        self.error = ""

    def recount(self) -> None:
        """Partitions came or went: the next `pump` counts the outbox again."""
        self._counted = False
        self._in_flight_before = set(self._in_flight)
        self._fresh.clear()

    def added(self, rows: Sequence[OutboxRow]) -> None:
        """These rows were written to the outbox."""
        # What is still to be counted is read back as well: it may be of a partition that is another's by now.
        if self._counted:
            all_at_hand = self.waiting == len(self._fresh) + len(self._in_flight) + len(self._confirmed)
            self.waiting += len(rows)
            # What is at hand need not be read back, which takes longer than all else that is done for it. None of it
            # may go before an older one that has to be read: they could be of one key.
            if all_at_hand:
                self._fresh.extend(rows[: FRESH_ROWS - len(self._fresh)])

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
            self._writer.flow.delivered(self._confirmed)
            reached("processor: outbox emptied")
            self.waiting = max(0, self.waiting - len(self._confirmed))
            self._confirmed = []
        self._count()
        # 2. What is not on its way yet is sent: first what is at hand, then what must be read back.
        if self._may_send() and (self._fresh or self.waiting > len(self._in_flight)):
            reached("processor: before dead letters are sent")
            while self._fresh and len(self._in_flight) < IN_FLIGHT:
                self._send(self._fresh.popleft())
            if self._may_send() and not self._fresh:
                self._send_others()
            reached("processor: dead letters handed over")

    def _may_send(self) -> bool:
        return len(self._in_flight) < IN_FLIGHT and is_due(self._clock(), self._failed_at_ms, self._wait_ms)

    def _send_others(self) -> None:
        """Sends rows that were not at hand, the oldest first."""
        # What was confirmed while others were sent is still in the outbox, too.
        known = self._in_flight.union(self._confirmed)
        if self.waiting > len(known):
            for row in self._writer.flow.outbox(self._refs(), IN_FLIGHT, known):
                self._send(row)

    def _count(self) -> None:
        if self._in_flight_before and self._in_flight_before.isdisjoint(self._in_flight):
            # Some of these may have been of partitions that went: they left `waiting` without ever being in it.
            self._in_flight_before = set()
            self._counted = False
        if not self._counted:
            self.waiting = self._writer.flow.outbox_size(self._refs())
            self._counted = True

    def _send(self, row: OutboxRow) -> None:
        self._in_flight.add(row.dead_letter_id)
        self._sender.send(
            self._topic,
            row.key,
            row.value,
            row.headers,
            self._done,
            timestamp_ms=row.timestamp_ms,
            send_id=row.dead_letter_id,
        )

    def _done(self, delivery: Delivery) -> None:
        self._in_flight.discard(delivery.send_id)
        if delivery.error:
            # The row stays; all that waits is tried again together, ever more slowly.
            self._note(f"{self._topic}: {delivery.error}")
            self._wait_ms = min(max(FIRST_WAIT_MS, self._wait_ms * 2), LONGEST_WAIT_MS)
            self._failed_at_ms = self._clock()
            self._fresh.clear()
        else:
            self._confirmed.append(delivery.send_id)
            self.error, self._wait_ms = "", 0

    def _note(self, error: str) -> None:
        if error != self.error:
            log.warning("dead letters wait in the outbox: %s", error)
            self.error = error
