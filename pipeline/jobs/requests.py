"""What people ask for, from the app and from the command line: the one door through which either writes.

Each function checks READ_ONLY itself, so that no page can forget to. A `request_id` makes a request one request: given
twice (a double click, two tabs), the second call returns the first one's job.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipeline.buffer import (
    Buffer,
    Cut,
    DeadLetterFilter,
    Generation,
    HeldTopic,
    LeftOut,
    LookupKind,
    RereadPlan,
    SourceOf,
    TakenOrders,
    TriageStatus,
)
from pipeline.clock import Clock
from pipeline.dead_letters.schema_answers import params_of
from pipeline.dead_letters.topics_file import load_dead_letter_topics
from pipeline.errors import NothingToReplayError, UsageError
from pipeline.kafka import DEMO_IDS
from pipeline.orders.sample_requests import MAX_RATE, ProduceRequest, why_no_samples
from pipeline.running.imported import refuse_imported
from pipeline.schema_source import SchemaRef
from pipeline.settings import Settings, variable_of
from pipeline.starts import start_of

if TYPE_CHECKING:
    from pipeline.jobs.regroup import Regrouping


def request_produce(
    settings: Settings, buffer: Buffer, clock: Clock, request: ProduceRequest, by: str, request_id: str | None = None
) -> int:
    """Queues a produce job and returns its id. Raises UsageError, and MappingFileError."""
    from pipeline.orders.mapping.mapping_file import load_mappings  # takes 20 ms, and no other request needs it

    _refuse_when_read_only(settings)
    refuse_imported(settings.data_dir, "nothing can be produced")
    request.check()
    if why_not := why_no_samples(settings, load_mappings(settings)):
        raise UsageError(why_not)
    if request.simulates_failures and not settings.demo:
        raise UsageError(
            "a transient share and the scenario `reference` need the demo cluster, whose handler simulates failures; "
            f"{variable_of('bootstrap_servers')} names another Kafka"
        )
    params = json.dumps(asdict(request))
    return buffer.jobs.queue_produce(params, request.count, by, request_id or new_request_id(), clock())


def request_regroup(settings: Settings, buffer: Buffer) -> Regrouping:
    """Lets all dead letters be grouped by the newest fingerprint version. Raises UsageError."""
    from pipeline.jobs.regroup import Regrouping  # the rule's patterns take 50 ms, and no other request needs them

    _refuse_when_read_only(settings)
    return Regrouping(buffer)


def request_replay(
    settings: Settings,
    buffer: Buffer,
    clock: Clock,
    which: DeadLetterFilter,
    by: str,
    request_id: str | None = None,
    rate: float = 0.0,
    force: bool = False,
    source_of: SourceOf | None = None,
) -> int:
    """Puts the dead letters that match and can be replayed into the ledger, and returns the replay job's id.

    What is already on its way is left out. Records replayed REPLAY_LIMIT times are left out too, unless `force`, and
    what `left_out` counts. Rates are records a second; 0 is as fast as possible. `source_of` names the source of a
    dead-letter topic; without it, the file of the settings does.
    Raises NothingToReplayError when nothing is left to send, and UsageError.
    """
    _refuse_when_read_only(settings)
    if not 0 <= rate <= MAX_RATE:
        raise UsageError(f"rate must be from 0 to {MAX_RATE:,.0f} records a second, not {rate}")
    limit = None if force else settings.replay_limit
    source_of = source_of or load_dead_letter_topics(settings).source_of
    params = json.dumps({"rate": rate, "force": force})
    job_id = buffer.jobs.queue_replay(params, which, limit, by, request_id or new_request_id(), clock(), source_of)
    if job_id is None:
        raise NothingToReplayError(_why_nothing(settings, buffer.jobs.count_left_out(which, limit, source_of)))
    return job_id


def why_left_out(settings: Settings, left_out: LeftOut) -> list[tuple[int, str]]:
    """What a replay leaves out, in words: how many, and why."""
    told = [(left_out.imported, "as imported ones are sent nowhere")] if left_out.imported else []
    told += [
        (count, f"without a source topic, as nobody has named one for {topic} in {settings.dead_letters_file.name}")
        for topic, count in sorted(left_out.without_target.items())
    ]
    if left_out.without_body:
        told.append((left_out.without_body, _without_body(left_out)))
    if left_out.never_written:
        told.append((left_out.never_written, "that could not be written to their topic, and hold other bytes"))
    if left_out.beyond_limit:
        told.append((left_out.beyond_limit, f"replayed {settings.replay_limit} times or more"))
    return told


def _without_body(left_out: LeftOut) -> str:
    where = ", ".join(left_out.bodies_at)
    if left_out.without_body == 1:
        return "as it has no body" + (
            f"; the record itself is at {where}, as long as Kafka keeps it" if where else ", and names no record"
        )
    if not where:
        return "as they have no body, and name no record"
    more = " and elsewhere" if left_out.without_body > len(left_out.bodies_at) else ""
    return f"as they have no body; the records themselves are at {where}{more}, as long as Kafka keeps them"


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


def read_on(settings: Settings, buffer: Buffer, clock: Clock, held_id: int, start: str, by: str) -> None:
    """Says from where on a topic is read that is held, since it may hold copies: see `starts.start_of`.

    The worker does the rest. Raises UsageError.
    """
    _refuse_when_read_only(settings)
    held = next((each for each in buffer.rereads.unfinished() if each.id == held_id and each.state == "held"), None)
    if held is None:
        raise UsageError("somebody has said already how reading goes on")
    buffer.rereads.ask(held.role, held.topic, held.cluster_id, start_of(start), by, clock())


def orders_taken_out(buffer: Buffer, held: HeldTopic) -> TakenOrders:
    """What goes out of rows and figures when a held topic is read on from the earliest: all that was read elsewhere."""
    generations = buffer.rereads.partitions(held.role, held.cluster_id, held.topic) if held.role == "processor" else []
    return buffer.rereads.orders_from([Cut(each.ref, 0) for each in of_other_clusters(generations, held.cluster_id)])


def of_other_clusters(generations: list[Generation], cluster_id: str) -> list[Generation]:
    """Those that were read elsewhere; nothing is a copy of the demo cluster's records."""
    others = [each for each in generations if each.identity.cluster_id != cluster_id]
    return [each for each in others if not each.identity.cluster_id.startswith(DEMO_IDS)]


