"""`up` keeps the roles alive, shows what fails again and again, and leaves no process behind, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from dashboard.shared.autostart import Guardian
from pipeline.running.folder_owner import is_running
from pipeline.running.statusboard import read_roles
from pipeline.settings import PROJECT_DIR
from scripts.waiting import wait_for
from tests.support.kafkas import on_clusters
from tests.support.running_pipeline import RunningPipeline, alive

BACK_WITHIN_S = 2.0
END_WITHIN_S = 5.0
UP_ON_ANOTHER_SYSTEM = """
import sys
from multiprocessing import get_context
from pipeline.__main__ import main
from pipeline.running import supervisor
supervisor.METHOD = get_context("spawn")
sys.exit(main(["up"]))
"""


def pids(pipeline: RunningPipeline) -> set[int]:
    """All processes of a pipeline that runs."""
    return {role.pid for role in read_roles(pipeline.data_dir) if role.state != "stopped"}


@pytest.mark.alone
@pytest.mark.parametrize("name", ["broker", "processor", "collector", "worker"])
def test_a_role_that_dies_is_back_within_two_seconds(pipeline, name):
    dead = pipeline.role(name).pid
    began_s = time.monotonic()
    pipeline.kill(name)
    wait_for(f"the {name}'s word", lambda: pipeline.role(name).pid != dead)
    assert time.monotonic() - began_s < BACK_WITHIN_S
    wait_for("its work", lambda: any(role.role == name and role.pid != dead for role in pipeline.running()))


@pytest.mark.alone
@on_clusters("durability")
def test_sigterm_ends_everything_within_five_seconds_and_leaves_nothing_half_done(pipeline):
    queued = pipeline.command("produce", "--count", "20000", "--invalid-share", "0.1", "--no-wait")
    assert queued.returncode == 0, queued.stderr
    wait_for("the flow", lambda: pipeline.settled() > 500)
    running = pids(pipeline)
    began_s = time.monotonic()
    pipeline.started("up").terminate()
    assert pipeline.started("up").wait(END_WITHIN_S) == 0
    assert time.monotonic() - began_s < END_WITHIN_S
    assert not any(alive(pid) for pid in running)
    assert {role.state for role in read_roles(pipeline.data_dir)} == {"stopped"}
    assert "ending it" not in pipeline.log()
    pipeline.up()
    wait_for("the job's end", lambda: pipeline.settled() == 20_000)
    assert pipeline.command("check").returncode == 0


def test_a_role_that_dies_again_and_again_is_tried_ever_more_slowly_and_shown_as_failing_until_it_works(
    pipeline_with, tmp_path
):
    schemas = tmp_path / "schemas"
    shutil.copytree(PROJECT_DIR / "schemas", schemas)
    whole = (schemas / "order.v2.avsc").read_text()
    (schemas / "order.v2.avsc").write_text("{")
    pipeline = pipeline_with(schemas_dir=str(schemas))
    pipeline.start("up")
    waits = [f"processor-0 ended (exit code 1); starting it again in {wait} s" for wait in ("0.5", "1.0", "2.0")]
    wait_for("three deaths", lambda: all(each in pipeline.log() for each in waits))
    assert pipeline.role("processor").state == "failing"
    assert "order.v2.avsc cannot be used" in pipeline.role("processor").detail
    assert pipeline.role("up").state == "failing"
    assert "processor-0 ended (exit code 1)" in pipeline.role("up").detail
    (schemas / "order.v2.avsc").write_text(whole)
    pipeline.wait_until_running()


def test_nothing_is_left_when_the_terminal_is_closed(pipeline_with):
    pipeline = pipeline_with()
    screen, terminal = os.openpty()
    # A shell that stays, as one does at which somebody has typed the command.
    shell = subprocess.Popen(
        ["setsid", "--ctty", "sh", "-c", f"{sys.executable} -m pipeline up; true"],
        cwd=PROJECT_DIR,
        env=pipeline.environment,
        stdin=terminal,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(terminal)
    pipeline.wait_until_running()
    running = pids(pipeline)
    assert len(running) == 5
    os.close(screen)
    wait_for("the end of what the terminal ran", lambda: shell.poll() is not None)
    wait_for("the end of all", lambda: not any(alive(pid) for pid in running))


def test_a_role_that_outlives_its_supervisor_keeps_no_other_one_off_the_data_folder(pipeline):
    paused = pipeline.role("worker").pid
    before = pids(pipeline)
    os.kill(paused, signal.SIGSTOP)
    try:
        pipeline.started("up").kill()
        pipeline.started("up").wait()
        assert not is_running(pipeline.data_dir)
        wait_for("the end of the others", lambda: [pid for pid in before if alive(pid)] == [paused])
    finally:
        os.kill(paused, signal.SIGCONT)
    wait_for("the end of all", lambda: not alive(paused))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_where_nothing_may_be_forked_each_role_is_a_new_interpreter_and_ends_with_up_too(pipeline_with, end):
    pipeline = pipeline_with()
    with subprocess.Popen(
        [sys.executable, "-c", UP_ON_ANOTHER_SYSTEM], cwd=PROJECT_DIR, env=pipeline.environment
    ) as up:
        pipeline.wait_until_running()
        dead = pipeline.role("collector").pid
        pipeline.kill("collector")
        wait_for("another collector", lambda: pipeline.role("collector").pid != dead)
        running = pids(pipeline)
        up.send_signal(end)
        assert up.wait(END_WITHIN_S) == (0 if end is signal.SIGTERM else -end)
    wait_for("the end of all", lambda: not any(alive(pid) for pid in running))


def test_a_second_pipeline_on_a_data_folder_says_that_one_runs_and_leaves_it_alone(pipeline):
    before = pids(pipeline)
    second = pipeline.command("up")
    assert second.returncode == 1
    assert "a pipeline runs on" in second.stderr
    assert len(second.stderr.splitlines()) == 1
    assert pids(pipeline) == before
    assert all(alive(pid) for pid in before)


def test_two_apps_on_a_data_folder_share_one_pipeline_and_either_goes_on_without_the_other(tmp_path, monkeypatch):
    monkeypatch.setenv("ORDERPULSE_DATA_DIR", str(tmp_path))
    pipeline = RunningPipeline(tmp_path)
    apps = [Guardian(tmp_path) for _ in range(2)]
    for app in apps:
        app.start()
    try:
        pipeline.wait_until_running()
        wait_for("one of them to stand back", lambda: len(started_by(apps)) == 1)
        before = pids(pipeline)
        [(owner, process)] = started_by(apps)
        assert process.pid in before
        owner.end()
        apps.remove(owner)
        wait_for("the other's pipeline", lambda: pids(pipeline) and not pids(pipeline) & before)
        pipeline.wait_until_running()
        assert not any(alive(pid) for pid in before)
    finally:
        for app in apps:
            app.end()


def started_by(apps: list[Guardian]) -> list[tuple[Guardian, subprocess.Popen[bytes]]]:
    """The apps whose pipeline runs."""
    return [(app, app._process) for app in apps if app._process is not None and app._process.poll() is None]
