"""The command line: `python -m pipeline COMMAND`. Exit 0 on success, 1 with one clear line, 2 on wrong use."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if sys.version_info < (3, 11):  # noqa: UP036 - who starts it on an older one must be told
    sys.exit(f"OrderPulse needs Python 3.11 or newer, this is {sys.version.split()[0]}")

from pipeline.errors import OrderPulseError
from pipeline.groups_arguments import add_groups
from pipeline.version import VERSION

if TYPE_CHECKING:
    from pipeline.settings import Settings

ROLE_HELP = {
    "up": "starts and supervises all roles, and the demo cluster where no Kafka is set",
    "broker": "the demo cluster",
    "processor": "validates orders, keeps figures, retries, and writes dead letters",
    "collector": "collects dead letters of any dialect",
    "worker": "produces, replays, watches",
}
GARBAGE_OBJECTS = 100_000
MOST_SHOWN = 10_000
REPLAYABLE = ("open", "dead_again", "replayed", "recovered", "discarded")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = parser().parse_args(arguments)
    _start_cheaply()
    # Only now: `--help` and `--version` need no settings, which take most of their time to import.
    from pipeline.settings import load_settings, prepare_data_dir

    try:
        settings = load_settings()
        _warn_of_unknown_variables()
        if options.needs_folder:
            prepare_data_dir(settings)
        return int(options.run(settings, options))
    except OrderPulseError as error:
        print(f"orderpulse: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has seen enough; nothing may be written to it at exit either.
        sys.stdout = None
        return 0


def _start_cheaply() -> None:
    """Saves a quarter of the time that a process takes to start. To be called before anything large is imported."""
    # numpy brings a library with a thread for each core, which turn idly while it starts. Nothing here needs them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What is imported stays, and records come and go by the ten thousand without referring to themselves, so reference
    # counts free them. By Python's default of 700 the collector would look through all of them again and again: a tenth
    # of the start, and of all the time later.
    gc.set_threshold(GARBAGE_OBJECTS, 10, 10)


def _warn_of_unknown_variables() -> None:
    from pipeline.settings import unknown_variables

    for line in unknown_variables():
        print(f"orderpulse: {line}; see `python -m pipeline config`", file=sys.stderr)


# `up` and the roles are started with the app and again after a death, and people wait for them meanwhile; containers
# ask for the health of each role every few seconds. A process imports what its command needs and no more.


def _run_up(settings: Settings, options: argparse.Namespace) -> int:
    from pipeline.roles import run_up

    return run_up(settings, options, main)


def _run_role(settings: Settings, options: argparse.Namespace) -> int:
    from pipeline.roles import run_role

    return run_role(settings, options)


def _run_health(settings: Settings, options: argparse.Namespace) -> int:
    """Whether a role is well: for health checks, so it says nothing when all is well."""
    from pipeline.clock import wall_clock_ms
    from pipeline.running.health import raise_unless_well

    raise_unless_well(settings.data_dir, options.role, options.instance, wall_clock_ms())
    return 0


def _run_command(settings: Settings, options: argparse.Namespace) -> int:
    from pipeline.commands import COMMANDS

    return COMMANDS[options.command](settings, options)


def _run_export(settings: Settings, options: argparse.Namespace) -> int:
    from pipeline.export_command import export

    return export(settings, options)


def _run_mapping(settings: Settings, options: argparse.Namespace) -> int:
    from pipeline.mapping_commands import run_mapping

    return run_mapping(settings, options)


def _run_groups(settings: Settings, options: argparse.Namespace) -> int:
    from pipeline.clock import pause, wall_clock_ms
    from pipeline.groups_command import run_groups

    return run_groups(settings, options, wall_clock_ms, pause)


def _run_import(settings: Settings, options: argparse.Namespace) -> int:
    from pipeline.import_command import run_import

    return run_import(settings, options)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="python -m pipeline", description="Live order analytics and a dead-letter workbench for Kafka."
    )
    top.add_argument("--version", action="version", version=f"orderpulse {VERSION}")
    top.set_defaults(needs_folder=True, run=_run_command)
    subparsers = top.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for role, text in ROLE_HELP.items():
        command = subparsers.add_parser(role, help=text, description=text.capitalize())
        command.add_argument(
            "--instance", type=int, metavar="N", help="which of several (default: the first number that is free)"
        )
        command.add_argument("--end-with-stdin", action="store_true", help="end when standard input closes")
        command.set_defaults(run=_run_up if role == "up" else _run_role, role=role)
    _add_produce(subparsers)
    _add_replay(subparsers)
    _add_mapping(subparsers)
    _add_reports(subparsers)
    return top


def _add_produce(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = subparsers.add_parser("produce", help="makes sample orders", description="Makes sample orders.")
    command.add_argument("--count", type=int, default=20, metavar="N", help="how many (default 20)")
    command.add_argument("--rate", type=float, default=0.0, metavar="R", help="orders a second (default 0: no limit)")
    command.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed makes the same orders")
    for kind, text in (
        ("invalid", "that break a rule"),
        ("transient", "that the demo cluster's handler takes only at a later attempt"),
        ("malformed", "whose bytes are no order"),
    ):
        command.add_argument(f"--{kind}-share", type=float, default=0.0, metavar="F", help=f"share (0 to 1) {text}")
    command.add_argument(
        "--scenario",
        choices=("shop", "reference"),
        default="shop",
        help="`reference`: 20 orders, of which order 15 fails for good (demo cluster)",
    )
    _add_wait(command)


def _add_replay(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = subparsers.add_parser(
        "replay", help="sends dead letters again", description="Sends dead letters to where they came from."
    )
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--all", action="store_true", help="all that are open and can be sent; says what is left out")
    which.add_argument("--id", type=int, nargs="+", metavar="ID", dest="ids", help="these")
    which.add_argument("--group", type=_utf8, metavar="FINGERPRINT", help="the open ones of a group")
    which.add_argument("--status", choices=REPLAYABLE, help="those with this status")
    which.add_argument("--query", type=_utf8, metavar="QUERY", help="the open ones that a query means, see `search`")
    command.add_argument("--rate", type=float, default=0.0, metavar="R", help="records a second (default 0: no limit)")
    command.add_argument("--dry-run", action="store_true", help="only list what would be sent")
    command.add_argument("--force", action="store_true", help="also those that were replayed as often as is allowed")
    _add_wait(command)


def _add_mapping(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "says what in a topic's records is an order"
    command = subparsers.add_parser(
        "mapping",
        help=text,
        description=f"{text.capitalize()}: see docs/mapping.md. Both look at the newest 500 records of all partitions.",
    )
    actions = command.add_subparsers(metavar="ACTION", dest="action", required=True)
    text = "prints a section of the mapping file, with a reason for each guess"
    proposing = actions.add_parser(
        "propose",
        help=text,
        description=f"{text.capitalize()}. Sections of several topics, one after another, are one file.",
    )
    text = "shows 20 orders as they would come out, and why other records would be dead letters"
    trying = actions.add_parser("try", help=text, description=f"{text.capitalize()}.")
    trying.add_argument(
        "--file", type=_utf8, metavar="F", help="a mapping file (default: the one of ORDERPULSE_MAPPING_FILE)"
    )
    for each in (proposing, trying):
        each.add_argument("--topic", required=True, type=_utf8, metavar="T", help="any topic, also one not read yet")
        each.set_defaults(needs_folder=False, run=_run_mapping)


def _utf8(text: str) -> str:
    """An argument that is looked for in the buffer: bytes that are not UTF-8 come as halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError(f"is not UTF-8: {text!a}") from error
    return text


