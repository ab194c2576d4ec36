"""Regrouping: on demand, in small steps, restartable; status and all else of a dead letter stay."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.buffer import DeadLetterFilter, DeadLetterRow, Reader, open_buffer, recount
from pipeline.buffer.regroup_contract import Regrouped
from pipeline.buffer.sqlite.groups.moves import BYTES_AT_ONCE, LETTERS_AT_ONCE
from pipeline.commands import regroup
from pipeline.crash_points import FOLDER_VARIABLE, POINTS
from pipeline.dead_letters.causes import FINGERPRINT_VERSION, fingerprint
from pipeline.errors import UsageError
from pipeline.jobs.regroup import Regrouping
from pipeline.jobs.requests import request_regroup
from pipeline.search.parser import parse
from pipeline.settings import PROJECT_DIR, Settings
from tests.support.buffer_rows import NOW_MS, collect, collector, dead_letter

LETTERS = 3000
CAUSES = 4
POINTS_HERE = tuple(point for point in POINTS if point.startswith("regroup: "))
KEPT = "id, status, replay_of, reason, value, headers, failed_at_ms, stacktrace, dead_letter_id"


def old_letter(ref: int, offset: int, **fields: Any) -> DeadLetterRow:
    """As the version before grouped it: by an id that its reason holds."""
    reason = f"cause {'abcd'[offset % CAUSES] * 3}: no stock of item-{offset // 10}"
    group = f"old-{offset % CAUSES}-{offset // 10}"
    told = {"reason": reason, "fingerprint": group, "title": reason, "failed_at_ms": NOW_MS + offset, **fields}
    return dead_letter(ref, offset, error_class="Error", **told)


def new_letter(ref: int, offset: int, reason: str) -> DeadLetterRow:
    group, title = fingerprint("Error", reason, None, "orders")
    told = {"fingerprint": group, "title": title, "fingerprint_version": FINGERPRINT_VERSION}
    return dead_letter(ref, offset, reason=reason, error_class="Error", **told)


def fill(path: Path, count: int = LETTERS) -> None:
    with open_buffer(path) as buffer:
        assignment = collector(buffer)
        collect(buffer, assignment, 0, *(old_letter(assignment.ref, offset) for offset in range(count)))
        buffer.dead_letters.triage(range(1, count, 3), "discarded", NOW_MS)


def rows(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def groups(path: Path) -> list[Any]:
    return rows(path, "SELECT title, total, open, first_seen_ms, last_seen_ms FROM dead_letter_groups ORDER BY title")


def expected() -> list[Any]:
    offsets = [range(cause, LETTERS, CAUSES) for cause in range(CAUSES)]
    return [
        (
            f"cause {'abcd'[cause] * 3}: no stock of <value>",
            len(each),
            sum(offset % 3 != 0 or offset + 1 >= LETTERS for offset in each),
            NOW_MS + each[0],
            NOW_MS + each[-1],
        )
        for cause, each in enumerate(offsets)
    ]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def path(settings: Settings) -> Path:
    return settings.database_file


def test_all_letters_come_to_the_groups_of_the_newest_rule_and_keep_all_else(path: Path) -> None:
    fill(path)
    before = rows(path, f"SELECT {KEPT} FROM dead_letters ORDER BY id")
    with open_buffer(path) as buffer:
        regrouping = Regrouping(buffer)
        assert regrouping.left() == LETTERS
        steps = []
        while moved := regrouping.step():
            steps.append(moved)
        assert sum(steps) == LETTERS
        assert max(steps) == LETTERS_AT_ONCE
        assert regrouping.left() == 0
    assert groups(path) == expected()
    assert rows(path, f"SELECT {KEPT} FROM dead_letters ORDER BY id") == before
    assert recount(path) == []


def test_the_command_does_all_of_it_and_nothing_when_there_is_nothing_to_do(settings, path, capsys) -> None:
    fill(path, 20)
    assert regroup(settings, None) == regroup(settings, None) == 0  # type: ignore[arg-type]
    assert capsys.readouterr().err.splitlines() == [
        "20 dead letters are grouped by the newest rule",
        "0 dead letters are grouped by the newest rule",
    ]


def test_who_may_only_read_may_not_regroup(settings, path) -> None:
    fill(path, 1)
    with open_buffer(path) as buffer, pytest.raises(UsageError):
        request_regroup(settings.model_copy(update={"read_only": True}), buffer)


@pytest.mark.parametrize("point", POINTS_HERE)
def test_who_dies_at_a_step_leaves_nothing_half_done_and_the_next_goes_on(settings, path, tmp_path, point) -> None:
    fill(path)
    folder = tmp_path / "points"
    folder.mkdir()
    (folder / "regroup").write_text(point)
    command = [sys.executable, "-m", "pipeline", "regroup"]
    environment = {**os.environ, "ORDERPULSE_DATA_DIR": str(settings.data_dir)}
    died = subprocess.run(command, cwd=PROJECT_DIR, env=environment | {FOLDER_VARIABLE: str(folder)}, timeout=60)
    assert died.returncode == -signal.SIGKILL
    assert (folder / "regroup").read_text() == ""
    assert recount(path) == []
    assert subprocess.run(command, cwd=PROJECT_DIR, env=environment, timeout=60).returncode == 0
    assert groups(path) == expected()
    assert recount(path) == []


def test_the_collector_goes_on_meanwhile_and_nobody_waits_for_long(path: Path) -> None:
    fill(path)
    collected = threading.Event()
    failed: list[BaseException] = []

    def collecting() -> None:
        try:
            with open_buffer(path) as buffer:
                assignment = collector(buffer)
                for offset in range(LETTERS, LETTERS + 200):
                    reason = f"cause aaa: no stock of item-{offset}"
                    collect(buffer, assignment, offset, new_letter(assignment.ref, offset, reason), now_ms=NOW_MS)
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            collected.set()

    thread = threading.Thread(target=collecting)
    thread.start()
    with open_buffer(path) as buffer:
        regrouping = Regrouping(buffer)
        while regrouping.step() or not collected.is_set():
            pass
    thread.join()
    assert not failed
    assert recount(path) == []
    found = {title: total for title, total, *_ in groups(path)}
    assert found == {title: total + 200 * (" aaa:" in title) for title, total, *_ in expected()}


def test_a_letter_that_somebody_else_has_moved_meanwhile_stays_there(path: Path) -> None:
    fill(path, 1)
    with open_buffer(path) as one, open_buffer(path) as other:
        (found,) = one.regrouping.older(FINGERPRINT_VERSION)
        assert Regrouping(other).step() == 1
        late = Regrouped(found.id, found.fingerprint, "late", "late", None, None)
        assert one.regrouping.regroup([late], FINGERPRINT_VERSION) == 0
    assert [title for title, *_ in groups(path)] == ["cause aaa: no stock of <value>"]
    assert recount(path) == []


def test_large_letters_are_moved_a_few_at_once(path: Path) -> None:
    large = BYTES_AT_ONCE // 3
    with open_buffer(path) as buffer:
        assignment = collector(buffer)
        letters = [old_letter(assignment.ref, offset, value=bytes(large)) for offset in range(7)]
        collect(buffer, assignment, 0, *letters, old_letter(assignment.ref, 7, value=bytes(2 * BYTES_AT_ONCE)))
        regrouping = Regrouping(buffer)
        steps = list(iter(regrouping.step, 0))
    assert sum(steps) == 8
    assert max(steps) < 4


def test_while_letters_of_an_older_rule_are_there_a_group_is_no_new_one(path: Path) -> None:
    with open_buffer(path) as buffer:
        assignment = collector(buffer)
        collect(buffer, assignment, 0, old_letter(assignment.ref, 0))
        collect(buffer, assignment, 1, new_letter(assignment.ref, 1, "no stock of 7"), now_ms=NOW_MS + 5)
        rest = "SELECT new_since_ms FROM dead_letter_groups WHERE fingerprint_version = 2"
        assert rows(path, rest) == [(None,)]
        # By then it is known what was there before.
        Regrouping(buffer).step()
        collect(buffer, assignment, 2, new_letter(assignment.ref, 2, "no route to host"), now_ms=NOW_MS + 9)
        collect(buffer, assignment, 3, new_letter(assignment.ref, 3, "no route to host"), now_ms=NOW_MS + 99)
    assert rows(path, f"{rest} AND title LIKE '%host'") == [(NOW_MS + 9,)]
    assert rows(path, f"{rest} AND title = 'no stock of <value>'") == [(None,)]


def test_a_group_is_as_old_as_the_oldest_that_it_is_made_of_and_new_only_if_all_are(path: Path) -> None:
    with open_buffer(path) as buffer:
        assignment = collector(buffer)
        told = [("a", "x 1", NOW_MS), ("b", "x 2", NOW_MS + 5), ("c", "y 1", NOW_MS + 7)]
        for offset, (group, reason, now_ms) in enumerate(told):
            row = old_letter(assignment.ref, offset, fingerprint=group, reason=reason, failed_at_ms=now_ms)
            collect(buffer, assignment, offset, row, now_ms=now_ms)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE dead_letter_groups SET new_since_ms = NULL WHERE fingerprint = 'a'")
            # Its oldest letters were pruned.
            connection.execute("UPDATE dead_letter_groups SET first_seen_ms = 7 WHERE fingerprint = 'b'")
            connection.commit()
        while Regrouping(buffer).step():
            pass
    found = rows(path, "SELECT title, first_seen_ms, last_seen_ms, new_since_ms FROM dead_letter_groups ORDER BY title")
    assert found == [("x <value>", 7, NOW_MS + 5, None), ("y <value>", NOW_MS + 7, NOW_MS + 7, NOW_MS + 7)]


def test_a_group_that_was_repaired_is_looked_at_again_and_stays_itself(path: Path) -> None:
    with open_buffer(path) as buffer:
        assignment = collector(buffer)
        collect(buffer, assignment, 0, new_letter(assignment.ref, 0, "no stock of 7"))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE dead_letter_groups SET fingerprint_version = 1, title = 'no stock of 7'")
            connection.commit()
        assert Regrouping(buffer).step() == 1
        assert Regrouping(buffer).left() == 0
    assert [total for _, total, *_ in groups(path)] == [1]
    assert recount(path) == []


# -- what people have said of groups


def said(path: Path, title: str) -> tuple[Any, list[str], set[str]]:
    """The state of the group with this title, its notes, and the reasons that are in it."""
    with Reader(path) as reader:
        (found,) = [each for each in reader.groups(NOW_MS + 50).dicts() if each["title"] == title]
        detail = reader.group(found["fingerprint"], NOW_MS + 50)
        letters = reader.dead_letters(DeadLetterFilter(parse(f"group:{found['fingerprint']}", NOW_MS)))
    assert detail is not None
    return found["state"], [each.note for each in detail.notes], {each.reason for each in letters}


def collected(path: Path, *letters: tuple[str, str, int]) -> None:
    """Dead letters of an old version: group, reason, and when they failed."""
    with open_buffer(path) as buffer:
        assignment = collector(buffer)
        for offset, (group, reason, at_ms) in enumerate(letters):
            row = old_letter(assignment.ref, offset, fingerprint=group, reason=reason, failed_at_ms=at_ms)
            collect(buffer, assignment, offset, row, now_ms=at_ms)


def regrouped(path: Path) -> None:
    with open_buffer(path) as buffer:
        while Regrouping(buffer).step():
            pass
    assert recount(path) == []


def test_state_and_notes_come_along_to_each_group_that_one_becomes(path: Path) -> None:
    collected(path, ("old", "x 1", NOW_MS), ("old", "y 1", NOW_MS))
    with open_buffer(path) as buffer:
        buffer.groups.resolve("old", "ann", NOW_MS + 5)
        buffer.groups.note("old", "known", "ann", NOW_MS)
    regrouped(path)
    assert said(path, "x <value>") == ("resolved", ["known"], {"x 1"})
    assert said(path, "y <value>") == ("resolved", ["known"], {"y 1"})


@pytest.mark.parametrize("resolved", ["first", "second"])
def test_a_resolved_group_that_later_failures_come_to_has_regressed_in_whatever_order(path: Path, resolved) -> None:
    times = {"first": NOW_MS + 1, "second": NOW_MS + 1, resolved: NOW_MS}
    collected(path, ("first", "x 1", times["first"]), ("second", "x 2", times["second"]))
    with open_buffer(path) as buffer:
        buffer.groups.resolve(resolved, "ann", NOW_MS)
    regrouped(path)
    assert said(path, "x <value>")[0] == "regressed"


def test_groups_that_people_have_merged_stay_one_under_the_name_that_they_had(path: Path) -> None:
    collected(path, ("a", "x 1", NOW_MS), ("b", "y 1", NOW_MS), ("c", "z 1", NOW_MS))
    with open_buffer(path) as buffer:
        buffer.groups.merge("a", ["b"], "ann", NOW_MS)
        buffer.groups.note("b", "one cause", "ann", NOW_MS)
        buffer.groups.ignore("b", NOW_MS + 99, "ann", NOW_MS)
    regrouped(path)
    assert said(path, "y <value>") == ("ignored", ["one cause"], {"x 1", "y 1"})
    with Reader(path) as reader:
        found = reader.group("a", NOW_MS)
    assert found is not None
    assert (found.row["fingerprint"], found.row["total"]) == ("a", 2)


def test_groups_that_people_have_split_stay_apart_however_often(path: Path) -> None:
    reasons = ("no green tea 1", "no black tea 2", "no mug 3")
    collected(path, *(("a", reason, NOW_MS) for reason in reasons))
    with open_buffer(path) as buffer:
        buffer.groups.split("a", "reason", "tea", "ann", NOW_MS)
        while buffer.groups.move():
            pass
        with Reader(path) as reader:
            (tea,) = [each["fingerprint"] for each in reader.groups(NOW_MS).dicts() if each["fingerprint"] != "a"]
        buffer.groups.split(tea, "reason", "green", "ann", NOW_MS)
        while buffer.groups.move():
            pass
        buffer.groups.resolve(tea, "ann", NOW_MS)
    regrouped(path)
    black = "no black tea <value> (reason contains tea)"
    assert said(path, black) == ("resolved", [], {reasons[1]})
    green = "no green tea <value> (reason contains tea) (reason contains green)"
    assert said(path, green)[2] == {reasons[0]}
    # And can be taken back, newest first.
    with open_buffer(path) as buffer:
        for number in rows(path, "SELECT min(id) FROM group_splits GROUP BY origin, value ORDER BY min(id) DESC"):
            buffer.groups.unsplit(number[0], NOW_MS)
        while buffer.groups.move():
            pass
    with Reader(path) as reader:
        assert {each["title"] for each in reader.groups(NOW_MS).dicts()} == {
            "no green tea <value>",
            "no black tea <value>",
            "no mug <value>",
        }
    assert recount(path) == []
