"""Fetches Apache Kafka and Apicurio registry from Maven Central into the user's cache, once, and checks every byte.

`python -m scripts.local.fetch` fetches what is missing; `… record` writes the checksums of what Maven serves now.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.local.process import LocalServiceError, program

POM = Path(__file__).with_name("pom.xml")
CHECKSUMS = Path(__file__).with_name("checksums.sha256")
REGISTRY_ARTIFACT = "io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all"
FETCH_S = 900.0


def kafka_jars() -> Path:
    """The folder of Kafka's jars. Raises LocalServiceError."""
    return _fetched() / "kafka"


def registry_home() -> Path:
    """The folder in which Apicurio registry is unpacked. Raises LocalServiceError."""
    return _fetched() / "registry"


def cache_dir() -> Path:
    """Where fetched files are kept, for all checkouts of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orderpulse"


def _fetched() -> Path:
    # Its name says what is in it, so a folder that is there is complete, checked and of this version.
    target = cache_dir() / f"local-{hashlib.sha256(CHECKSUMS.read_bytes()).hexdigest()[:16]}"
    if target.is_dir():
        return target
    with _locked(cache_dir() / "fetch.lock"):
        if not target.is_dir():
            _fetch_into(target)
    return target


def _fetch_into(target: Path) -> None:
    print("orderpulse: fetching Apache Kafka and a schema registry, once (about 160 MB)", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=target.parent) as folder:
        downloads, unpacked = Path(folder, "downloads"), Path(folder, "unpacked")
        _download(downloads)
        compare(downloads, CHECKSUMS.read_text())
        shutil.copytree(downloads / "kafka", unpacked / "kafka")
        for archive in (downloads / "registry").iterdir():
            with tarfile.open(archive) as files:
                # Its checksum is ours, so nothing in it is a surprise; Python 3.11.2 has no `filter` yet.
                files.extractall(unpacked / "registry")
        unpacked.rename(target)


def _download(folder: Path) -> None:
    goals = (
        ("dependency:copy-dependencies", "-f", str(POM), "-DincludeScope=runtime", f"-DoutputDirectory={folder}/kafka"),
        ("dependency:copy", f"-Dartifact={REGISTRY_ARTIFACT}", f"-DoutputDirectory={folder}/registry"),
    )
    for goal in goals:
        command = [program("mvn"), "--quiet", "--batch-mode", "--no-transfer-progress", *goal]
        try:
            ended = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FETCH_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise LocalServiceError(f"{' '.join(command)} took longer than {FETCH_S:.0f} s") from error
        if ended.returncode != 0:
            errors = [line for line in ended.stdout.splitlines() if "ERROR" in line] or [ended.stderr.strip()]
            raise LocalServiceError(f"{' '.join(command)} failed: {errors[0]}")


def compare(folder: Path, checksums: str) -> None:
    """Raises LocalServiceError unless the folder holds the files of `sha256sum`'s list, and no others."""
    expected = {name: digest for digest, _, name in (line.partition("  ") for line in checksums.splitlines())}
    found = digests(folder)
    missing = ", ".join(sorted(expected.keys() - found.keys()))
    if missing:
        raise LocalServiceError(f"Maven did not bring {missing}")
    for name, digest in found.items():
        if expected.get(name) != digest:
            raise LocalServiceError(
                f"{name} is not the file that {CHECKSUMS.name} knows: its sha256 is {digest}, "
                f"expected {expected.get(name, 'no such file')}"
            )


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of each file below the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def record() -> None:
    """Writes the checksums of what Maven serves now."""
    with tempfile.TemporaryDirectory() as folder:
        _download(Path(folder))
        CHECKSUMS.write_text("".join(f"{digest}  {name}\n" for name, digest in digests(Path(folder)).items()))


@contextmanager
def _locked(lock_file: Path) -> Iterator[None]:
    """Waits until nobody else fetches; the lock goes with the process."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    """0 when everything is there."""
    try:
        if arguments == ["record"]:
            record()
        else:
            _fetched()
    except LocalServiceError as error:
        print(f"orderpulse: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