def request_reread(settings: Settings, buffer: Buffer, clock: Clock, plan: RereadPlan, by: str) -> int:
    """Begins a reread that `reread.plan_reread` has looked up; returns its number. Raises UsageError."""
    _refuse_when_read_only(settings)
    return buffer.rereads.begin(plan, by, clock())


def request_lookup(
    settings: Settings, buffer: Buffer, clock: Clock, kind: LookupKind, params: Mapping[str, str], by: str
) -> int:
    """Asks the worker to look something up in Kafka; returns the question's number. Raises UsageError."""
    _refuse_when_read_only(settings)
    refuse_imported(settings.data_dir, "nothing can be looked up in Kafka")
    return buffer.lookups.ask(kind, json.dumps(params), by, clock())


def request_schemas(buffer: Buffer, clock: Clock, refs: Sequence[SchemaRef], by: str) -> int:
    """Asks the worker for schemas of the registry; returns the question's number.

    Nothing comes of it but that dead letters can be read, so whoever may see them may ask, where all is read-only too.
    """
    return buffer.lookups.ask("schemas", params_of(refs), by, clock())


def request_letter(settings: Settings, buffer: Buffer, clock: Clock, identifier: int, by: str) -> int:
    """Asks the worker what Kafka holds of a dead letter; returns the question's number. Raises UsageError.

    Nothing is changed by it, so whoever may see the dead letter may ask, where all is read-only too.
    """
    refuse_imported(settings.data_dir, "Kafka is not asked")
    return buffer.lookups.ask("letter", json.dumps({"id": identifier}), by, clock())


def save_section(settings: Settings, buffer: Buffer, clock: Clock, topic: str, section: str, by: str) -> None:
    """Writes a topic's section into the mapping file, which all roles follow; all else in the file stays.

    Raises UsageError and MappingFileError; then nothing was written.
    """
    from pipeline.orders.proposing.edited_file import edited, write_whole  # as above

    _refuse_when_read_only(settings)
    content, mapped = edited(settings.mapping_file, topic, section)
    if refused := buffer.flow.agree_currency(mapped.mappings.currency):
        raise UsageError(refused)
    write_whole(settings.mapping_file, content)
    buffer.watch.event("worker", "info", f"the section of {topic} in the mapping file was saved by {by}", clock())


def check_import(settings: Settings) -> None:
    """Raises UsageError where nothing may be imported."""
    _refuse_when_read_only(settings)


def new_request_id() -> str:
    """A name for one confirmed request."""
    return uuid.uuid4().hex


def _refuse_when_read_only(settings: Settings) -> None:
    if settings.read_only:
        raise UsageError(f"this OrderPulse is read-only ({variable_of('read_only')})")


def _why_nothing(settings: Settings, left_out: LeftOut) -> str:
    told = [
        f"{count} dead letter{'' if count == 1 else 's'} left out, {why}"
        for count, why in why_left_out(settings, left_out)
    ]
    if left_out.beyond_limit:
        told.append("force the replay to go on with those that were replayed as often as is allowed")
    return f"nothing was sent: {'; '.join(told)}" if told else "nothing to replay: no dead letter that matches is open"
