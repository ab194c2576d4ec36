"""Starts Apache Kafka and the registry once, so that every later start is cheaper: see class_archive."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from scripts.local.class_archive import archive_file
from scripts.local.cluster import KafkaCluster
from scripts.local.fetch import kafka_jars, registry_home
from scripts.local.process import LocalService, LocalServiceError
from scripts.local.registry import ApicurioRegistry

Make = Callable[[Path, tuple[str, ...]], LocalService]


def keep_classes(home: Path, make: Make) -> None:
    """Keeps the classes of the server that `make` makes, unless they are kept already. Raises LocalServiceError."""
    archive = archive_file(home)
    if archive.exists():
        return
    print(f"orderpulse: keeping the classes of {home.name} for quicker starts, once", file=sys.stderr, flush=True)
    # In a folder beside it, so that nobody sees half of it, and of two at a time each has its own.
    with tempfile.TemporaryDirectory(prefix="keeping-", dir=archive.parent) as folder:
        kept = Path(folder, archive.name)
        with make(Path(folder), (f"-XX:ArchiveClassesAtExit={kept}",)):
            pass
        if kept.exists():
            kept.rename(archive)
        else:
            print("orderpulse: this Java keeps none, so every start takes longer", file=sys.stderr)


def main() -> int:
    """0 when both servers could be started."""
    try:
        keep_classes(kafka_jars(), lambda folder, options: KafkaCluster(folder / "kafka", java_options=options))
        keep_classes(registry_home(), lambda folder, options: ApicurioRegistry(folder, java_options=options))
    except LocalServiceError as error:
        print(f"orderpulse: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
