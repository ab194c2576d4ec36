"""Has every writer write the orders again: `python -m tests.writers.record_orders`, as `make recordings` does.

The libraries in Python get an environment of their own, which is removed afterwards; those in Java are Maven's.
Apicurio runs beside them: its serializers, and the converters that use them, register their schemas there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path

from scripts.local.process import program
from scripts.local.registry import ApicurioRegistry
from tests.support.order_recordings import FOLDER, SCHEMA_FOLDER

PROJECT = Path(__file__).resolve().parents[2]
PYTHON_WRITERS = PROJECT / "tests/writers/orders-python"
JAVA_WRITERS = PROJECT / "tests/writers/orders-java"
REGISTERED_BEFORE = ("shop-refunds", "shop-returns")
"""Two artifacts of one schema: from then on, what Apicurio calls a global id is no content id of the same schema."""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="orderpulse-writers-") as folder:
        _run_python_writers(Path(folder, "venv"))
        with ApicurioRegistry(Path(folder)) as registry:
            _run_java_writers(registry.url.removesuffix("/apis/ccompat/v7"))


def _run_python_writers(environment: Path) -> None:
    venv.create(environment, with_pip=True)
    python = environment / "bin/python"
    quiet = ("--quiet", "--disable-pip-version-check")
    _run(python, "-m", "pip", "install", *quiet, "-r", PYTHON_WRITERS / "requirements.txt")
    _run(python, PYTHON_WRITERS / "write.py", FOLDER)


def _run_java_writers(registry_url: str) -> None:
    for artifact in REGISTERED_BEFORE:
        _register(registry_url, artifact)
    pom = JAVA_WRITERS / "pom.xml"
    _run(program("mvn"), "-B", "-q", "-f", pom, f"-Dregistry.url={registry_url}", "compile", "exec:java")


def _register(registry_url: str, artifact: str) -> None:
    schema = (SCHEMA_FOLDER / "refund.avsc").read_text(encoding="utf-8")
    request = urllib.request.Request(
        f"{registry_url}/apis/ccompat/v7/subjects/{artifact}/versions",
        json.dumps({"schema": schema}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30):
        """It has the id that comes next."""


def _run(*command: str | Path) -> None:
    subprocess.run(command, cwd=PROJECT, env=os.environ | {"PYTHONPATH": str(PROJECT)}, check=True)


if __name__ == "__main__":
    sys.exit(main())
