"""What a process is spared when it starts: tests start thousands, and containers ask for health again and again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline.running.statusboard import read_roles
from pipeline.settings import PROJECT_DIR
from scripts.waiting import wait_for

AFTER_THE_START = """
import gc, os, pipeline.__main__ as command_line
command_line.main(["config"])
import numpy
print()
print(len(os.listdir("/proc/self/task")), gc.get_threshold()[0])
"""
LARGE = (
    "numpy confluent_kafka confluent_kafka.schema_registry httpx2 authlib fastavro msgspec google.protobuf grpc_tools "
    "pyarrow pandas apprise requests prometheus_client watchdog pydantic pydantic_settings multiprocessing sqlite3"
).split()
"""Each takes 5 to 300 ms of a start."""
AFTER_A_COMMAND = """
import sys, pipeline.__main__ as command_line
command_line.main(sys.argv[1:])
print()
print(*sys.modules)
"""
EVERY_COMMAND = {"pydantic"}
READS_THE_BUFFER = EVERY_COMMAND | {"sqlite3", "confluent_kafka"}
CHECKS_ALL_ROLES = READS_THE_BUFFER | {"numpy", "fastavro", "prometheus_client"}
ROLE_THAT_SAYS_WHAT_IT_IMPORTED_LATE = """
import sys
from pipeline.__main__ import main
from pipeline.roles import import_parts
import_parts(sys.argv[1])
early = set(sys.modules)
main([*sys.argv[1:], "--end-with-stdin"])
print(*(name for name in sys.modules if name not in early and name.startswith("pipeline.")))
"""


@pytest.fixture
def environment(tmp_path):
    return {"ORDERPULSE_DATA_DIR": str(tmp_path), "PATH": ""}


def said_by(environment: dict[str, str], code: str, *arguments: str) -> str:
    """The last line that some code prints in a process of its own."""
    started = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=PROJECT_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return started.stdout.splitlines()[-1]


def test_no_library_starts_threads_that_nobody_needs_and_what_is_imported_is_not_searched_for_garbage(environment):
    assert said_by(environment, AFTER_THE_START) == "1 100000"


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("health worker", EVERY_COMMAND),
        ("status --json", READS_THE_BUFFER),
        ("status", READS_THE_BUFFER),
        ("resume", READS_THE_BUFFER),
        ("replay --all --no-wait", READS_THE_BUFFER),
        ("produce --count 1 --no-wait", READS_THE_BUFFER | {"fastavro"}),
        ("export orders --out -", READS_THE_BUFFER | {"fastavro"}),
        ("config", CHECKS_ALL_ROLES),
        ("check", CHECKS_ALL_ROLES),
    ],
)
def test_a_command_imports_what_it_needs(environment, command, allowed):
    imported = set(said_by(environment, AFTER_A_COMMAND, *command.split()).split())
    assert set(LARGE) & imported <= allowed


@pytest.mark.parametrize("role", ["broker", "processor", "collector", "worker"])
def test_a_role_that_begins_has_its_parts_already(environment, tmp_path, free_port, role):
    environment["ORDERPULSE_BOOTSTRAP_SERVERS"] = f"127.0.0.1:{free_port}"
    with subprocess.Popen(
        [sys.executable, "-c", ROLE_THAT_SAYS_WHAT_IT_IMPORTED_LATE, role],
        cwd=PROJECT_DIR,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for("its word", lambda: [each for each in read_roles(tmp_path) if each.state in ("running", "waiting")])
        late, _ = process.communicate()
    assert late.split() == []
    assert process.returncode == 0
