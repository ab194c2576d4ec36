"""`import` as people and scripts call it, and a pipeline that does not start beside what it brought."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.buffer import Reader, back_up, recount
from pipeline.crash_points import FOLDER_VARIABLE
from pipeline.exports import export_all
from pipeline.running.folder_owner import sole_owner
from pipeline.running.imported import IMPORTED_FILE, is_imported
from pipeline.settings import PROJECT_DIR
from tests.support.sample_buffer import fill

KCAT = PROJECT_DIR / "tests" / "data" / "imports" / "kcat-1.7.1.jsonl"
MANY = 1200
"""More than two batches."""
MOST_BYTES = 300_000_000
"""What any process of ours may hold."""
MEASURED = """
import sys
from pipeline.__main__ import main
assert main(["import", sys.argv[1]]) == 0
with open("/proc/self/status") as status:
    print(1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM")))
"""
"""Prints the most that it held, in bytes. Others cannot tell it: they would count what held the process before."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "incident"


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """An export of a buffer with many dead letters."""
    fill(tmp_path / "theirs.db", orders=0, dead_letters=MANY, parked=0)
    with (tmp_path / "theirs.jsonl").open("wb") as file:
        export_all(tmp_path / "theirs.db", "dead_letters", None, "jsonl", file)
    return tmp_path / "theirs.jsonl"


def run(folder: Path, *arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=PROJECT_DIR,
        env=os.environ | {"ORDERPULSE_DATA_DIR": str(folder)} | environment,
        input=stdin,
        capture_output=True,
        timeout=120,
    )


def said(done: subprocess.CompletedProcess[bytes]) -> list[str]:
    return done.stderr.decode().splitlines()


def test_a_file_is_imported_once_and_told_in_one_line(folder: Path, exported: Path) -> None:
    first, second = run(folder, "import", str(exported)), run(folder, "import", str(exported))
    assert (first.returncode, second.returncode) == (0, 0)
    assert said(first) == [f"{exported}: {MANY:,} imported, 0 already there, 0 refused"]
    assert said(second) == [f"{exported}: 0 imported, {MANY:,} already there, 0 refused"]
    checked = run(folder, "check")
    assert (checked.returncode, said(checked)) == (0, ["all figures agree"])
    status = run(folder, "status").stdout.decode()
    assert "no cluster: these dead letters were imported" in status
    assert f"imported      {MANY:,} dead letters from theirs.jsonl\n" in status
    assert json.loads(run(folder, "status", "--json").stdout)["imports"][0]["dead_letters"] == MANY


def test_what_kcat_writes_can_be_piped(folder: Path) -> None:
    done = run(folder, "import", "-", stdin=KCAT.read_bytes())
    assert done.returncode == 0
    assert said(done) == [
        "1 hold U+FFFD, which is in the record, or stands for bytes that a program after kcat could not read",
        "-: 24 imported, 0 already there, 0 refused",
    ]


def test_parquet_cannot_be_piped(folder: Path) -> None:
    done = run(folder, "import", "-", stdin=b"PAR1")
    assert (done.returncode, said(done)) == (
        1,
        ["orderpulse: Parquet cannot be read from standard input: name the file"],
    )


def test_refused_lines_are_named_and_the_exit_code_tells(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.jsonl").write_bytes(KCAT.read_bytes()[:-30] + b"\n" + b"{}\n" * 20)
    done = run(folder, "import", str(tmp_path / "cut.jsonl"))
    assert done.returncode == 1
    assert "refused: line 24, column " in said(done)[0]
    assert said(done)[1] == "refused: line 25, field topic: expected, as `kcat -J` writes it, and is not there"
    assert "refused: 11 more" in said(done)
    assert said(done)[-1].endswith("23 imported, 0 already there, 21 refused")


@pytest.mark.parametrize(
    ("points", "there"),
    [
        (["import: exported dead letters not committed"], 0),
        (["import: batch added"], 500),
        (["import: links not committed"], MANY),
    ],
)
def test_an_import_that_died_is_done_again_without_second_rows(
    folder: Path, exported: Path, tmp_path: Path, points: list[str], there: int
) -> None:
    (tmp_path / "import").write_text("\n".join(points))
    died = run(folder, "import", str(exported), **{FOLDER_VARIABLE: str(tmp_path)})
    assert died.returncode == -9
    assert is_imported(folder)
    with Reader(folder / "orderpulse.db") as reader:
        assert reader.totals().dead_letters == there
        assert reader.imports().column("finished_at_ms") == ([None] if there else [])
    assert recount(folder / "orderpulse.db") == []
    again = run(folder, "import", str(exported))
    assert said(again) == [f"{exported}: {MANY - there:,} imported, {there:,} already there, 0 refused"]
    with Reader(folder / "orderpulse.db") as reader:
        assert None not in reader.imports().column("finished_at_ms")
    with (tmp_path / "ours.jsonl").open("wb") as file:
        export_all(folder / "orderpulse.db", "dead_letters", None, "jsonl", file)
    assert (tmp_path / "ours.jsonl").read_bytes() == exported.read_bytes()


def test_records_of_kcat_are_added_once_whenever_it_died(folder: Path, tmp_path: Path) -> None:
    for point in ("import: records not committed", "import: batch added"):
        (tmp_path / "import").write_text(point)
        assert run(folder, "import", str(KCAT), **{FOLDER_VARIABLE: str(tmp_path)}).returncode == -9
    assert said(run(folder, "import", str(KCAT)))[-1].endswith("0 imported, 24 already there, 0 refused")


def test_many_large_letters_are_held_a_few_at_a_time(folder: Path, exported: Path, tmp_path: Path) -> None:
    lines = exported.read_bytes().splitlines()
    value = base64.b64encode(os.urandom(10_000_000)).decode()
    with (tmp_path / "large.jsonl").open("w") as file:
        for line in lines[:12]:
            file.write(json.dumps(json.loads(line) | {"value_base64": value}) + "\n")
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path / "large.jsonl")],
        cwd=PROJECT_DIR,
        env=os.environ | {"ORDERPULSE_DATA_DIR": str(folder)},
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert int(done.stdout) < MOST_BYTES
    with Reader(folder / "orderpulse.db") as reader:
        assert reader.totals().dead_letters == 12


