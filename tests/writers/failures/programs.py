"""How a failing program of each language is built and started, and which of its paths are this machine's only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PYTHON_LIBRARY = f"/usr/local/lib/python{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Built:
    """A program ready to run: its command, where it runs, and what its paths are replaced by, in this order."""

    command: Sequence[str]
    folder: Path
    neutral: Sequence[tuple[str, str]]


def build(language: str, source: Path, work: Path) -> Built:
    """Builds the program in `source` in a copy in `work`, with its libraries from their registries."""
    folder = work / source.name
    ignored = shutil.ignore_patterns("target", "node_modules", "__pycache__")
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=ignored)
    return _BUILDERS[language](folder)


def _python(folder: Path) -> Built:
    environment = folder / ".venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin/python"
    quiet = ("--quiet", "--disable-pip-version-check")
    _run(folder, python, "-m", "pip", "install", *quiet, "-r", "requirements.txt")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return Built(
        (str(python), "-m", folder.name.removeprefix("python-")),
        folder,
        (
            (str(environment / "lib" / version), PYTHON_LIBRARY),
            (str(Path(os.__file__).parent), PYTHON_LIBRARY),
            (str(folder), "/app"),
        ),
    )


def _node(folder: Path) -> Built:
    _run(folder, "npm", "ci", "--silent", "--ignore-scripts")
    return Built(("node", "main.js"), folder, ((str(folder), "/app"),))


def _go(folder: Path) -> Built:
    _run(folder, "go", "build", "-o", "program", ".")
    environment = subprocess.run(("go", "env", "GOROOT", "GOMODCACHE"), capture_output=True, text=True, check=True)
    root, modules = environment.stdout.split()
    return Built(("./program",), folder, ((modules, "/go/pkg/mod"), (root, "/usr/local/go"), (str(folder), "/src")))


def _java(folder: Path) -> Built:
    _run(
        folder, "mvn", "-B", "-q", "package", "-DskipTests", "dependency:build-classpath", "-Dmdep.outputFile=classpath"
    )
    classpath = f"target/classes:{Path(folder, 'classpath').read_text().strip()}"
    return Built(("java", "-cp", classpath, "Main"), folder, ((str(folder), "/app"),))


_BUILDERS: dict[str, Callable[[Path], Built]] = {"python": _python, "node": _node, "go": _go, "java": _java}


def _run(folder: Path, *command: str | Path) -> None:
    subprocess.run(command, cwd=folder, check=True)
