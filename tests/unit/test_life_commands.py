"""The commands that look after the buffer: check, its repair, backup and restore, as people call them."""

import sqlite3
from contextlib import closing

import pytest

from pipeline.__main__ import main
from pipeline.buffer import open_buffer
from pipeline.clock import wall_clock_ms
from pipeline.commands import NOT_COMPARED
from pipeline.running.folder_owner import sole_owner
from pipeline.running.statusboard import StatusWriter
from tests.support.buffer_rows import accept, processor


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder whose buffer has 5 orders, and whose demo cluster does not run."""
    monkeypatch.setenv("ORDERPULSE_DATA_DIR", str(tmp_path))
    with open_buffer(tmp_path / "orderpulse.db") as buffer:
        accept(buffer, processor(buffer), 0, 5)
    return tmp_path


def change(folder, sql):
    with closing(sqlite3.connect(folder / "orderpulse.db")) as connection:
        connection.execute(sql)
        connection.commit()


def test_check_tells_a_difference_and_repair_mends_it_and_says_so(folder, capsys):
    change(folder, "UPDATE totals SET orders = 7")
    assert main(["check"]) == 1
    assert capsys.readouterr().out == "totals: orders is 7, its rows make 5\n"
    assert main(["check", "--repair"]) == NOT_COMPARED
    assert capsys.readouterr().out == "repaired: totals: orders is 7, its rows make 5\n"
    assert main(["check"]) == NOT_COMPARED


def test_repair_says_what_it_cannot_mend(folder, capsys):
    change(folder, "UPDATE partitions SET next_offset = 3")
    assert main(["check", "--repair"]) == 1
    assert "order_rows: 2 rows at or after next_offset 3" in capsys.readouterr().out


def test_a_backup_is_restored(folder, capsys):
    assert main(["backup", str(folder / "copy.db")]) == 0
    change(folder, "UPDATE totals SET orders = 7")
    assert main(["restore", str(folder / "copy.db")]) == 0
    assert "the replaced buffer is" in capsys.readouterr().err
    assert main(["check"]) == NOT_COMPARED


def test_a_second_backup_of_the_same_name_is_refused(folder, capsys):
    assert main(["backup", str(folder / "copy.db")]) == 0
    assert main(["backup", str(folder / "copy.db")]) == 1
    assert "there already" in capsys.readouterr().err


def test_nothing_is_restored_while_a_pipeline_runs(folder, capsys):
    assert main(["backup", str(folder / "copy.db")]) == 0
    with sole_owner(folder):
        assert main(["restore", str(folder / "copy.db")]) == 1
    assert "a pipeline runs" in capsys.readouterr().err


def test_nothing_is_restored_while_a_single_role_runs(folder, capsys):
    assert main(["backup", str(folder / "copy.db")]) == 0
    role = StatusWriter(folder, "collector", 0, wall_clock_ms)
    role.report("running")
    assert main(["restore", str(folder / "copy.db")]) == 1
    assert "collector-0" in capsys.readouterr().err
    role.report("stopped")
    role.close()
    assert main(["restore", str(folder / "copy.db")]) == 0
