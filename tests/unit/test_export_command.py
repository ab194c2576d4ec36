"""The command `export`: a file is there when all of it is written, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.__main__ import main
from tests.support.letters import add_letters


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setenv("ORDERPULSE_DATA_DIR", str(data))
    (tmp_path / "out").mkdir()
    return tmp_path


def export(out: Path, format: str) -> int:
    return main(["export", "dead-letters", "--format", format, "--out", str(out)])


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_an_export_that_fails_leaves_nothing_and_the_old_file_as_it_was(folder: Path, format: str) -> None:
    (folder / "data" / "orderpulse.db").write_bytes(b"no database" * 1000)
    out = folder / "out" / "letters"
    assert export(out, format) == 1
    assert list(out.parent.iterdir()) == []
    out.write_text("of yesterday")
    assert export(out, format) == 1
    assert [(each.name, each.read_text()) for each in out.parent.iterdir()] == [("letters", "of yesterday")]


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_an_export_takes_the_place_of_the_old_file_with_its_rights(folder: Path, format: str) -> None:
    add_letters(folder / "data" / "orderpulse.db", 2)
    out = folder / "out" / "letters"
    out.write_text("of yesterday")
    out.chmod(0o640)
    assert export(out, format) == 0
    assert [each.name for each in out.parent.iterdir()] == ["letters"]
    assert b"yesterday" not in out.read_bytes()
    assert out.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_one_and_a_device_is_written_as_it_comes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_letters(folder / "data" / "orderpulse.db", 2)
    target, link = folder / "out" / "letters", folder / "link"
    link.symlink_to(target)
    assert export(link, "csv") == 0
    assert link.is_symlink()
    assert target.read_text().startswith("id,topic,")
    capsys.readouterr()
    assert export(Path("/dev/full"), "csv") == 1
    assert capsys.readouterr().err == "orderpulse: /dev/full cannot be written: No space left on device\n"
    assert Path("/dev/full").is_char_device()


def test_a_folder_that_is_not_there_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_letters(folder / "data" / "orderpulse.db", 1)
    assert export(folder / "gone" / "letters", "csv") == 1
    assert "gone/letters cannot be written: No such file or directory" in capsys.readouterr().err
