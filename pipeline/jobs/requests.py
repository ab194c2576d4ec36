"""What people ask for, from the app and from the command line: the one door through which either writes.

Each function checks READ_ONLY itself, so that no page can forget to. A `request_id` makes a request one request: given
twice (a double click, two tabs), the second call returns the first one's job.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict

from pipeline.buffer import Buffer, DeadLetterFilter, TriageStatus
from pipeline.clock import Clock
from pipeline.errors import UsageError
from pipeline.orders.samples import MAX_RATE, ProduceRequest
from pipeline.settings import Settings, variable_of


def request_produce(
    settings: Settings, buffer: Buffer, clock: Clock, request: ProduceRequest, by: str, request_id: str | None = None
) -> int:
    """Queues a produce job and returns its id. Raises UsageError."""
    _refuse_when_read_only(settings)
    request.check()
    if request.simulates_failures and not settings.demo:
        raise UsageError(
            "a transient share and the scenario `reference` need the demo cluster, whose handler simulates failures; "
            f"{variable_of('bootstrap_servers')} names another Kafka"
        )
    params = json.dumps(asdict(request))
    return buffer.jobs.queue_produce(params, request.count, by, request_id or new_request_id(), clock())


def request_replay(
    settings: Settings,
    buffer: Buffer,
    clock: Clock,
    which: DeadLetterFilter,
    by: str,
    request_id: str | None = None,
    rate: float = 0.0,
    force: bool = False,
) -> int:
    """Puts the dead letters that match and can be replayed into the ledger, and returns the replay job's id.

    What is already on its way is left out. Records replayed REPLAY_LIMIT times are left out too, unless `force`.
    Rates are records a second; 0 is as fast as possible. Raises UsageError when nothing is left to send.
    """
    _refuse_when_read_only(settings)
    if not 0 <= rate <= MAX_RATE:
        raise UsageError(f"rate must be from 0 to {MAX_RATE:,.0f} records a second, not {rate}")
    limit = None if force else settings.replay_limit
    params = json.dumps({"rate": rate, "force": force})
    job_id = buffer.jobs.queue_replay(params, which, limit, by, request_id or new_request_id(), clock())
    if job_id is None:
        raise UsageError(_why_nothing(buffer, which, limit))
    return job_id


def cancel(settings: Settings, buffer: Buffer, clock: Clock, job_id: int) -> None:
    """Asks a job to end early; what it has sent stays sent. Raises UsageError when it has ended already."""
    _refuse_when_read_only(settings)
    if not buffer.jobs.ask_to_cancel(job_id, clock()):
        raise UsageError(f"job {job_id} is not running")


def set_status(settings: Settings, buffer: Buffer, clock: Clock, ids: Sequence[int], status: TriageStatus) -> int:
    """Sets dead letters by hand; returns how many changed. All others stay.

    Discards open and replayed ones, opens discarded ones again, takes replayed ones for recovered.
    """
    _refuse_when_read_only(settings)
    return buffer.dead_letters.triage(ids, status, clock())


def accept_losses(settings: Settings, buffer: Buffer, clock: Clock) -> int:
    """Says that the records which Kafka removed before they were read are known; returns how many offsets those are."""
    _refuse_when_read_only(settings)
    return buffer.watch.accept_losses(clock())


def resume_reading(settings: Settings, buffer: Buffer, clock: Clock, by: str) -> list[str]:
    """Lets topics be read again that the brake has stopped, and returns them. Raises UsageError when none is."""
    _refuse_when_read_only(settings)
    resumed = buffer.watch.resume(by, clock())
    if not resumed:
        raise UsageError("no topic's reading is stopped")
    return resumed


def new_request_id() -> str:
    """A name for one confirmed request."""
    return uuid.uuid4().hex


def _refuse_when_read_only(settings: Settings) -> None:
    if settings.read_only:
        raise UsageError(f"this OrderPulse is read-only ({variable_of('read_only')})")


def _why_nothing(buffer: Buffer, which: DeadLetterFilter, limit: int | None) -> str:
    beyond = buffer.jobs.count_beyond_limit(which, limit) if limit is not None else 0
    if beyond:
        return f"nothing was sent: {beyond} dead letters were replayed {limit} times or more; force the replay to go on"
    return "nothing to replay: no dead letter that matches is open"
