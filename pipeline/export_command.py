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
from pipeline.errors import MappingFileError, UsageError
from pipeline.exports import export_all
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.dead_letters.asked_once import AskedOnce
    from pipeline.exports import AddedColumns
    from pipeline.orders.mapping.mapping_file import Mapped


def export(settings: Settings, options: argparse.Namespace) -> int:
    """Writes all orders or dead letters to a file."""
    entity = options.what.replace("-", "_")
    if options.topic and entity != "orders":
        raise UsageError("--topic chooses among orders; dead letters have a filter on their page")
    if (options.decoded or options.columns) and entity != "dead_letters":
        raise UsageError("--decoded and --columns are of dead letters; an order is decoded already")
    which = OrderFilter(topics=tuple(options.topic)) if options.topic else None
    mapped = _mapped(settings)
    registry = _registry(settings) if options.decoded or options.columns else None
    added = _payload_columns(settings, options, mapped, registry)
    target: Any = nullcontext(sys.stdout.buffer) if options.out == "-" else _written_whole(Path(options.out))
    called = mapped.mappings.labels.said()
    with target as out:
        written = export_all(settings.database_file, entity, which, options.format, out, called=called, added=added)
    print(f"{written.rows:,} rows written", file=sys.stderr)
    if registry is not None and registry.trouble:
        print(f"decoded without the registry: {registry.trouble}", file=sys.stderr)
    return 0


def _mapped(settings: Settings) -> Mapped:
    """What the mapping file says; nothing, and a line that says so, while it cannot be used."""
    from pipeline.orders.mapping.mapping_file import DEFAULT, load_mappings

    try:
        return load_mappings(settings)
    except MappingFileError as error:
        # What is in the buffer is there whatever the file says now.
        print(f"columns have our names, not those of [labels]: {error}", file=sys.stderr)
        return DEFAULT


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


def _registry(settings: Settings) -> AskedOnce | None:
    from pipeline.dead_letters.asked_once import AskedOnce
    from pipeline.roles import registry_of

    registry = registry_of(settings)
    return None if registry is None else AskedOnce(registry)


def _payload_columns(
    settings: Settings, options: argparse.Namespace, mapped: Mapped, registry: AskedOnce | None
) -> AddedColumns | None:
    """The columns of what dead letters hold; None where none are asked for. Raises UsageError."""
    if not options.decoded and not options.columns:
        return None
    # What reads all formats takes its time to be imported.
    from pipeline.dead_letters.decoded_columns import PayloadDecoder, decoded_columns
    from pipeline.dead_letters.decoding import Decoder
    from pipeline.dead_letters.payload_paths import parse_payload_path
    from pipeline.dead_letters.topics_file import load_dead_letter_topics
    from pipeline.orders.avro_schemas import SchemaStore
    from pipeline.orders.formats.schemas import Schemas

    paths = list(dict.fromkeys(map(parse_payload_path, options.columns)))
    decoder = Decoder(Schemas(SchemaStore(settings.schemas_dir), registry), lambda: mapped)
    source_of = load_dead_letter_topics(settings).source_of
    return decoded_columns(PayloadDecoder(decoder, source_of), options.decoded, paths)