def _limit(text: str) -> int:
    """How many rows to show: what is found at most is 10,000."""
    if not text.isascii() or not text.isdigit() or int(text) > MOST_SHOWN:
        raise argparse.ArgumentTypeError(f"is no number from 0 to {MOST_SHOWN:,}: {text!r}")
    return int(text)


def _add_wait(command: argparse.ArgumentParser) -> None:
    command.add_argument("--no-wait", action="store_true", help="queue the job and return")


def _add_reports(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "lets topics be read again that the brake has stopped"
    subparsers.add_parser("resume", help=text, description=f"{text.capitalize()}.")

    text = "groups all dead letters by the newest rule of what belongs together"
    subparsers.add_parser(
        "regroup",
        help=text,
        description=f"{text.capitalize()}; their status stays. Everything else goes on meanwhile, and what was begun "
        "goes on when it is asked for again.",
    )

    text = "reads a topic again from a place on"
    reread = subparsers.add_parser(
        "reread",
        help=text,
        description=f"{text.capitalize()}: takes its orders from there on out of rows and figures, and reads them as a "
        "new generation. Also the answer where reading is stopped since another cluster may hold copies.",
    )
    reread.add_argument("--topic", required=True, type=_utf8, metavar="T", help="the orders topic, or one that is held")
    reread.add_argument(
        "--from",
        required=True,
        type=_utf8,
        dest="start",
        metavar="PLACE",
        help="`earliest`, `latest`, or a time: 2026-03-01T12:00:00Z, or milliseconds since 1970",
    )
    reread.add_argument("--yes", action="store_true", help="do not ask: for scripts")

    add_groups(subparsers, _utf8).set_defaults(run=_run_groups)

    text = "dead letters by a query"
    search = subparsers.add_parser(
        "search",
        help=text,
        description=f'Finds {text}, newest first: status:open price>100 failed:<1h -dialect:arroyo "any text"; '
        "see docs/dead-letters.md. After -- a query may begin with -.",
    )
    search.add_argument("query", type=_utf8, metavar="QUERY", help="all that are there, if it is empty")
    search.add_argument("--limit", type=_limit, default=20, metavar="N", help="how many are shown (default 20)")
    search.add_argument("--json", action="store_true", help="for programs")
    search.set_defaults(needs_folder=False)

    status = subparsers.add_parser("status", help="roles, lag, rates, totals", description="Tells how all goes.")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(needs_folder=False)

    export = subparsers.add_parser(
        "export", help="writes everything to a file", description="Writes all rows to a file."
    )
    export.add_argument("what", choices=("orders", "dead-letters"))
    export.add_argument("--format", choices=("csv", "jsonl", "parquet"), default="csv")
    export.add_argument(
        "--topic", action="append", default=[], metavar="TOPIC", help="only the orders of this topic; may be repeated"
    )
    export.add_argument(
        "--decoded",
        action="store_true",
        help="dead letters with key and value decoded, as JSON, in columns of their own",
    )
    export.add_argument(
        "--columns",
        nargs="+",
        default=[],
        metavar="PATH",
        help="of dead letters: a column for each path into the payload, such as order.customer.country or key.id",
    )
    export.add_argument("--out", required=True, metavar="FILE", help="`-` is standard output")
    export.set_defaults(needs_folder=False, run=_run_export)

    text = "takes dead letters out of a file, to look at them where no cluster ever was"
    importing = subparsers.add_parser(
        "import",
        help=text,
        description=f"{text.capitalize()}. They are marked as imported, never sent anywhere, and raise no alert. The "
        "same file again adds nothing: an import that was interrupted is simply done again.",
    )
    importing.add_argument(
        "file",
        type=_utf8,
        metavar="FILE",
        help="an export of dead letters (JSON Lines or Parquet), or what `kcat -J` wrote; `-` is standard input",
    )
    importing.set_defaults(run=_run_import)

    text = "whether a role is well: exit 0 when it is, 1 with one line that says why not"
    health = subparsers.add_parser("health", help=text, description=f"Tells {text}.")
    health.add_argument("role", choices=tuple(ROLE_HELP))
    health.add_argument("--instance", type=int, metavar="N", help="which of several (default: all on this host)")
    health.set_defaults(needs_folder=False, run=_run_health)

    text = "recounts the buffer against its figures and against Kafka"
    check = subparsers.add_parser("check", help=text, description=f"{text.capitalize()}; prints each difference.")
    check.add_argument("--accept-lost", action="store_true", help="say that what was lost so far is known")
    check.add_argument("--repair", action="store_true", help="make the figures true first; prints each change")
    check.set_defaults(needs_folder=False)

    text = "copies the buffer to a new file while everything runs"
    backup = subparsers.add_parser("backup", help=text, description=f"{text.capitalize()}.")
    backup.add_argument("file", metavar="FILE", help="a file that is not there yet")
    backup.set_defaults(needs_folder=False)

    text = "puts a backup in the buffer's place"
    restore = subparsers.add_parser(
        "restore", help=text, description=f"{text.capitalize()}; the replaced one is kept under a dated name."
    )
    restore.add_argument("file", metavar="FILE", help="what `backup` wrote")

    text = "every setting, its value and where it came from"
    config = subparsers.add_parser("config", help=text, description=f"Shows {text}; secrets are masked.")
    config.set_defaults(needs_folder=False)


if __name__ == "__main__":
    sys.exit(main())
