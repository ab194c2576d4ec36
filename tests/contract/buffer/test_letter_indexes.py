"""Whatever roles and pages do with dead letters, SQLite finds them by an index or their ids, and looks at no others."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.buffer import Buffer, DeadLetterFilter, Reader, Retention, Sent, open_buffer
from pipeline.buffer.regroup_contract import Regrouped
from pipeline.buffer.sqlite import connection as connections
from pipeline.buffer.sqlite import streams
from pipeline.search.parser import parse
from tests.support.buffer_rows import NOW_MS, collect, collector, dead_letter

LETTERS = 60
FRAMES = "\tat shop.Stock.reserve(Stock.java:7)\n" * 6
READS_OR_WRITES = re.compile(r"\s*(WITH|SELECT|INSERT|UPDATE|DELETE)\b")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "orderpulse.db"
    with open_buffer(path) as buffer:
        place = collector(buffer)
        rows = [
            dead_letter(
                place.ref,
                n,
                reason=f"no {'tea' if n % 2 else 'mug'}",
                fingerprint=f"group-{n % 3}",
                stacktrace=f"shop.Thrown: item {n}\n{FRAMES}",
                headers=(("trace", f"{n:032x}".encode()), ("service", b"the service that it came from is shop.stock")),
            )
            for n in range(LETTERS)
        ]
        collect(buffer, place, 0, *rows)
        buffer.dead_letters.triage(range(1, 6), "discarded", NOW_MS)
    return path


def replay(buffer: Buffer) -> None:
    """From the preview to the outcome that nobody told."""
    which = DeadLetterFilter(parse("status:open group:group-1 failed:>2000-01-01", NOW_MS))
    assert list(buffer.jobs.preview_replay(which, 3))
    buffer.jobs.count_left_out(which, 3)
    job = buffer.jobs.queue_replay("{}", which, 3, "ann", "click", NOW_MS)
    assert job is not None
    buffer.jobs.next_job(NOW_MS)
    items = buffer.jobs.planned_items(job, 100)
    buffer.jobs.open_send_window(job, "{}", [item.replay_id for item in items])
    sent = [Sent(item.replay_id, item.topic or "", 0, item.dead_letter_id) for item in items]
    buffer.jobs.close_send_window(job, len(sent), 0, sent, {}, NOW_MS)
    buffer.jobs.finish(job, "done", NOW_MS)
    buffer.dead_letters.triage([items[0].dead_letter_id], "recovered", NOW_MS)
    assert buffer.upkeep.conclude(NOW_MS + 1, NOW_MS)


def regroup(buffer: Buffer) -> None:
    """A newer version of the rule that groups, and what people say."""
    old = buffer.regrouping.older(7)
    moves = [Regrouped(each.id, each.fingerprint, "new", "new", each.error_class, each.source_topic) for each in old]
    assert buffer.regrouping.regroup(moves[: LETTERS // 2], 7)
    buffer.groups.merge("new", ["group-1"], "ann", NOW_MS)
    buffer.groups.split("new", "reason", "tea", "ann", NOW_MS)
    while buffer.groups.move():
        pass


def look_after(buffer: Buffer) -> None:
    """What the worker does in its rounds."""
    while buffer.texts.index_some():
        pass
    buffer.upkeep.note_for_search()
    assert buffer.upkeep.prune(Retention(dead_letters_before_ms=NOW_MS + 1)).dead_letters
    buffer.dead_letters.triage(range(6, 9), "discarded", NOW_MS)
    assert buffer.upkeep.prune(Retention(max_bytes=1)).dead_letters
    buffer.upkeep.compact()
    buffer.upkeep.incremental_vacuum()


def collect_again(buffer: Buffer) -> None:
    """A copy, and a second failure."""
    place = collector(buffer)
    collect(buffer, place, LETTERS, dead_letter(place.ref, LETTERS, name="twice"))
    collect(buffer, place, LETTERS + 1, dead_letter(place.ref, LETTERS + 1, name="twice"))


def scans(path: Path, statements: list[str]) -> list[str]:
    """The statements for which SQLite goes through all dead letters."""
    found = []
    with closing(connections.connect_writer(path)) as connection:
        for statement in statements:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            if any(re.match(r"SCAN (dead_letter_rows|dead_letters|raw)\b", step) for *_, step in plan):
                found.append(statement)
    return found


@pytest.mark.parametrize("work", [replay, regroup, look_after, collect_again])
def test_no_role_goes_through_all_dead_letters(path: Path, work: Callable[[Buffer], None]) -> None:
    statements: list[str] = []
    with open_buffer(path) as buffer:
        buffer._connection.set_trace_callback(statements.append)
        work(buffer)
        buffer._connection.set_trace_callback(None)
    asked = [each for each in statements if READS_OR_WRITES.match(each)]
    assert any("dead_letter_rows" in each or "dead_letters" in each for each in asked)
    assert scans(path, asked) == []


def test_no_page_goes_through_all_dead_letters(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_buffer(path) as buffer:
        while buffer.texts.index_some():
            pass
        buffer.upkeep.note_for_search()
    statements: list[str] = []
    connect = connections.connect_reader

    def traced(*given: object) -> sqlite3.Connection:
        connection = connect(*given)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr("pipeline.buffer.sqlite.reader.connect_reader", traced)
    monkeypatch.setattr(streams, "connect_reader", traced)
    with Reader(path) as reader:
        for query in (
            "",
            "status:open",
            "group:group-1",
            "failed:>2000-01-01 status:discarded",
            "tea",
            "header.trace:1",
        ):
            which = DeadLetterFilter(parse(query, NOW_MS))
            found = reader.find(which)
            reader.facets(found)
            reader.count_by_status(which)
            if which.query.parts:
                # An export of all has all to look at.
                assert sum(map(len, streams.stream(path, "dead_letters", which, None))) == len(found.ids)
        reader.group("group-1", NOW_MS)
        reader.groups(NOW_MS)
        reader.dead_letter(7)
        reader.lives(7)
        reader.dead_letters(DeadLetterFilter(ids=(7, 8)))
        reader.newest_dead_letter()
    asked = [each for each in statements if READS_OR_WRITES.match(each)]
    assert scans(path, asked) == []
