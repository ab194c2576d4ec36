"""The command line of `groups`. Imports nothing of ours: `--help` needs none of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable

SPLIT_BY = {
    "reason": "the reason contains it, in any case",
    "stacktrace": "the stack trace contains it, in any case",
    "error_class": "the error class is it",
    "topic": "the dead-letter topic is it",
    "source_topic": "the source topic is it",
}
_Subparsers = argparse._SubParsersAction


def add_groups(
    subparsers: _Subparsers[argparse.ArgumentParser], text_of: Callable[[str], str]
) -> argparse.ArgumentParser:
    """Adds the command and returns it. `text_of` reads an argument that is looked for in the buffer."""
    text = "failures that look alike, how they stand, and what people say of them"
    command = subparsers.add_parser(
        "groups",
        help=text,
        description=f"Lists {text}; see docs/dead-letters.md. Any fingerprint of a group names it.",
    )
    command.add_argument(
        "--state",
        action="append",
        dest="states",
        default=[],
        metavar="STATE",
        help="only new, ongoing, regressed, escalating, resolved or ignored ones; may be repeated",
    )
    command.add_argument("--limit", type=_number, default=50, metavar="N", help="how many are shown (default 50)")
    command.add_argument("--json", action="store_true", help="for programs")
    actions = command.add_subparsers(metavar="ACTION", dest="action")

    def action(name: str, text: str, whose: str | None = "group") -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=text, description=f"{text[:1].upper()}{text[1:]}.")
        if whose:
            added.add_argument(whose, type=text_of, metavar=whose.upper())
        return added

    show = action("show", "all there is of a group: counts, keys, partitions, topics, notes")
    show.add_argument("--json", action="store_true", help="for programs")
    changes = [
        action("resolve", "says that a group's cause is gone: the next dead letter of it has it regressed"),
        action("reopen", "says that a group is known, and neither resolved nor ignored"),
        action("ignore", "says that nobody wants to see a group for a while"),
        action("note", "writes something down of a group"),
        action("merge", "makes groups one with the one named first, also for dead letters to come"),
        action("unmerge", "takes a fingerprint out of the group that it was merged into", "fingerprint"),
        action("split", "makes dead letters of a group that match a group of their own, also those to come"),
        action("unsplit", "takes a split back", None),
    ]
    of = {each.prog.rpartition(" ")[2]: each for each in changes}
    of["ignore"].add_argument(
        "--until", required=True, metavar="TIME", help="so long from now (2h, 3d, 1w), or 2026-12-01T08:00+01:00"
    )
    of["note"].add_argument("text", type=text_of, metavar="TEXT")
    of["merge"].add_argument("others", type=text_of, nargs="+", metavar="OTHER")
    fields = of["split"].add_mutually_exclusive_group(required=True)
    for field, means in SPLIT_BY.items():
        fields.add_argument(f"--{field.replace('_', '-')}", type=text_of, metavar="TEXT", dest=field, help=means)
    of["unsplit"].add_argument("number", type=int, metavar="NUMBER", help="as `groups show` tells it")
    for each in changes:
        each.add_argument("--as", type=text_of, dest="by", default="command line", metavar="NAME", help="who says it")
    return command


def _number(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1000:
        raise argparse.ArgumentTypeError("from 1 to 1000")
    return number
