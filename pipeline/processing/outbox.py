"""Drains the outbox: failed records go to the dead-letter topic and leave the buffer when Kafka has confirmed them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.buffer import OutboxRow
from pipeline.buffer.batch_writer import BatchWriter
from pipeline.clock import Clock, is_due
from pipeline.crash_points import reached
from pipeline.kafka import Delivery, Sender

log = logging.getLogger(__name__)

IN_FLIGHT = 1000
IN_FLIGHT_BYTES = 16_000_000
FIRST_WAIT_MS = 500
LONGEST_WAIT_MS = 15_000
FRESH_ROWS = 2000
"""Rows kept at hand until they are sent; more are read from the outbox when their turn comes."""
FRESH_BYTES = 8_000_000
"""Of a batch with larger rows in all, none is kept at hand."""
SET_ASIDE = 20_000
"""Rows that may wait for partitions of the dead-letter topic which take none; when more would, all wait."""

KeepUndeliverable = Callable[[Sequence[tuple[OutboxRow, str]]], None]
"""Keeps rows that the dead-letter topic will never take in the buffer, with the reason, and out of the outbox."""


@dataclass(slots=True)
class _Wait:
    """How long something waits after it failed: twice as long each time."""

    wait_ms: int = 0
    failed_at_ms: int = 0
    rows: set[str] = field(default_factory=set)

    def failed(self, now_ms: int) -> None:
        self.wait_ms = min(max(FIRST_WAIT_MS, self.wait_ms * 2), LONGEST_WAIT_MS)
        self.failed_at_ms = now_ms

    def is_over(self, now_ms: int) -> bool:
        return is_due(now_ms, self.failed_at_ms, self.wait_ms)


class OutboxDrain:
    """Sends the outbox rows of the partitions that this processor owns.

    A row that is sent twice, since its confirmation was lost, is recognised by its dead-letter id. One that the topic
    will never take is kept in the buffer. Partitions of the topic that take none each wait for themselves.
    """

    def __init__(
        self,
        writer: BatchWriter,
        sender: Sender,
        topic: str,
        refs: Callable[[], list[int]],
        keep_undeliverable: KeepUndeliverable,
        clock: Clock,
    ) -> None:
        self._writer = writer
        self._sender = sender
        self._topic = topic
        self._refs = refs
        self._keep_undeliverable = keep_undeliverable
        self._clock = clock
        self._fresh: deque[OutboxRow] = deque()
        self._in_flight: dict[str, tuple[OutboxRow, int]] = {}
        self._in_flight_bytes = 0
        self._confirmed: list[str] = []
        self._refused: list[tuple[OutboxRow, str]] = []
        self._wait = _Wait()
        self._waits_of_partitions: dict[int, _Wait] = {}
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
        for wait in self._waits_of_partitions.values():
            wait.rows.clear()

    def added(self, rows: Sequence[OutboxRow]) -> None:
        """These rows were written to the outbox."""
        # What is still to be counted is read back as well: it may be of a partition that is another's by now.
        if self._counted:
            answered = len(self._confirmed) + len(self._refused)
            all_at_hand = self.waiting == len(self._fresh) + len(self._in_flight) + answered
            self.waiting += len(rows)
            # What is at hand need not be read back, which takes longer than all else that is done for it. None of it
            # may go before an older one that has to be read: they could be of one key.
            if all_at_hand and sum([len(row.value or b"") for row in rows]) < FRESH_BYTES:
                self._fresh.extend(rows[: FRESH_ROWS - len(self._fresh)])

    @property
    def busy(self) -> bool:
        """Whether confirmations are on their way."""
        return bool(self._in_flight)

    def pump(self) -> None:
        """Takes in confirmations and sends what waits."""
        self._sender.poll()
        # 1. What Kafka has confirmed leaves the outbox.
        if self._confirmed:
            reached("processor: dead letters confirmed")
            self._writer.flow.delivered(self._confirmed)
            reached("processor: outbox emptied")
            self.waiting = max(0, self.waiting - len(self._confirmed))
            self._confirmed = []
        # 2. So does what the topic will never take, and is a dead letter here.
        if self._refused:
            reached("processor: before undeliverable dead letters are kept")
            self._keep_undeliverable(self._refused)
            reached("processor: undeliverable dead letters kept")
            self.waiting = max(0, self.waiting - len(self._refused))
            self._refused = []
        self._count()
        # 3. What is not on its way yet is sent: first what is at hand, then what must be read back.
        self._end_waits()
        if self._may_send() and (self._fresh or self.waiting > len(self._in_flight) + self._set_aside):
            reached("processor: before dead letters are sent")
            while self._fresh and self._has_room():
                self._send(self._fresh.popleft())
            if self._may_send() and not self._fresh:
                self._send_others()
            reached("processor: dead letters handed over")

    def _may_send(self) -> bool:
        return self._has_room() and self._set_aside < SET_ASIDE and self._wait.is_over(self._clock())

    def _has_room(self) -> bool:
        return len(self._in_flight) < IN_FLIGHT and self._in_flight_bytes < IN_FLIGHT_BYTES

    @property
    def _set_aside(self) -> int:
        waits = self._waits_of_partitions
        return sum(len(wait.rows) for wait in waits.values()) if waits else 0

    def _end_waits(self) -> None:
        """Has rows of partitions whose wait is over sent again, the oldest first."""
        now_ms = self._clock()
        for wait in self._waits_of_partitions.values():
            if wait.rows and wait.is_over(now_ms):
                wait.rows.clear()
                self._fresh.clear()

    def _send_others(self) -> None:
        """Sends rows that were not at hand, the oldest first."""
        # What was answered while others were sent is still in the outbox, too.
        known = {*self._in_flight, *self._confirmed, *(row.dead_letter_id for row, _ in self._refused)}
        known = known.union(*(wait.rows for wait in self._waits_of_partitions.values()))
        if self.waiting > len(known):
            for row in self._writer.flow.outbox(self._refs(), IN_FLIGHT, known):
                if not self._has_room():
                    break
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
        size = _bytes_of(row)
        self._in_flight[row.dead_letter_id] = row, size
        self._in_flight_bytes += size
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
        row, size = self._in_flight.pop(delivery.send_id)
        self._in_flight_bytes -= size
        if delivery.refused:
            self._refused.append((row, delivery.error))
        elif delivery.error:
            self._failed(delivery)
        else:
            self._confirmed.append(delivery.send_id)
            self._wait = _Wait()
            if self._waits_of_partitions.pop(delivery.partition, None):
                self._fresh.clear()  # what waited for this partition is older
            if not self._set_aside:
                # A row without a key went to another partition than the one that did not take it.
                self._waits_of_partitions.clear()
                self.error = ""

    def _failed(self, delivery: Delivery) -> None:
        """The row stays in the outbox, and is tried again with all that waits for the same thing, ever more slowly."""
        if delivery.partition < 0:
            self._note(self._topic, delivery.error)
            # All that was on its way fails together, which is one failure.
            if self._wait.is_over(self._clock()):
                self._wait.failed(self._clock())
            self._fresh.clear()
            return
        self._note(f"{self._topic}[{delivery.partition}]", delivery.error)
        wait = self._waits_of_partitions.setdefault(delivery.partition, _Wait())
        if not wait.rows:
            wait.failed(self._clock())
        wait.rows.add(delivery.send_id)

    def _note(self, where: str, error: str) -> None:
        if not self.error.endswith(error):
            log.warning("dead letters wait in the outbox: %s: %s", where, error)
        self.error = f"{where}: {error}"


def _bytes_of(row: OutboxRow) -> int:
    # One copy of the headers takes less time than asking each for its length.
    return len(row.key or b"") + len(row.value or b"") + len(b"".join([value for _, value in row.headers if value]))
