"""Lets programs fail again: `python -m tests.writers.record_failures [PROGRAM ...]`, as `make recordings` does.

Each program in tests/writers/failures is a small consumer with a `causes.toml`: records that it cannot process, as
templates whose ids, names and amounts vary. It is given them one by one and answers with what a dead letter's headers
would say. PostgreSQL, MariaDB and a service over HTTP run beside it. Needs Java 17, Maven, Node 20, Go, both databases.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import tempfile
import tomllib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from tests.support.failures import FOLDER, Failed, failures, write_failures
from tests.writers.failures.databases import mariadb, postgres
from tests.writers.failures.inputs import Inputs
from tests.writers.failures.programs import Built, build
from tests.writers.failures.upstream import Upstream

PROGRAMS = Path(__file__).with_name("failures")
FAILURES_A_CAUSE = 5
_NAME_SERVER = re.compile(r"\bon [\d.]+:53\b")
STACK_LIMIT = 16_000
"""Characters of a stack that are kept; hardly any has more."""


def main() -> None:
    every = sorted(file.parent.name for file in PROGRAMS.glob("*/causes.toml"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", nargs="*", help=f"of {', '.join(every)}; all by default")
    parser.add_argument("--work", type=Path, help="keep what is built in this folder, for the next time")
    arguments = parser.parse_args()
    end_in_order_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="orderpulse-failures-") as folder, _databases(Path(folder)) as ports:
        for name in arguments.program or every:
            _record(name, (arguments.work or Path(folder)) / "programs", ports)


def end_in_order_on_sigterm() -> None:
    """SIGTERM ends what was started, too: this process alone would leave databases and programs behind."""

    def end(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)


@contextmanager
def _databases(folder: Path) -> Iterator[dict[str, str]]:
    folder.chmod(0o755)
    with postgres(_made(folder / "pg")) as postgres_port, mariadb(_made(folder / "my")) as mariadb_port:
        yield {"POSTGRES_PORT": str(postgres_port), "MARIADB_PORT": str(mariadb_port)}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _record(name: str, work: Path, ports: dict[str, str]) -> None:
    """Every cause once, then again, each time in a new process: addresses, lambdas and ports differ as in life."""
    scenario = tomllib.loads((PROGRAMS / name / "causes.toml").read_text(encoding="utf-8"))
    causes = scenario["cause"]
    built = build(scenario["language"], PROGRAMS / name, work)
    made: list[tuple[int, Failed]] = []
    for number in range(scenario.get("failures", FAILURES_A_CAUSE)):
        with (
            Upstream(f"{name}/{number}") as upstream,
            _started(built, ports | {"UPSTREAM_PORT": str(upstream.port)}) as program,
        ):
            for place, cause in enumerate(causes):
                inputs = Inputs(f"{name}/{cause['name']}/{number}", scenario.get("parts", {}))
                upstream.answer = inputs.fill(cause.get("upstream", "200"))
                answer = _failure(program, cause, inputs)
                made.append((place, _failed(name, scenario["language"], cause["name"], answer, built)))
    made.sort(key=lambda pair: pair[0])
    file = FOLDER / f"{scenario['file']}.jsonl"
    others = [failed for failed in failures(file) if failed.program != name] if file.exists() else []
    write_failures(file, sorted([*others, *(failed for _, failed in made)], key=lambda failed: failed.program))
    print(f"{name}: {len(made)} failures of {len(causes)} causes")


@contextmanager
def _started(built: Built, ports: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        built.command, cwd=built.folder, env=os.environ | ports | {"TZ": "UTC"}, stdin=pipe, stdout=pipe, text=True
    ) as program:
        yield program
        assert program.stdin
        program.stdin.close()


def _failure(program: subprocess.Popen[str], cause: dict[str, Any], inputs: Inputs) -> dict[str, Any]:
    """What the program says of the cause's record, after the records that come before it, which it can process."""
    for earlier in cause.get("before", ()):
        answer = _asked(program, earlier, inputs)
        if answer is not None:
            raise SystemExit(f"{cause['name']}: a record before it failed: {answer}")
    answer = _asked(program, cause, inputs)
    if answer is None:
        raise SystemExit(f"{cause['name']}: nothing failed")
    return answer


def _asked(program: subprocess.Popen[str], record: dict[str, Any], inputs: Inputs) -> dict[str, Any] | None:
    text = inputs.fill(record["record"]).strip()
    encoding = record.get("encoding", "utf-8")
    value = bytes.fromhex(text) if encoding == "hex" else text.encode(encoding)
    asked = {"topic": record["topic"], "key": inputs.fill("{{id}}"), "value": b64encode(value).decode()}
    assert program.stdin
    assert program.stdout
    program.stdin.write(json.dumps(asked) + "\n")
    program.stdin.flush()
    line = program.stdout.readline()
    if not line:
        raise SystemExit(f"the program ended at {record}")
    answer: dict[str, Any] | None = json.loads(line)
    return answer


def _failed(program: str, language: str, cause: str, answer: dict[str, Any], built: Built) -> Failed:
    error_class, message, stacktrace = (
        _neutral(answer[name] or "", built.neutral) for name in ("error_class", "message", "stacktrace")
    )
    return Failed(program, language, f"{program}/{cause}", error_class, message, stacktrace[:STACK_LIMIT])


def _neutral(text: str, replaced: Sequence[tuple[str, str]]) -> str:
    for path, neutral in replaced:
        text = text.replace(path, neutral)
    return _NAME_SERVER.sub("on 10.0.0.2:53", text)


if __name__ == "__main__":
    main()
