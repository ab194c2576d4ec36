"""`python -m pipeline search`, as people and programs call it, on a real buffer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.buffer import Reader, open_buffer
from scripts.query_fields import TABLE
from tests.support.buffer_rows import DEAD, NOW_MS, collect, collector, dead_letter, order


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose buffer has three dead letters."""
    monkeypatch.setenv("ORDERPULSE_DATA_DIR", str(tmp_path))
    with open_buffer(tmp_path / "orderpulse.db") as buffer:
        place = collector(buffer)
        reasons = ("stock is missing", "the price is negative", "stock\x1b[31m\tis\nmissing " + "x" * 500)
        orders = (order("A-1", price_cents=9995), order("A-2", price_cents=100), None)
        rows = [
            dead_letter(place.ref, number, reason=reason, order=its_order)
            for number, (reason, its_order) in enumerate(zip(reasons, orders, strict=True))
        ]
        collect(buffer, place, 0, *rows)
    return tmp_path


def search(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["search", "--json", *arguments]) == 0
    report = json.loads(capsys.readouterr().out)
    assert isinstance(report, dict)
    return report


def test_programs_get_rows_total_and_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = search(capsys, 'status=open  price>99.94 "Stock Is"')
    assert report["query"] == 'status:open price>99.94 "Stock Is"'
    rows = report["rows"]
    assert isinstance(rows, list)
    assert [(row["id"], row["order_id"], row["reason"], row["source_topic"]) for row in rows] == [
        (1, "A-1", "stock is missing", "orders")
    ]
    assert (report["total"], report["total_is_exact"], report["cut"]) == (1, True, "")
    assert isinstance(report["took_ms"], int)


def test_shows_the_newest_up_to_a_limit_and_counts_them_all(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = search(capsys, "", "--limit", "2")
    assert isinstance(report["rows"], list)
    assert ([row["id"] for row in report["rows"]], report["total"]) == ([3, 2], 3)
    assert search(capsys, "", "--limit", "0")["rows"] == []
    assert search(capsys, "nowhere")["total"] == 0
    assert search(capsys, "--", "-stock")["total"] == 1


def test_people_get_a_line_each_that_a_terminal_takes_for_nothing_else(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "stock"]) == 0
    printed = capsys.readouterr()
    first, second = printed.out.splitlines()
    assert first.startswith("3\t2023-11-14 22:13:20 UTC\topen\t")
    assert "stock [31m is missing xxx" in first
    assert first.endswith("…")
    assert second.endswith("\topen\torders[0] offset 0\tstock is missing")
    assert printed.err.startswith("2 dead letters in ")


def test_what_is_no_query_is_wrong_use_and_is_pointed_at(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["search", "stock staus:open"], ["replay", "--query", "stock staus:open"]):
        assert main(command) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.splitlines() == [
            "orderpulse: there is no field staus; did you mean status?",
            "stock staus:open",
            "      ^^^^^",
        ]


def test_amounts_have_the_digits_of_the_currency(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "price>1.001"]) == 2
    assert "amounts of this currency have 2 digits" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["-1", "10001", "many", "²"])
def test_a_limit_that_is_none_is_wrong_use(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["search", "", "--limit", limit])
    assert ended.value.code == 2
    assert "is no number from 0 to 10,000" in capsys.readouterr().err


def test_without_a_buffer_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ORDERPULSE_DATA_DIR", str(tmp_path / "none"))
    assert main(["search", "stock"]) == 1
    assert "there is no buffer" in capsys.readouterr().err


def test_a_replay_takes_the_open_ones_that_a_query_means(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_buffer(folder / "orderpulse.db") as buffer:
        buffer.dead_letters.triage((3,), "discarded", 0)
    assert main(["replay", "--query", "stock", "--dry-run"]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["1"]
    assert main(["replay", "--query", "stock status:discarded", "--no-wait"]) == 0
    with Reader(folder / "orderpulse.db") as reader:
        [job] = reader.jobs()
        assert reader.job_items(job.id).column("dead_letter_id") == [3]


def test_a_replay_takes_what_was_found_inside_of_values(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_buffer(folder / "orderpulse.db") as buffer:
        place = buffer.flow.assign("collector", DEAD, 0, 0, NOW_MS)
        collect(buffer, place, 3, *(dead_letter(place.ref, number, value=b'{"a": 1}') for number in (3, 4)))
        buffer.dead_letters.triage((5,), "discarded", 0)
    assert main(["replay", "--query", "value.a:1", "--dry-run", "--force"]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["4"]


def test_the_docs_name_every_field() -> None:
    assert TABLE.is_current(), "run `make docs`"
