"""The command `groups`: failures that look alike, how they stand, and what people say of them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from pipeline.buffer import GROUP_STATES, SPLIT_FIELDS, GroupState, Reader, open_buffer, time_text
from pipeline.buffer.views import GroupDetail, Rows
from pipeline.clock import Clock, Wait
from pipeline.errors import UsageError
from pipeline.jobs.groups import GroupChanges
from pipeline.jobs.requests import change_groups
from pipeline.search.query import Age
from pipeline.search.values import read_time
from pipeline.search_command import in_a_line
from pipeline.settings import Settings
from pipeline.watching.upkeep import PAUSE_S

_BARS = " ▁▂▃▄▅▆▇█"


def run_groups(settings: Settings, options: argparse.Namespace, clock: Clock, wait: Wait) -> int:
    """Lists groups, shows one, or changes what is said of them."""
    if options.action is None:
        return _list(settings, options, clock())
    if options.action == "show":
        return _show(settings, options, clock())
    with open_buffer(settings.database_file, "FULL") as buffer:
        changes = change_groups(settings, buffer, clock, options.by)
        print(_CHANGES[options.action](changes, options, clock), file=sys.stderr)
        # The worker does the same where one runs.
        while changes.step():
            wait(PAUSE_S)
    return 0


def _resolve(changes: GroupChanges, options: argparse.Namespace, clock: Clock) -> str:
    changes.resolve(options.group)
    return f"{options.group} is resolved"


def _reopen(changes: GroupChanges, options: argparse.Namespace, clock: Clock) -> str:
    changes.reopen(options.group)
    return f"{options.group} is known, and not resolved"


def _ignore(changes: GroupChanges, options: argparse.Namespace, clock: Clock) -> str:
    until_ms = until_of(options.until, clock())
    changes.ignore(options.group, until_ms)
    return f"{options.group} is ignored until {time_text(until_ms)}"


def _note(changes: GroupChanges, options: argparse.Namespace, clock: Clock) -> str:
    changes.note(options.group, options.text)
    return f"{options.group} has the note"


def _merge(changes: GroupChanges, options: argparse.Namespace, clock: Clock) -> str:
    changes.merge(options.group, options.others)
    return f"{', '.join(options.others)} and {options.group} are one group"


def _unmerge(changes: GroupChanges, options: argparse.Namespace, clock: Clock) -> str:
    changes.unmerge(options.fingerprint)
    return f"{options.fingerprint} is a group of its own again"


def _split(changes: GroupChanges, options: argparse.Namespace, clock: Clock) -> str:
    field = next(each for each in SPLIT_FIELDS if getattr(options, each) is not None)
    number = changes.split(options.group, field, getattr(options, field))
    return f"split {number} of {options.group} is made; `groups unsplit {number}` takes it back"


def _unsplit(changes: GroupChanges, options: argparse.Namespace, clock: Clock) -> str:
    changes.unsplit(options.number)
    return f"split {options.number} is taken back"


_CHANGES: dict[str, Callable[[GroupChanges, argparse.Namespace, Clock], str]] = {
    "resolve": _resolve,
    "reopen": _reopen,
    "ignore": _ignore,
    "note": _note,
    "merge": _merge,
    "unmerge": _unmerge,
    "split": _split,
    "unsplit": _unsplit,
}


def until_of(text: str, now_ms: int) -> int:
    """A time to come as people name it: `3d` from now, or `2026-12-01T08:00+01:00`. Raises UsageError."""
    try:
        named = read_time(text.strip(), now_ms)
    except ValueError as error:
        raise UsageError(f"until when: {error}") from error
    return 2 * now_ms - named.at_ms if isinstance(named, Age) else named.from_ms


def _list(settings: Settings, options: argparse.Namespace, now_ms: int) -> int:
    with Reader(settings.database_file) as reader:
        rows = reader.groups(now_ms, _states(options.states), limit=options.limit)
    if options.json:
        print(json.dumps({"groups": rows.dicts(), "cut": rows.cut}, indent=2, ensure_ascii=False))
        return 0
    _print_rows(rows)
    return 0


def _states(names: list[str]) -> list[GroupState] | None:
    if unknown := sorted(set(names) - set(GROUP_STATES)):
        raise UsageError(f"a group's state is one of {', '.join(GROUP_STATES)}, not {unknown[0]}")
    return [state for state in GROUP_STATES if state in names] or None


def _print_rows(rows: Rows) -> None:
    for row in rows.dicts():
        counts = f"{row['open']:,} open of {row['total']:,}"
        last = time_text(row["last_seen_ms"])
        state = f"{row['state']:<10}"
        cells = (row["fingerprint"], state, bars(row["chart"]), f"{counts:<24}", last, in_a_line(row["title"]))
        print("  ".join(cells))
    if rows.cut:
        print(rows.cut, file=sys.stderr)


def _show(settings: Settings, options: argparse.Namespace, now_ms: int) -> int:
    with Reader(settings.database_file) as reader:
        group = reader.group(options.group, now_ms)
    if group is None:
        raise UsageError(f"there is no group {options.group}")
    if options.json:
        print(json.dumps(_report(group), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(group)))
    return 0


def _report(group: GroupDetail) -> dict[str, Any]:
    return group.row | {
        "merged": [each._asdict() for each in group.merged],
        "notes": [each._asdict() for each in group.notes],
        "splits": [each._asdict() for each in group.splits],
        "made_by": [each._asdict() for each in group.made_by],
        "spread": group.spread._asdict(),
        "moving": group.moving,
    }


def _lines(group: GroupDetail) -> list[str]:
    row, spread = group.row, group.spread
    said = f" (by {row['said_by']}, {time_text(row['said_at_ms'])})" if row["said_by"] else ""
    until = f" until {time_text(row['until_ms'])}" if row["until_ms"] else ""
    newest = "" if spread.is_exact else f" (of the newest {spread.looked_at:,})"
    return [
        in_a_line(row["title"]),
        f"state       {row['state']}{until}{said}",
        f"seen        {time_text(row['first_seen_ms'])} to {time_text(row['last_seen_ms'])}",
        f"count       {row['total']:,}, {row['open']:,} open",
        f"last week   {bars(row['chart'])}",
        f"keys        {spread.keys:,} different{newest}",
        *(f"from        {in_a_line(name)}: {count:,}{newest}" for name, count in spread.sources),
        *(f"in          {in_a_line(name)}: {count:,}{newest}" for name, count in spread.topics),
        *(f"merged      {each.fingerprint} by {each.merged_by}: {in_a_line(each.title)}" for each in group.merged),
        *(f"split {each.number:<6}{in_a_line(each.rule)} (by {each.split_by})" for each in group.splits),
        *(f"split {each.number:<6}of {each.fingerprint}: {in_a_line(each.rule)}" for each in group.made_by),
        *(
            f"note        {time_text(each.written_at_ms)}, {each.written_by}: {in_a_line(each.note)}"
            for each in group.notes
        ),
        *(["dead letters are still being moved"] if group.moving else []),
    ]


def bars(chart: list[int]) -> str:
    """A chart in a line of text."""
    most = max(chart, default=0)
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // most) if most else 0] for count in chart)
