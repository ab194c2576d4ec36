"""What happened to a record and its dead letter, in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.buffer import Batch, Buffer, Reader, ReplayOutcome, Sent, open_buffer
from pipeline.buffer.views import DeadLetterDetail
from pipeline.dead_letters.letter.timeline import Moment, timeline
from tests.support.buffer_rows import NOW_MS, collect, collector, dead_letter

SECOND = 1_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orderpulse.db"


def collected(buffer: Buffer, name: str = "dl-0", **fields: object) -> None:
    assignment = collector(buffer)
    times = {"source_timestamp_ms": NOW_MS - 60 * SECOND, "failed_at_ms": NOW_MS - 20 * SECOND}
    row = dead_letter(assignment.ref, assignment.next_offset, name, **{**times, **fields})
    collect(buffer, assignment, assignment.next_offset, row)


def replayed(buffer: Buffer, at_ms: int, outcome: str = "") -> int:
    from pipeline.buffer import DeadLetterFilter

    which = DeadLetterFilter(ids=(1,))
    job_id = buffer.jobs.queue_replay('{"force": true}', which, None, "kim", f"request {at_ms}", at_ms)
    assert job_id is not None
    buffer.jobs.next_job(at_ms)
    (item,) = buffer.jobs.planned_items(job_id, 1)
    buffer.jobs.open_send_window(job_id, "{}", [item.replay_id])
    buffer.jobs.close_send_window(job_id, 1, 0, [Sent(item.replay_id, "orders", 0, 9)], {}, at_ms + SECOND)
    buffer.jobs.finish(job_id, "done", at_ms + SECOND)
    if outcome:
        buffer.flow.commit(Batch(at_ms + 2 * SECOND, outcomes=[ReplayOutcome(item.replay_id, outcome)]))  # type: ignore[arg-type]
    return job_id


def moments(path: Path, identifier: int = 1, dead_lettered_at_ms: int | None = None) -> list[Moment]:
    with Reader(path) as reader:
        detail = reader.dead_letter(identifier)
        assert isinstance(detail, DeadLetterDetail)
        return timeline(detail, reader.lives(identifier), reader.replays_of(identifier), dead_lettered_at_ms)


def told(path: Path, identifier: int = 1) -> list[tuple[int | None, str]]:
    """What happened, in seconds from when it was collected."""
    return [
        (None if each.at_ms is None else (each.at_ms - NOW_MS) // SECOND, each.what)
        for each in moments(path, identifier)
    ]


def test_attempts_lead_from_the_record_to_the_dead_letter(path: Path) -> None:
    with open_buffer(path) as buffer:
        collected(buffer, attempts=4, first_failed_at_ms=NOW_MS - 50 * SECOND, error_class="Timeout")
    assert moments(path) == [
        Moment(NOW_MS - 60 * SECOND, "Written", "orders[0] offset 0"),
        Moment(NOW_MS - 50 * SECOND, "First attempt failed"),
        Moment(NOW_MS - 20 * SECOND, "Attempt 4 failed, the last one", "Timeout"),
        Moment(None, "Dead-lettered", "orders-dlq[0] offset 0"),
        Moment(NOW_MS, "Collected"),
    ]
    assert moments(path, dead_lettered_at_ms=NOW_MS - 19 * SECOND)[3].at_ms == NOW_MS - 19 * SECOND


def test_what_nobody_dates_stands_where_it_belongs(path: Path) -> None:
    with open_buffer(path) as buffer:
        collected(buffer, source_timestamp_ms=None, failed_at_ms=None, attempts=3, source_topic=None)
    assert told(path) == [(None, "Written"), (None, "3 attempts failed"), (None, "Dead-lettered"), (0, "Collected")]


def test_replays_and_their_outcomes_follow_each_other(path: Path) -> None:
    with open_buffer(path) as buffer:
        collected(buffer)
        first = replayed(buffer, NOW_MS + 10 * SECOND, "dead_again")
    assert told(path)[-4:] == [
        (0, "Collected"),
        (10, "Replay asked for"),
        (None, "Replay sent"),
        (12, "Replay failed again"),
    ]
    asked = moments(path)[-3]
    assert (asked.more, asked.job_id) == ("by kim", first)
    assert moments(path)[-2].more == "orders[0] offset 9"


def test_a_replay_without_an_outcome_was_sent_when_its_status_began(path: Path) -> None:
    with open_buffer(path) as buffer:
        collected(buffer)
        replayed(buffer, NOW_MS + 10 * SECOND)
    assert told(path)[-2:] == [(10, "Replay asked for"), (11, "Replay sent")]


@pytest.mark.parametrize(
    ("statuses", "what"),
    [(["discarded"], "Discarded"), (["discarded", "open"], "Opened again")],
)
def test_what_a_person_has_set_is_told(path: Path, statuses: list[str], what: str) -> None:
    with open_buffer(path) as buffer:
        collected(buffer)
        for place, status in enumerate(statuses, 1):
            buffer.dead_letters.triage([1], status, NOW_MS + place * SECOND)  # type: ignore[arg-type]
    assert told(path)[-1] == (len(statuses), what)


def test_what_was_taken_for_recovered_is_told_beside_its_replay(path: Path) -> None:
    with open_buffer(path) as buffer:
        collected(buffer)
        replayed(buffer, NOW_MS + 10 * SECOND)
        buffer.dead_letters.triage([1], "recovered", NOW_MS + 30 * SECOND)
    assert told(path)[-1] == (30, "Taken for recovered")


def test_other_lives_stand_at_their_time_and_name_their_dead_letter(path: Path) -> None:
    with open_buffer(path) as buffer:
        collected(buffer)
        collected(buffer, "dl-1", replay_of="dl-0", failed_at_ms=NOW_MS + 5 * SECOND, reason="again")
    later = moments(path)[-1]
    assert (later.what, later.more, later.dead_letter_id) == ("Failed again: dead letter 2", "again", 2)
    assert (-20, "Failed before: dead letter 1") in told(path, 2)
