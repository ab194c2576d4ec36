"""Replicas on one data folder: each has a number of its own, takes it again, and can be asked for its health."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.running.health import SILENT_AFTER_MS, problem_of
from pipeline.running.instances import first_free_instance, member_name
from pipeline.running.statusboard import RoleStatus, StatusWriter, host_name, read_roles
from pipeline.settings import prepare_data_dir
from scripts.waiting import wait_for
from tests.support.running_pipeline import RunningPipeline

NOW_MS = 1_700_000_000_000


@pytest.fixture
def waiting(pipeline_with) -> RunningPipeline:
    """A pipeline whose Kafka is not there, as nobody starts the demo cluster: its roles wait."""
    return pipeline_with()


def pids(pipeline: RunningPipeline, role: str = "processor") -> dict[int, int]:
    """Process id by instance, of those that speak."""
    return {
        status.instance: status.pid
        for status in read_roles(pipeline.data_dir)
        if status.role == role and status.state != "stopped"
    }


def status_of(state: str, **fields) -> RoleStatus:
    return RoleStatus("processor", 2, 1, state, fields.pop("detail", ""), NOW_MS, NOW_MS, **fields)


def health(pipeline: RunningPipeline, *arguments: str) -> subprocess.CompletedProcess[str]:
    answer = pipeline.command("health", *arguments)
    assert answer.stdout == ""
    assert len(answer.stderr.splitlines()) == answer.returncode
    return answer


def test_replicas_take_numbers_of_their_own_and_one_that_was_killed_takes_its_number_again(waiting):
    started = [waiting.start("processor") for _ in range(3)]
    before = wait_for("three numbers", lambda: len(found := pids(waiting)) == 3 and found)
    assert set(before) == {0, 1, 2}
    assert set(before.values()) == {process.pid for process in started}
    os.kill(before[1], signal.SIGKILL)
    [killed] = [process for process in started if process.pid == before[1]]
    killed.wait()
    restarted = waiting.start("processor")
    wait_for("its number again", lambda: pids(waiting) == before | {1: restarted.pid})


def test_a_replica_that_is_told_its_number_waits_until_that_one_is_free(waiting):
    first = waiting.start("collector", "--instance", "3")
    wait_for("the first", lambda: pids(waiting, "collector") == {3: first.pid})
    second = waiting.start("collector", "--instance", "3")
    wait_for("its word", lambda: "another process is collector-3" in waiting.log("collector"))
    assert pids(waiting, "collector") == {3: first.pid}
    first.terminate()
    assert first.wait(5) == 0
    wait_for("the second", lambda: pids(waiting, "collector") == {3: second.pid})


def test_a_replica_that_waits_for_its_number_ends_when_asked(waiting):
    with first_free_instance(waiting.data_dir, "collector") as instance:
        process = waiting.start("collector", "--instance", str(instance))
        wait_for("its word", lambda: f"another process is collector-{instance}" in waiting.log("collector"))
        process.terminate()
        assert process.wait(5) == 0


def test_up_tells_its_roles_their_numbers(pipeline_with):
    pipeline = pipeline_with(processors=2)
    up = pipeline.up()
    wait_for("two processors", lambda: set(pids(pipeline)) == {0, 1})
    for status in read_roles(pipeline.data_dir):
        if status.role != "up":
            assert Path(f"/proc/{status.pid}/comm").read_text() == f"{status.role}-{status.instance}\n"
    for role in ("up", "processor"):
        assert health(pipeline, role).returncode == 0
    up.terminate()
    assert up.wait(5) == 0
    answer = health(pipeline, "processor")
    assert answer.returncode == 1
    assert "no processor runs on this host" in answer.stderr
    assert "processor-1 has stopped" in health(pipeline, "processor", "--instance", "1").stderr


def test_roles_that_wait_for_kafka_are_well_and_end_soon_after_sigterm(pipeline_with, free_port):
    waiting = pipeline_with(bootstrap_servers=f"127.0.0.1:{free_port}")
    started = {role: waiting.start(role) for role in ("processor", "collector", "worker")}
    for role in started:
        wait_for("its word", lambda role=role: waiting.role(role))
        assert health(waiting, role).returncode == 0
    for process in started.values():
        process.terminate()
    until = time.monotonic() + 5
    for role, process in started.items():
        assert process.wait(max(0.1, until - time.monotonic())) == 0
        assert waiting.role(role).state == "stopped"


def test_health_of_a_replica_is_its_own(tmp_path):
    """In a container the host name is its own, and every process is number 1."""
    for instance, host in ((0, host_name()), (1, "another-container")):
        writer = StatusWriter(tmp_path, "processor", instance, lambda: time.time_ns() // 1_000_000)
        writer.report("failing" if instance else "running", "the disk is full")
        writer.close()
        path = tmp_path / "roles" / f"processor-{instance}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"host": host, "pid": 1}))
    pipeline = RunningPipeline(tmp_path)
    assert health(pipeline, "processor").returncode == 0
    assert health(pipeline, "processor", "--instance", "0").returncode == 0
    assert "processor-1 is failing: the disk is full" in health(pipeline, "processor", "--instance", "1").stderr
    assert "no processor-5 ever ran" in health(pipeline, "processor", "--instance", "5").stderr
    assert "no worker runs on this host" in health(pipeline, "worker").stderr


def test_who_waits_is_well_and_who_fails_or_is_silent_is_not():
    for state in ("starting", "running", "waiting"):
        assert problem_of(status_of(state), NOW_MS + SILENT_AFTER_MS) == ""
        assert "silent for 30 s" in problem_of(status_of(state), NOW_MS + SILENT_AFTER_MS + 1)
    assert problem_of(status_of("failing", detail="no rules"), NOW_MS) == "processor-2 is failing: no rules"
    assert problem_of(status_of("stopped"), NOW_MS) == "processor-2 has stopped"


def test_a_replica_forgets_what_a_dead_one_of_its_host_said_under_another_number(tmp_path):
    for instance in (1, 2):
        writer = StatusWriter(tmp_path, "processor", instance, lambda: NOW_MS)
        writer.report("running")
        writer.close()
    other = tmp_path / "roles" / "processor-2.json"
    other.write_text(json.dumps(json.loads(other.read_text()) | {"host": "another-container"}))
    with first_free_instance(tmp_path, "processor") as instance:
        assert instance == 0
    assert [status.instance for status in read_roles(tmp_path)] == [2]


def test_the_name_in_kafkas_group_is_of_the_folder_and_the_number_alone(tmp_path, monkeypatch):
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    name = member_name(folders[0], 2)
    moved = folders[0].rename(tmp_path / "moved")
    assert member_name(moved, 2) == name
    assert len({name, member_name(moved, 1), member_name(folders[1], 2)}) == 3


def test_a_new_data_folder_can_be_looked_at_by_many_at_once(pipeline_with):
    """In containers all have the process id 1, as these threads have one: a probe named after it is everybody's."""
    settings = pipeline_with().settings
    with ThreadPoolExecutor(8) as looking:
        for look in [looking.submit(prepare_data_dir, settings) for _ in range(400)]:
            look.result()
    assert list(settings.data_dir.iterdir()) == []
