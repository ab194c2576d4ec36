"""The command `import`: dead letters out of a file, to be looked at where no cluster ever was."""

from __future__ import annotations

import argparse
import sys

from pipeline.buffer import open_buffer
from pipeline.clock import Interval, steady_clock_ms, wall_clock_ms
from pipeline.dead_letters.importing.import_file import FileImport, Summary, Understanding
from pipeline.dead_letters.topics_file import load_dead_letter_topics
from pipeline.jobs.requests import check_import
from pipeline.orders.mapping.mapping_file import load_mappings
from pipeline.roles import make_order_reader
from pipeline.running.folder_owner import nothing_running
from pipeline.running.imported import mark_imported
from pipeline.settings import Settings
from pipeline.watching.text_indexing import TextIndexing

PROGRESS_EVERY_MS = 200


def run_import(settings: Settings, options: argparse.Namespace) -> int:
    """Imports a file of dead letters; exit 1 where lines of it were refused, each of the first ones with its place."""
    check_import(settings)
    order_reader = make_order_reader(settings)
    order_reader.use(load_mappings(settings))
    understanding = Understanding(order_reader, load_dead_letter_topics(settings))
    progress = _Progress()
    with (
        nothing_running(settings.data_dir, wall_clock_ms()),
        open_buffer(settings.database_file) as buffer,
        open(sys.stdin.fileno(), "rb", closefd=False) as stdin,
    ):
        importing = FileImport(
            buffer, understanding, wall_clock_ms, lambda: mark_imported(settings.data_dir), progress.tell
        )
        try:
            summary = importing.run(options.file, stdin)
        finally:
            progress.end()
        # No worker comes here to do it.
        indexing = TextIndexing(buffer, lambda _: False, steady_clock_ms)
        while buffer.upkeep.note_for_search() or indexing.round():
            pass
    return _tell(options.file, summary)


class _Progress:
    """A line on a terminal that is written over, a few times a second."""

    def __init__(self) -> None:
        self._interval = Interval(PROGRESS_EVERY_MS, steady_clock_ms)
        self._shown = False

    def tell(self, summary: Summary) -> None:
        """Shows how far it is."""
        if sys.stderr.isatty() and self._interval.is_over():
            print(f"\r{_counted(summary)}", end="", file=sys.stderr, flush=True)
            self._shown = True

    def end(self) -> None:
        """What is printed from here on has lines of its own."""
        if self._shown:
            print(file=sys.stderr)


def _counted(summary: Summary) -> str:
    return f"{summary.imported:,} imported, {summary.already_there:,} already there, {summary.refused:,} refused"


def _tell(file: str, summary: Summary) -> int:
    for refusal in summary.first_refusals:
        print(f"refused: {refusal}", file=sys.stderr)
    if summary.refused > len(summary.first_refusals):
        print(f"refused: {summary.refused - len(summary.first_refusals):,} more", file=sys.stderr)
    if summary.without_earlier:
        print(
            f"{summary.without_earlier:,} came of replays of dead letters that the file does not have", file=sys.stderr
        )
    if summary.may_lack_bytes:
        print(
            f"{summary.may_lack_bytes:,} hold U+FFFD, which is in the record, or stands for bytes that a program "
            "after kcat could not read",
            file=sys.stderr,
        )
    print(f"{file}: {_counted(summary)}", file=sys.stderr)
    return 1 if summary.refused else 0
