"""A Java server's classes as the JVM has them in memory, in a file beside its jars: it starts with half of the work.

A JVM reads, checks and links some 7,000 classes at each start. One that ends with `-XX:ArchiveClassesAtExit` keeps them
for those that come later (JEP 350). `python -m scripts.local.keep_classes` has each server do so once.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from scripts.local.process import program

WORDS_TO_STDERR = ("-Xlog:disable", "-Xlog:all=warning:stderr")
"""A JVM that cannot take an archive says so where the program prints, unless it is told otherwise."""


def archive_file(home: Path) -> Path:
    """Where the classes of the jars in `home` are kept. Raises LocalServiceError when there is no Java."""
    java = Path(program("java")).resolve()
    # A JVM takes the archive of no other, so that one that was upgraded needs one of its own.
    version = hashlib.sha256(f"{java} {java.stat().st_mtime_ns}".encode()).hexdigest()[:16]
    return home.with_name(f"{home.name}-{version}.jsa")


def with_kept_classes(home: Path) -> tuple[str, ...]:
    """Options of a JVM that runs what is in `home`; none where no classes are kept, which only takes longer."""
    archive = archive_file(home)
    return (*WORDS_TO_STDERR, f"-XX:SharedArchiveFile={archive}") if archive.is_file() else ()
