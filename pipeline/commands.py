"""What the commands that are no roles do. Each prints for people and returns its exit code."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.buffer import (
    HOW_TO_GO_ON,
    OPEN_STATUSES,
    Buffer,
    DeadLetterFilter,
    HeldTopic,
    LeftOut,
    Reader,
    SourceOf,
    StoppedTopic,
    back_up,
    open_buffer,
    recount,
    repair,
)
from pipeline.buffer import restore as restore_buffer
from pipeline.buffer.views import JobView
from pipeline.clock import pause, steady_clock_ms, wall_clock_ms
from pipeline.consuming.topic_choice import choose_orders_topics, topics_read
from pipeline.dead_letters.topics_file import load_dead_letter_topics
from pipeline.errors import (
    BufferUnavailableError,
    KafkaUnavailableError,
    NothingToReplayError,
    QueryError,
    UsageError,
)
from pipeline.jobs import requests
from pipeline.kafka import ClusterView, check_kafka_config, find_cluster
from pipeline.orders.sample_requests import ProduceRequest
from pipeline.records import Currency, TopicIdentity
from pipeline.running.folder_owner import is_running, nothing_running
from pipeline.running.imported import is_imported, mark_imported
from pipeline.running.statusboard import RoleStatus, read_roles
from pipeline.search.query import Named, Query
from pipeline.search_command import meant_by, run_search, tell_error
from pipeline.settings import Settings, describe
from pipeline.starts import start_of

if TYPE_CHECKING:
    from pipeline.jobs.reread import Rereads
    from pipeline.watching.kafka_check import Comparison

log = logging.getLogger(__name__)

ENDED = ("done", "failed", "cancelled")
PROGRESS_EVERY_S = 0.2
NOT_COMPARED = 3
"""Exit code of `check` where the buffer agrees with itself and Kafka could not be asked."""


# -- jobs


def produce(settings: Settings, options: argparse.Namespace) -> int:
    """Queues a produce job and, unless `--no-wait` is given, waits for its end."""
    request = ProduceRequest(
        options.count,
        options.rate,
        options.seed,
        options.invalid_share,
        options.transient_share,
        options.malformed_share,
        options.scenario,
    )
    check_kafka_config(settings)
    with open_buffer(settings.database_file, "FULL") as buffer:
        job_id = requests.request_produce(settings, buffer, wall_clock_ms, request, "command line")
    return _follow(settings, job_id, options.no_wait)


def replay(settings: Settings, options: argparse.Namespace) -> int:
    """Queues a replay job and, unless `--no-wait` is given, waits for its end; or lists what it would send."""
    try:
        which = _selected(settings, options)
    except QueryError as error:
        return tell_error(options.query, error)
    check_kafka_config(settings)
    source_of = load_dead_letter_topics(settings).source_of
    if options.dry_run:
        return _list_what_would_be_sent(settings, which, options.force, source_of)
    limit = None if options.force else settings.replay_limit
    with open_buffer(settings.database_file, "FULL") as buffer:
        left_out = buffer.jobs.count_left_out(which, limit, source_of)
        try:
            job_id = requests.request_replay(
                settings,
                buffer,
                wall_clock_ms,
                which,
                "command line",
                rate=options.rate,
                force=options.force,
                source_of=source_of,
            )
        except NothingToReplayError:
            if not (options.all and left_out.impossible):
                raise
            # All were asked for that can be sent, and none can.
            print("0 dead letters to send", file=sys.stderr)
            _tell_left_out(settings, left_out)
            return 0
    _tell_left_out(settings, left_out)
    return _follow(settings, job_id, options.no_wait)


def _selected(settings: Settings, options: argparse.Namespace) -> DeadLetterFilter:
    """The dead letters that `replay` is asked for. Raises QueryError."""
    if options.ids:
        return DeadLetterFilter(ids=tuple(options.ids))
    if options.query is not None:
        return meant_by(settings, options.query, wall_clock_ms).replayable()
    chosen = (("group", options.group), ("status", options.status))
    return DeadLetterFilter(Query(tuple(Named(field, value) for field, value in chosen if value)))


def _list_what_would_be_sent(settings: Settings, which: DeadLetterFilter, force: bool, source_of: SourceOf) -> int:
    limit = None if force else settings.replay_limit
    count = 0
    with open_buffer(settings.database_file) as buffer:
        for item in buffer.jobs.preview_replay(which, limit, source_of):
            print(f"{item.dead_letter_id}\t{item.topic}\t{item.order_id or '-'}\t{item.reason}")
            count += 1
        left_out = buffer.jobs.count_left_out(which, limit, source_of)
    print(f"{count} dead letters would be sent", file=sys.stderr)
    _tell_left_out(settings, left_out)
    return 0


def _tell_left_out(settings: Settings, left_out: LeftOut) -> None:
    for count, why in requests.why_left_out(settings, left_out):
        print(f"left out: {count} {why}", file=sys.stderr)


def _follow(settings: Settings, job_id: int, no_wait: bool) -> int:
    if no_wait:
        print(f"job {job_id} is queued")
        return 0
    if not is_running(settings.data_dir) and not _worker_speaks(settings):
        print("orderpulse: no worker is running; the job waits for `python -m pipeline up`", file=sys.stderr)
    said = trouble = ""
    while True:
        job = _job(settings, job_id)
        line = f"job {job.id} {job.state}: {job.done} of {job.total} sent" + (
            f", {job.failed} failed" if job.failed else ""
        )
        if line != said and (sys.stderr.isatty() or job.state in ENDED):
            print(line, file=sys.stderr)
            said = line
        if job.state in ENDED:
            if job.error:
                print(f"orderpulse: {job.error}", file=sys.stderr)
            return 0 if job.state == "done" and not job.failed else 1
        if (waits := _what_the_worker_waits_for(settings)) and waits != trouble:
            print(f"orderpulse: the worker waits: {waits}", file=sys.stderr)
            trouble = waits
        pause(PROGRESS_EVERY_S)


def _what_the_worker_waits_for(settings: Settings) -> str:
    now_ms = wall_clock_ms()
    workers = [role for role in read_roles(settings.data_dir) if role.role == "worker" and not role.silent(now_ms)]
    return next((role.detail for role in workers if role.state == "waiting"), "")


def _job(settings: Settings, job_id: int) -> JobView:
    with Reader(settings.database_file) as reader:
        job = reader.job(job_id)
    if job is None:
        raise UsageError(f"there is no job {job_id}")
    return job


def _worker_speaks(settings: Settings) -> bool:
    now_ms = wall_clock_ms()
    return any(
        role.role == "worker" and role.state != "stopped" and not role.silent(now_ms)
        for role in read_roles(settings.data_dir)
    )


def resume(settings: Settings, options: argparse.Namespace) -> int:
    """Lets topics be read again that the brake has stopped."""
    with open_buffer(settings.database_file, "FULL") as buffer:
        resumed = requests.resume_reading(settings, buffer, wall_clock_ms, "command line")
    print(f"{', '.join(resumed)}: reading goes on", file=sys.stderr)
    return 0


def reread(settings: Settings, options: argparse.Namespace) -> int:
    """Reads a topic again from a place on, after saying what that changes and, without `--yes`, asking."""
    from pipeline.jobs.reread import Rereads, plan_reread

    start = start_of(options.start)
    check_kafka_config(settings)
    with open_buffer(settings.database_file, "FULL") as buffer:
        rereads = Rereads(settings, buffer, wall_clock_ms)
        for each in buffer.rereads.unfinished():
            if (each.topic, each.start) == (options.topic, start):
                print(f"{each}; that goes on", file=sys.stderr)
                return _follow_reread(rereads, buffer, each.id)
        change = plan_reread(settings, buffer, options.topic, start)
        print("\n".join(change.lines()), file=sys.stderr)
        _refuse_what_nobody_ends(settings, buffer, change.plan.identity)
        if not options.yes and not _confirmed():
            print("nothing was changed", file=sys.stderr)
            return 1
        number = requests.request_reread(settings, buffer, wall_clock_ms, change.plan, "command line")
        return _follow_reread(rereads, buffer, number)


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here: say --yes")
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _refuse_what_nobody_ends(settings: Settings, buffer: Buffer, identity: TopicIdentity) -> None:
    """What waits has to come to its end first, which processors do."""
    waiting = buffer.rereads.waiting(identity.cluster_id, identity.topic)
    now_ms = wall_clock_ms()
    runs = any(
        role.role == "processor" and role.state != "stopped" and not role.silent(now_ms)
        for role in read_roles(settings.data_dir)
    )
    if any(waiting) and not runs:
        raise UsageError(
            f"of {identity.topic} {waiting.parked:,} records are parked and {waiting.outbox:,} wait in the outbox: "
            "start the processors, which bring them to their end first"
        )


def _follow_reread(rereads: Rereads, buffer: Buffer, number: int) -> int:
    from pipeline.watching.upkeep import PAUSE_S

    said = ""
    while True:
        while rereads.step():
            pause(PAUSE_S)
        under_way = next((each for each in buffer.rereads.unfinished() if each.id == number), None)
        if under_way is None:
            print("done: the processors read on from there", file=sys.stderr)
            return 0
        waiting = buffer.rereads.waiting(under_way.cluster_id, under_way.topic)
        line = (
            f"waiting for {waiting.parked:,} parked records and {waiting.outbox:,} in the outbox"
            if any(waiting)
            else rereads.trouble
        )
        if line != said:
            print(line, file=sys.stderr)
            said = line
        pause(PROGRESS_EVERY_S)


def regroup(settings: Settings, options: argparse.Namespace) -> int:
    """Groups all dead letters by the newest fingerprint version, and shows how far it is."""
    from pipeline.watching.upkeep import PAUSE_S

    with open_buffer(settings.database_file, "FULL") as buffer:
        regrouping = requests.request_regroup(settings, buffer)
        left, done = regrouping.left(), 0
        shown_ms = steady_clock_ms()
        while moved := regrouping.step():
            done += moved
            if sys.stderr.isatty() and steady_clock_ms() - shown_ms >= PROGRESS_EVERY_S * 1000:
                shown_ms = steady_clock_ms()
                print(f"{done:,} of {max(left, done):,} dead letters", file=sys.stderr)
            pause(PAUSE_S)
        print(f"{done:,} dead letters are grouped by the newest rule", file=sys.stderr)
    return 0


# -- reports


def search(settings: Settings, options: argparse.Namespace) -> int:
    """Prints the newest dead letters that a query means."""
    return run_search(settings, options, wall_clock_ms, steady_clock_ms)


def status(settings: Settings, options: argparse.Namespace) -> int:
    """Roles, lag, rates, totals, broker address and buffer size."""
    report = status_report(settings, wall_clock_ms())
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(_status_lines(report)))
    return 0


def status_report(settings: Settings, now_ms: int) -> dict[str, Any]:
    """What `status --json` prints.

    Figures of a buffer that cannot be read are null, and `buffer.error` says why. A lag that no role reports is null.
    """
    roles = read_roles(settings.data_dir)
    report: dict[str, Any] = {
        "running": is_running(settings.data_dir),
        "cluster": "demo" if settings.demo else "kafka",
        "bootstrap_servers": _bootstrap_servers(settings),
        "roles": [asdict(role) | {"silent": role.silent(now_ms)} for role in roles],
        "lag": _lag_reported_by("processor", roles, now_ms),
        "dead_letter_lag": _lag_reported_by("collector", roles, now_ms),
        "rate_per_s": sum(float(role.figures.get("rate_per_s", 0)) for role in roles if role.role == "processor"),
        "totals": None,
        "dead_letters": None,
        "parked": None,
        "outbox": None,
        "of_gone_partitions": None,
        "passed_over": None,
        "lost_offsets": None,
        "stopped": None,
        "held": None,
        "imports": None,
        "buffer": {"file": str(settings.database_file), "bytes": 0, "error": ""},
    }
    try:
        with Reader(settings.database_file) as reader:
            totals, currency = reader.totals(), reader.currency()
            report["totals"] = {
                "orders": totals.orders,
                "revenue_cents": totals.revenue_cents,
                "average_cents": totals.revenue_cents / totals.orders if totals.orders else None,
                "dead_letters": totals.dead_letters,
                "currency": {"code": currency.code, "digits": currency.digits},
            }
            report["dead_letters"] = reader.status_counts()
            report["parked"] = reader.parked_count()
            report["outbox"] = reader.outbox_count()
            report["of_gone_partitions"] = _of_gone_partitions(settings, reader)
            report["passed_over"] = reader.passed_over().dicts()
            report["lost_offsets"] = reader.lost_offsets().dicts()
            report["stopped"] = [each._asdict() for each in reader.stopped()]
            report["held"] = [_held(each) for each in reader.held()]
            report["imports"] = reader.imports().dicts()
            report["buffer"]["bytes"] = reader.file_bytes()
    except BufferUnavailableError as error:
        report["buffer"]["error"] = str(error)
    return report


def _held(each: HeldTopic) -> dict[str, Any]:
    shown = {name: value for name, value in asdict(each).items() if not name.endswith("_json")}
    return shown | {"message": str(each)}


def _of_gone_partitions(settings: Settings, reader: Reader) -> list[dict[str, Any]]:
    """What waits of partitions that are gone, or of topics that are not read any more; a processor adopts it."""
    now_ms = wall_clock_ms()
    # Another processor may read another topic.
    read = {
        partition
        for role in read_roles(settings.data_dir)
        if role.role == "processor" and role.state == "running" and not role.silent(now_ms)
        for partition in role.figures.get("partitions", {})
    }
    rows = reader.waiting_of_gone_partitions(topics_read(settings, reader))
    waits = [dict(zip(rows.columns, cells, strict=True)) for cells in rows.rows]
    return [each for each in waits if f"{each['topic']}[{each['partition']}]" not in read]


def _waits_in_words(each: dict[str, Any]) -> str:
    return f"{each['topic']}[{each['partition']}]: {each['parked']:,} parked, {each['outbox']:,} in the outbox"


def _lag_reported_by(name: str, roles: list[RoleStatus], now_ms: int) -> int | None:
    """How many records those who read are behind; None while no role reads, as it is unknown then."""
    lags = [
        int(role.figures.get("lag", 0))
        for role in roles
        if role.role == name and role.state == "running" and not role.silent(now_ms)
    ]
    return sum(lags) if lags else None


def _bootstrap_servers(settings: Settings) -> str | None:
    try:
        return find_cluster(settings).bootstrap_servers
    except KafkaUnavailableError:
        return None


def _status_lines(report: dict[str, Any]) -> list[str]:
    lines = ["no cluster: these dead letters were imported"] if report["imports"] else [_cluster_line(report)]
    for each in report["roles"]:
        role = RoleStatus(**{name: value for name, value in each.items() if name != "silent"})
        state = "silent" if each["silent"] else role.state
        lines.append(f"{role.role}-{role.instance:<3}{state:<10}{role.detail}")
    totals = report["totals"]
    if totals is None:
        return [*lines, report["buffer"]["error"]]
    currency = Currency(**totals["currency"])
    average = currency.apart(totals["average_cents"]) if totals["average_cents"] is not None else "-"
    revenue = f"{currency.apart(totals['revenue_cents'])} {currency.code}".rstrip()
    lag = "-" if report["lag"] is None else f"{report['lag']:,}"
    open_ones = sum(report["dead_letters"].get(status, 0) for status in OPEN_STATUSES)
    return [
        *lines,
        *(f"stopped       {StoppedTopic(**each)}; `resume` lets it go on" for each in report["stopped"]),
        *(
            f"stopped       {each['message']}"
            + (f"; {HOW_TO_GO_ON.format(each['topic'])}" if each["state"] == "held" else "")
            for each in report["held"]
        ),
        f"orders        {totals['orders']:,}   revenue {revenue}   average {average}",
        *_mapping_lines(report["roles"]),
        f"dead letters  {totals['dead_letters']:,}   open {open_ones:,}",
        *(f"imported      {_import_in_words(each)}" for each in report["imports"]),
        *(
            f"passed over   {each['records']:,} records of {each['topic']}: they are no orders"
            for each in report["passed_over"]
        ),
        *(
            f"lost          up to {each['offsets']:,} records of {each['topic']}: Kafka removed them unread"
            for each in report["lost_offsets"]
        ),
        f"lag           {lag}   parked {report['parked']:,}   outbox {report['outbox']:,}   "
        f"{report['rate_per_s']:,.1f} records/s",
        *(f"of partitions that are gone: {_waits_in_words(each)}" for each in report["of_gone_partitions"]),
        f"buffer        {report['buffer']['bytes'] / 1e6:,.1f} MB   {report['buffer']['file']}",
    ]


def _cluster_line(report: dict[str, Any]) -> str:
    return f"{report['cluster']} cluster at {report['bootstrap_servers'] or '(not running)'}"


def _import_in_words(each: dict[str, Any]) -> str:
    unfinished = "; not all of it yet: if no import runs, do it again" if each["finished_at_ms"] is None else ""
    return f"{each['dead_letters']:,} dead letters from {each['file']}{unfinished}"


def _mapping_lines(roles: list[dict[str, Any]]) -> list[str]:
    """What processors say of the mapping file: why it is not in force, and which amounts it has rounded."""
    figures = [each["figures"] for each in roles if each["role"] == "processor"]
    errors = {str(each["mapping_error"]) for each in figures if each.get("mapping_error")}
    floats = {str(each["mapping_floats"]) for each in figures if each.get("mapping_floats")}
    return [
        *(f"mapping       refused, the one before it stays: {each}" for each in sorted(errors)),
        *(f"mapping       prices of {each} may be floats: they are rounded to the currency" for each in sorted(floats)),
    ]


def check(settings: Settings, options: argparse.Namespace) -> int:
    """Prints each difference between figures, rows and Kafka; exit 1 if there is one, 3 if a topic was not compared.

    With `--repair` the figures are made true first, and every change is printed. With `--accept-lost` it no longer says
    what Kafka had removed before it was read.
    """
    from pipeline.roles import check_roles
    from pipeline.watching.kafka_check import Comparison

    check_roles(settings)
    if options.accept_lost:
        with open_buffer(settings.database_file, "FULL") as buffer:
            accepted = requests.accept_losses(settings, buffer, wall_clock_ms)
        print(f"accepted: up to {accepted:,} records that Kafka removed before they were read")
    if options.repair:
        mended, left = repair(settings.database_file)
        for difference in mended:
            print(f"repaired: {difference}")
    else:
        left = recount(settings.database_file)
    differences = [*_losses(settings), *(str(difference) for difference in left)]
    # What was imported has no cluster to be compared with.
    comparison = Comparison([], []) if is_imported(settings.data_dir) else _compared_with_kafka(settings)
    differences += comparison.differences
    for why in comparison.not_compared:
        print(f"not compared with Kafka: {why}", file=sys.stderr)
    for line in differences:
        print(line)
    if not left:
        _print_what_waits(settings)
    print(f"{len(differences)} differences" if differences else "all figures agree", file=sys.stderr)
    return 1 if differences else NOT_COMPARED if comparison.not_compared else 0


def _compared_with_kafka(settings: Settings) -> Comparison:
    from pipeline.watching.kafka_check import Comparison, compare_with_kafka

    try:
        return compare_with_kafka(settings)
    except KafkaUnavailableError as error:
        return Comparison([], [str(error)])


def _print_what_waits(settings: Settings) -> None:
    """No difference, since a processor adopts it, but nobody else would tell."""
    with Reader(settings.database_file) as reader:
        for each in _of_gone_partitions(settings, reader):
            print(f"waits for a processor, of a partition that is gone: {_waits_in_words(each)}", file=sys.stderr)


def _losses(settings: Settings) -> list[str]:
    with Reader(settings.database_file) as reader:
        lost = reader.lost_offsets().dicts()
    return [
        f"{each['topic']}: Kafka removed up to {each['offsets'] - each['known']:,} records before the {each['role']} "
        "read them; `check --accept-lost` says that it is known"
        for each in lost
        if each["offsets"] > each["known"]
    ]


def backup(settings: Settings, options: argparse.Namespace) -> int:
    """Copies the buffer to a new file while everything runs."""
    size_bytes = back_up(settings.database_file, Path(options.file))
    print(f"{options.file}: {size_bytes / 1e6:,.1f} MB", file=sys.stderr)
    return 0


def restore(settings: Settings, options: argparse.Namespace) -> int:
    """Puts a backup in the buffer's place; refuses while anything runs on the data folder."""
    now_ms = wall_clock_ms()
    with nothing_running(settings.data_dir, now_ms):
        kept = restore_buffer(settings.database_file, Path(options.file), now_ms)
        with Reader(settings.database_file) as reader:
            if reader.imports().rows:
                mark_imported(settings.data_dir)
    print(f"restored from {options.file}" + (f"; the replaced buffer is {kept}" if kept else ""), file=sys.stderr)
    return 0


