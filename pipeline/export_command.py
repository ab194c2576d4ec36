"""What `export` does: all rows to a file, dead letters also with what they hold decoded."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pipeline.buffer import OrderFilter
from pipeline.errors import UsageError
from pipeline.exports import export_all
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.exports import AddedColumns
    from pipeline.payload_decoding import CommandDecoder


def export(settings: Settings, options: argparse.Namespace) -> int:
    """Writes all orders or dead letters to a file."""
    entity = options.what.replace("-", "_")
    if options.topic and entity != "orders":
        raise UsageError("--topic chooses among orders; dead letters have a filter on their page")
    if (options.decoded or options.columns) and entity != "dead_letters":
        raise UsageError("--decoded and --columns are of dead letters; an order is decoded already")
    which = OrderFilter(topics=tuple(options.topic)) if options.topic else None
    # What reads all formats takes its time to be imported.
    from pipeline.payload_decoding import command_decoder, mapped_or_default

    mapped = mapped_or_default(settings)
    decoder = command_decoder(settings, mapped) if options.decoded or options.columns else None
    added = _payload_columns(options, decoder) if decoder is not None else None
    target: Any = nullcontext(sys.stdout.buffer) if options.out == "-" else _open_for_writing(Path(options.out))
    called = mapped.mappings.labels.said()
    with target as out:
        written = export_all(settings.database_file, entity, which, options.format, out, called=called, added=added)
    print(f"{written.rows:,} rows written", file=sys.stderr)
    if decoder is not None and decoder.trouble:
        print(f"decoded without the registry: {decoder.trouble}", file=sys.stderr)
    return 0


def _open_for_writing(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def _payload_columns(options: argparse.Namespace, decoder: CommandDecoder) -> AddedColumns:
    """The columns of what dead letters hold. Raises UsageError."""
    from pipeline.dead_letters.decoded_columns import decoded_columns
    from pipeline.dead_letters.payload_paths import parse_payload_path

    paths = list(dict.fromkeys(map(parse_payload_path, options.columns)))
    return decoded_columns(decoder.decoder, options.decoded, paths)
