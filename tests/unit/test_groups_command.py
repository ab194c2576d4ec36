"""The command `groups`: lists, tells of one, and changes what is said of groups."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.buffer import open_buffer
from pipeline.clock import wall_clock_ms
from tests.support.buffer_rows import collect, collector, dead_letter

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command on a buffer with two groups; returns its exit code and what it printed."""
    monkeypatch.setenv("ORDERPULSE_DATA_DIR", str(tmp_path))
    now_ms = wall_clock_ms()
    with open_buffer(tmp_path / "orderpulse.db") as buffer:
        assignment = collector(buffer)
        told = (("stock", "no stock of tea"), ("stock", "no stock of mugs"), ("price", "the price\x1b[2J is negative"))
        rows = [
            dead_letter(assignment.ref, offset, fingerprint=group, title=reason, reason=reason, failed_at_ms=now_ms)
            for offset, (group, reason) in enumerate(told)
        ]
        collect(buffer, assignment, 0, *rows, now_ms=now_ms)

    def run_(*words: str) -> tuple[int, str, str]:
        code = main(["groups", *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_


def listed(run: Run, *words: str) -> dict[str, tuple[str, int]]:
    code, out, _ = run("--json", *words)
    assert code == 0
    return {each["fingerprint"]: (each["state"], each["total"]) for each in json.loads(out)["groups"]}


def test_lists_groups_with_their_states_for_people_and_for_programs(run: Run) -> None:
    code, out, err = run()
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith("stock  new")
    assert "2 open of 2" in first
    assert "\x1b" not in second
    assert listed(run, "--state", "new", "--limit", "1") == {"stock": ("new", 2)}
    assert listed(run, "--state", "resolved") == {}


def test_says_things_of_groups_with_the_name_of_who_says_it(run: Run) -> None:
    assert run("resolve", "stock", "--as", "ann")[::2] == (0, "stock is resolved\n")
    assert run("note", "stock", "fixed in 4.2", "--as", "ann")[0] == 0
    assert run("ignore", "price", "--until", "3d")[0] == 0
    assert listed(run) == {"stock": ("resolved", 2), "price": ("ignored", 1)}
    code, out, _ = run("show", "stock", "--json")
    told = json.loads(out)
    assert (told["said_by"], told["notes"][0]["note"], told["notes"][0]["written_by"]) == ("ann", "fixed in 4.2", "ann")
    assert run("reopen", "price")[0] == run("reopen", "stock")[0] == 0
    assert listed(run) == {"stock": ("ongoing", 2), "price": ("ongoing", 1)}


def test_merges_and_splits_and_takes_both_back(run: Run) -> None:
    assert run("merge", "stock", "price")[0] == 0
    assert listed(run) == {"stock": ("new", 3)}
    code, _, err = run("split", "stock", "--reason", "TEA")
    assert (code, err) == (0, "split 1 of stock is made; `groups unsplit 1` takes it back\n")
    assert sorted(total for _, total in listed(run).values()) == [1, 2]
    _, out, _ = run("show", "stock")
    assert "split 1     reason contains TEA (by command line)" in out.splitlines()
    assert "merged      price by command line: the price [2J is negative" in out.splitlines()
    assert run("unmerge", "price")[0] == run("unsplit", "1")[0] == 0
    assert listed(run) == {"stock": ("new", 2), "price": ("new", 1)}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("resolve", "nothing"), "there is no group nothing"),
        (("show", "nothing"), "there is no group nothing"),
        (("ignore", "stock", "--until", "soon"), "until when: a time is an age such as"),
        (("ignore", "stock", "--until", "2020-01-01"), "until a time that is still to come"),
        (("note", "stock", "  "), "a note needs a text"),
        (("note", "stock", "x" * 2001), "has at most 2,000 characters, this has 2,001"),
        (("merge", "stock", "stock"), "one group already"),
        (("unsplit", "4"), "there is no split 4"),
        (("--state", "open"), "a group's state is one of new, ongoing"),
    ],
)
def test_refuses_in_one_line_what_cannot_be_done(run: Run, words: tuple[str, ...], why: str) -> None:
    code, out, err = run(*words)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert why in err


def test_who_may_only_read_may_list_and_show_and_not_change(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERPULSE_READ_ONLY", "true")
    assert run("show", "stock")[0] == run()[0] == 0
    code, _, err = run("resolve", "stock")
    assert (code, "read-only" in err) == (1, True)