def config(settings: Settings, options: argparse.Namespace) -> int:
    """Every setting with its value and where it came from; then what a role could not run with, if anything.

    Where Kafka answers, also the topics that a pattern of the orders takes in and that are not read.
    """
    from pipeline.roles import check_roles

    lines = describe(settings)
    width = max(len(line.variable) for line in lines)
    for line in lines:
        print(f"{line.variable:<{width}}  {line.value or '(empty)'}  [{line.source}]")
    check_roles(settings)
    if settings.orders_topics.patterns:
        _print_left_out(settings)
    return 0


def _print_left_out(settings: Settings) -> None:
    """The topics that a pattern of the orders takes in and that are not read, each with the reason."""
    try:
        partitions = ClusterView(settings, find_cluster(settings)).partitions()
    except KafkaUnavailableError as error:
        print(f"which topics the patterns of the orders take in is not known: {error}", file=sys.stderr)
        return
    from pipeline.orders.mapping.mapping_file import load_mappings

    mapped = load_mappings(settings)

    def has_section(topic: str) -> bool:
        return mapped.recipe(topic) is not None

    for topic, why in choose_orders_topics(settings, partitions, has_section).left_out.items():
        print(f"topic {topic} is not read as orders: it {why}")


Command = Callable[[Settings, argparse.Namespace], int]


COMMANDS: dict[str, Callable[[Settings, argparse.Namespace], int]] = {
    "produce": produce,
    "replay": replay,
    "resume": resume,
    "reread": reread,
    "search": search,
    "status": status,
    "check": check,
    "backup": backup,
    "restore": restore,
    "regroup": regroup,
    "config": config,
}
"""By the name that is typed."""
