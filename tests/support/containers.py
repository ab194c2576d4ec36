"""docker-compose.yml and the Dockerfile as the tests need them: read, and run as plain processes.

There is no container engine here. So each service's command, environment and health check are run as they stand in the
file, with the paths and addresses of `rewriting` in place of a container's own; the program is what the Dockerfile
copies, and nothing else.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.settings import PROJECT_DIR
from scripts.local.process import LEASH

COMPOSE_FILE = PROJECT_DIR / "docker-compose.yml"
DOCKERFILE = PROJECT_DIR / "Dockerfile"
OURS = ("processor", "collector", "worker", "app")
SERVICES_USER = "10001:10001"
CHECK_S = 30.0
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+):-(?P<default>[^}]*)\})")


def compose(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The file as Compose sees it: merged, with each `${NAME:-default}` replaced and `$$` made `$`."""
    given = variables or {}

    def value(match: re.Match[str]) -> str:
        return "$" if match["dollar"] else given.get(match["name"]) or match["default"]

    def resolved(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: resolved(each) for name, each in node.items()}
        if isinstance(node, list):
            return [resolved(each) for each in node]
        return _VARIABLE.sub(value, node) if isinstance(node, str) else node

    found: dict[str, Any] = resolved(yaml.safe_load(COMPOSE_FILE.read_text()))
    return found


@dataclass(frozen=True, slots=True)
class Instruction:
    """One line of the Dockerfile, continued lines joined. `stage` counts from 0."""

    stage: int
    name: str
    words: list[str]


def dockerfile() -> list[Instruction]:
    """The Dockerfile's instructions in order."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stage = -1
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, rest = line.partition(" ")
        stage += name == "FROM"
        found.append(Instruction(stage, name, shlex.split(rest)))
    return found


def copied_paths() -> list[str]:
    """What the last stage takes from the project's folder."""
    last = dockerfile()[-1].stage
    copies = [line.words for line in dockerfile() if line.stage == last and line.name == "COPY"]
    return [path.rstrip("/") for words in copies if not words[0].startswith("--from") for path in words[:-1]]


def installed() -> list[list[str]]:
    """The arguments of each `install` that the last stage runs, which makes folders and files for the volumes."""
    last = dockerfile()[-1].stage
    commands = [
        list(words)
        for line in dockerfile()
        if line.stage == last and line.name == "RUN"
        for is_end, words in itertools.groupby(line.words, lambda word: word == "&&")
        if not is_end
    ]
    return [words[1:] for words in commands if words[0] == "install"]


def unpack_image(folder: Path) -> None:
    """Puts into `folder` what the image has in its own."""
    for path in copied_paths():
        source, target = PROJECT_DIR / path, folder / path
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


def image_environment(home: Path) -> dict[str, str]:
    """The ENV of the Dockerfile, with this environment's programs first in place of the image's."""
    pairs = (word.partition("=") for line in dockerfile() if line.name == "ENV" for word in line.words)
    said = {name: value for name, _, value in pairs}
    assert said["PATH"] == "/venv/bin:$PATH"
    return said | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(home)}


class Containers:
    """The services of docker-compose.yml as processes. They end with the thread that started them."""

    def __init__(self, folder: Path, rewriting: Mapping[str, str]) -> None:
        self.folder = folder
        self.services: dict[str, Any] = compose()["services"]
        self._rewriting = rewriting
        self._pattern = re.compile("|".join(map(re.escape, sorted(rewriting, key=len, reverse=True))))
        self._processes: list[subprocess.Popen[bytes]] = []
        self.image_dir = folder / "app"
        self.image_dir.mkdir()
        (folder / "home").mkdir()
        unpack_image(self.image_dir)
        # As a new named volume has what the image has in its place; the owner is whoever runs the tests.
        for words in installed():
            kept = [self.rewritten(word) for word in words if not word.startswith(("--owner", "--group"))]
            subprocess.run(["install", *kept], check=True)

    def rewritten(self, text: str) -> str:
        """A text of the file with the addresses and paths of this machine."""
        return self._pattern.sub(lambda match: self._rewriting[match[0]], text)

    def environment(self, service: str) -> dict[str, str]:
        """What the service's process sees: the image's and the file's variables, and none of ours."""
        said = {name: self.rewritten(str(value)) for name, value in self.services[service]["environment"].items()}
        own = image_environment(self.folder / "home") if service in OURS else {"PATH": os.environ["PATH"]}
        return own | said

    def start(self, service: str, command: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Starts the service by its own command, unless it is told one."""
        wanted = [*command] or [self.rewritten(word) for word in self.services[service]["command"]]
        with (self.folder / f"{service}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), *wanted],
                cwd=self.image_dir,
                env=self.environment(service),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def run(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in the service's surroundings, as `docker compose exec` does."""
        return subprocess.run(
            command,
            cwd=self.image_dir,
            env=self.environment(service),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CHECK_S,
            check=False,
        )

    def check(self, service: str) -> subprocess.CompletedProcess[str]:
        """Runs the service's health check once."""
        kind, *command = self.services[service]["healthcheck"]["test"]
        assert kind == "CMD"
        return self.run(service, *map(self.rewritten, command))

    def log(self, service: str) -> str:
        """What the service's processes have printed."""
        return (self.folder / f"{service}.log").read_text(errors="replace")

    def end(self) -> None:
        """Ends what still runs."""
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
