"""What `search` does, and what any command does with a query of dead letters."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from pipeline.buffer import DeadLetterFilter, Reader, time_text
from pipeline.buffer.views import DeadLetterView, Found
from pipeline.clock import Clock
from pipeline.errors import QueryError
from pipeline.search.parser import parse, pointed
from pipeline.search.query import Query
from pipeline.settings import Settings

WRONG_USE = 2
SHOWN_LETTERS = 160


def run_search(settings: Settings, options: argparse.Namespace, clock: Clock, steady_clock: Clock) -> int:
    """Prints the newest dead letters that a query means, and how many there are."""
    began_ms = steady_clock()
    with Reader(settings.database_file) as reader:
        try:
            query = parse(options.query, clock(), reader.currency().digits)
        except QueryError as error:
            return tell_error(options.query, error)
        found = _find(settings, reader, DeadLetterFilter(query))
        ids = found.ids[: options.limit]
        rows = reader.dead_letters(DeadLetterFilter(ids=ids), limit=len(ids))
    took_ms = steady_clock() - began_ms
    if options.json:
        print(json.dumps(_report(query, found, rows, took_ms), indent=2, ensure_ascii=False))
    else:
        _print(found, rows, took_ms)
    return 0


def meant_by(settings: Settings, text: str, clock: Clock) -> DeadLetterFilter:
    """What somebody's query means, for a command that acts on all of it. Raises QueryError."""
    with Reader(settings.database_file) as reader:
        which = DeadLetterFilter(parse(text, clock(), reader.currency().digits))
        if not which.query.apart()[1].parts:
            return which
        found = _find(settings, reader, which)
    if found.cut:
        print(f"orderpulse: {found.cut}", file=sys.stderr)
    return which.settled(found.ids)


def _find(settings: Settings, reader: Reader, which: DeadLetterFilter) -> Found:
    if not which.query.apart()[1].parts:
        return reader.find(which)
    # What reads all formats takes its time to be imported.
    from pipeline.payload_decoding import command_decoder, mapped_or_default

    mapped = mapped_or_default(settings, "values are read without the mapping file")
    return reader.find(which, command_decoder(settings, mapped).decoder.read)


def tell_error(text: str, error: QueryError) -> int:
    """Says what is wrong with a query and points at the place; the exit code of that."""
    print(f"orderpulse: {error}\n{pointed(text, error)}", file=sys.stderr)
    return WRONG_USE


def _report(query: Query, found: Found, rows: Sequence[DeadLetterView], took_ms: int) -> dict[str, object]:
    return {
        "query": str(query),
        "rows": [asdict(row) for row in rows],
        "total": len(found.ids),
        "total_is_exact": not found.more,
        "cut": found.cut,
        "note": found.note,
        "took_ms": took_ms,
    }


def _print(found: Found, rows: Sequence[DeadLetterView], took_ms: int) -> None:
    for row in rows:
        cells = (str(row.id), time_text(row.failed_at_ms), row.status, row.source or "-", row.reason)
        print("\t".join(map(in_a_line, cells)))
    cut = "".join(f"; {told}" for told in (found.cut, found.note) if told)
    shown = f", the newest {len(rows):,} are shown" if len(rows) < len(found.ids) else ""
    print(f"{found.count} dead letter{'' if len(found.ids) == 1 else 's'} in {took_ms} ms{shown}{cut}", file=sys.stderr)


def in_a_line(text: str) -> str:
    """What a terminal shows of a text and takes for nothing else."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[:SHOWN_LETTERS])
    return f"{shown}…" if len(text) > SHOWN_LETTERS else shown
