"""What `export` does: all rows to a file, dead letters also with what they hold decoded."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
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
    from pipeline.payload_decoding import command_decoder, mapped_or_default

    mapped = mapped_or_default(settings, "columns have our names, not those of [labels]")
    decoder = command_decoder(settings, mapped) if options.decoded or options.columns else None
    added = _payload_columns(options, decoder) if decoder is not None else None
    target: Any = nullcontext(sys.stdout.buffer) if options.out == "-" else _written_whole(Path(options.out))
    called = mapped.mappings.labels.said()
    with target as out:
        written = export_all(settings.database_file, entity, which, options.format, out, called=called, added=added)
    print(f"{written.rows:,} rows written", file=sys.stderr)
    if decoder is not None and decoder.trouble:
        print(f"decoded without the registry: {decoder.trouble}", file=sys.stderr)
    return 0


@contextmanager
def _written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, which is at `path` from the moment on at which all is written.

    Where that fails nothing of it stays, and a file that was there is as it was. A pipe or a device is written as it
    comes. Raises UsageError when it cannot be written.
    """
    target = path.resolve()
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as out:
                yield out
            return
        try:
            with beside.open("xb") as out:
                yield out
            if target.exists():
                shutil.copymode(target, beside)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def _payload_columns(options: argparse.Namespace, decoder: CommandDecoder) -> AddedColumns:
    """The columns of what dead letters hold. Raises UsageError."""
    from pipeline.dead_letters.decoded_columns import decoded_columns
    from pipeline.dead_letters.payload_paths import parse_payload_path

    paths = list(dict.fromkeys(map(parse_payload_path, options.columns)))
    return decoded_columns(decoder.decoder, options.decoded, paths)