@pytest.mark.parametrize("command", [["up"], ["broker"], ["processor"], ["collector"], ["worker"], ["produce"]])
def test_no_pipeline_starts_beside_them(folder: Path, command: list[str]) -> None:
    run(folder, "import", str(KCAT))
    done = run(folder, *command)
    assert done.returncode == 1
    assert f"the data folder {folder} holds imported dead letters, and has no cluster" in said(done)[-1]
    assert not (folder / "broker.json").exists()


def test_replay_says_how_many_it_leaves_out(folder: Path) -> None:
    run(folder, "import", str(KCAT))
    everything = run(folder, "replay", "--all")
    assert everything.returncode == 0
    assert said(everything) == ["0 dead letters to send", "left out: 24 as imported ones are sent nowhere"]
    for which in (["--id", "1"], ["--status", "open"]):
        done = run(folder, "replay", *which)
        assert done.returncode == 1
        assert "left out, as imported ones are sent nowhere" in said(done)[-1]
    dry = run(folder, "replay", "--all", "--dry-run")
    assert said(dry) == ["0 dead letters would be sent", "left out: 24 as imported ones are sent nowhere"]


def test_a_folder_with_a_cluster_is_refused_and_stays_as_it_is(folder: Path) -> None:
    folder.mkdir()
    fill(folder / "orderpulse.db", dead_letters=3)
    done = run(folder, "import", str(KCAT))
    assert done.returncode == 1
    assert len(said(done)) == 1
    assert "the buffer belongs to a cluster already (it has read orders, orders-dlq)" in said(done)[0]
    assert not is_imported(folder)


def test_nothing_is_imported_while_a_pipeline_runs_there(folder: Path) -> None:
    folder.mkdir()
    with sole_owner(folder):
        done = run(folder, "import", str(KCAT))
    assert done.returncode == 1
    assert f"a pipeline runs on {folder} already" in said(done)[0]


def test_nothing_is_imported_where_nothing_may_be_changed(folder: Path) -> None:
    done = run(folder, "import", str(KCAT), ORDERPULSE_READ_ONLY="1")
    assert (done.returncode, len(said(done))) == (1, 1)
    assert "read-only" in said(done)[0]


@pytest.mark.parametrize("name", ["nowhere.jsonl", "."])
def test_a_file_that_cannot_be_read_is_named(folder: Path, name: str) -> None:
    done = run(folder, "import", name)
    assert done.returncode == 1
    assert said(done)[-1].startswith(f"orderpulse: {name} cannot be read: ")
    assert not is_imported(folder)


def test_a_backup_of_them_is_restored_with_the_mark_of_its_folder(folder: Path, tmp_path: Path) -> None:
    run(folder, "import", str(KCAT))
    back_up(folder / "orderpulse.db", tmp_path / "backup.db")
    other = tmp_path / "other"
    assert run(other, "restore", str(tmp_path / "backup.db")).returncode == 0
    assert (other / IMPORTED_FILE).exists()
