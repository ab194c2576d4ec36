"""How a job runs: windows of records, each written down before it is sent and closed when it is confirmed."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pipeline.buffer import Buffer, Job, Sent
from pipeline.clock import Clock
from pipeline.crash_points import reached
from pipeline.jobs.sending import Outcome, WindowSender, window_json
from pipeline.records import Outgoing

RATE_AHEAD_S = 0.1
"""With a rate asked for, a window holds what is due in that time, so that records flow instead of coming in bursts."""


class SendWindow(NamedTuple):
    """Records to send at once, and what the window's text must hold for them to be found again."""

    records: list[Outgoing]
    described: dict[str, Any]


class JobRun(ABC):
    """One job from where the buffer says it stands to its end, step by step."""

    send_id_header: str
    """The header that carries a record's send id."""

    def __init__(
        self,
        job: Job,
        buffer: Buffer,
        window_sender: WindowSender,
        clock: Clock,
        steady_clock: Clock,
        rate_per_s: float,
    ) -> None:
        self.job = job
        self._buffer = buffer
        self._window_sender = window_sender
        self._clock = clock
        self._steady_clock = steady_clock
        self._rate_per_s = rate_per_s
        self._open_send_window = job.send_window
        self._under_way = False
        self._prepared: SendWindow | None = None
        self._found_before = Outcome([], {})
        self._began_at_ms = steady_clock()
        self._handed_over = 0
        self._failed = job.failed
        self._done = job.done
        self._first_error = ""
        self.detail = ""
        """What it waits for, if anything."""
        self.idle = False
        """Whether rate or flow made the last step wait."""

    @abstractmethod
    def records_of_window(self, described: Mapping[str, Any]) -> list[Outgoing]:
        """The records of a window that was opened with this text."""

    @abstractmethod
    def next_send_window(self, limit: int) -> SendWindow:
        """Up to `limit` records more than there were, none at the end of the job."""

    @abstractmethod
    def room(self) -> int:
        """How many records may be sent now."""

    def step(self, wait_s: float) -> bool:
        """Goes one step on, within about `wait_s`; true when the job has ended."""
        # 1. A window is under way: close it when everything in it is confirmed or refused.
        if self._under_way:
            # What comes next is made while Kafka has its work with this one.
            self._prepare()
            outcome = self._window_sender.poll(wait_s)
            if outcome is not None:
                self._close(outcome)
            return False
        # 2. A window was left open by somebody who died: look for its records, send only those that are not there.
        if self._open_send_window is not None:
            self._resume(json.loads(self._open_send_window))
            return False
        # 3. The next records, as many as rate and flow allow.
        self._prepare()
        self.idle = self._prepared is None
        if self._prepared is None:
            return False
        records, described = self._prepared
        self._prepared = None
        if not records:
            self._finish("failed" if self._failed and not self._done else "done")
            return True
        # 4. Written down before the first one leaves; a job that was cancelled ends here instead.
        window = window_json(self._window_sender.describe(_topics_of(records)), **described)
        reached("worker: before a window is written down")
        if not self._buffer.jobs.open_send_window(self.job.id, window, [record.send_id for record in records]):
            self._finish("cancelled")
            return True
        reached("worker: window written down")
        # 5. Sent.
        self._window_sender.begin(records)
        reached("worker: window handed over")
        self._under_way = True
        self._handed_over += len(records)
        return False

    def _prepare(self) -> None:
        if self._prepared is None and (limit := self._allowed()):
            self._prepared = self.next_send_window(limit)

    def _resume(self, described: Mapping[str, Any]) -> None:
        records = self.records_of_window(described)
        self._window_sender.describe(_topics_of(records))
        send_ids = {record.send_id for record in records}
        reached("worker: before an open window is looked for")
        self._found_before = self._window_sender.look_for(send_ids, self.send_id_header, described["topics"])
        reached("worker: open window looked for")
        known = {sent.send_id for sent in self._found_before.sent} | self._found_before.errors.keys()
        self._window_sender.begin([record for record in records if record.send_id not in known])
        reached("worker: rest of a window handed over")
        self._open_send_window = None
        self._under_way = True

    def _close(self, outcome: Outcome) -> None:
        sent: list[Sent] = [*self._found_before.sent, *outcome.sent]
        errors = {**self._found_before.errors, **outcome.errors}
        reached("worker: window confirmed")
        self._buffer.jobs.close_send_window(self.job.id, len(sent), len(errors), sent, errors, self._clock())
        reached("worker: window closed")
        self._done += len(sent)
        self._failed += len(errors)
        self._first_error = self._first_error or next(iter(errors.values()), "")
        self._found_before = Outcome([], {})
        self._under_way = False

    def _allowed(self) -> int:
        room = self.room()
        now_ms = self._steady_clock()
        self.detail = "" if room else "waiting for the processor to keep up"
        if not self._rate_per_s:
            return room
        if not room:
            # What could not be sent in time is not made up for in one burst: the rate asked for is a limit.
            self._began_at_ms = now_ms - int(self._handed_over / self._rate_per_s * 1000)
        elapsed_s = (now_ms - self._began_at_ms) / 1000 + RATE_AHEAD_S
        due = int(self._rate_per_s * elapsed_s) - self._handed_over
        # At low rates the first record is due at once.
        return max(0, min(room, due if self._handed_over else max(due, 1)))

    def _finish(self, state: Any) -> None:
        self._buffer.jobs.finish(self.job.id, state, self._clock(), self._first_error)


def _topics_of(records: Iterable[Outgoing]) -> set[str]:
    return {record.topic for record in records if not record.refused}
