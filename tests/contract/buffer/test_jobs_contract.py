"""What the buffer promises about jobs and the ledger of replays: asked once, sent once, nothing forgotten."""

import threading
from dataclasses import replace

import pytest

from pipeline.buffer import Batch, DeadLetterFilter, ReplayOutcome, Retention, Sent, recount
from pipeline.errors import UsageError
from pipeline.search.query import Named, Query, Text
from tests.support.buffer_rows import NOW_MS, collect, collect_many, collector, dead_letter

ALL = DeadLetterFilter()
AGAIN = DeadLetterFilter().with_status("open", "dead_again")
ON_THE_WAY = ("planned", "sending")


def queue(buffer, which=ALL, limit=3, request_id="click"):
    return buffer.jobs.queue_replay('{"rate": 0}', which, limit, "me", request_id, NOW_MS)


def start(buffer, which=ALL, limit=3, request_id="click"):
    """Queues a replay and lets a worker take it; returns the job's id and the replay ids in order."""
    job_id = queue(buffer, which, limit, request_id)
    assert buffer.jobs.next_job(NOW_MS).id == job_id
    return job_id, [item.replay_id for item in buffer.jobs.planned_items(job_id, 1000)]


def close(buffer, job_id, *replay_ids, errors=None):
    sent = [Sent(replay_id, "orders", 1, 50 + index) for index, replay_id in enumerate(replay_ids)]
    buffer.jobs.close_send_window(job_id, len(sent), len(errors or {}), sent, errors or {}, NOW_MS + 5)


def settle(buffer, replay_id, state):
    buffer.flow.commit(Batch(NOW_MS + 9, outcomes=[ReplayOutcome(replay_id, state)]))


def statuses(store):
    return [row["status"] for row in sorted(store.table("dead_letters"), key=lambda row: row["id"])]


def replays(store):
    return [row["replays"] for row in sorted(store.table("dead_letters"), key=lambda row: row["id"])]


def items(store, job_id):
    rows = [row for row in store.table("job_items") if row["job_id"] == job_id]
    return [row["state"] for row in sorted(rows, key=lambda row: row["dead_letter_id"])]


# -- asking


def test_a_produce_job_waits_until_a_worker_takes_it(buffer):
    job_id = buffer.jobs.queue_produce('{"count": 5}', 5, "me", "click", NOW_MS)
    queued = buffer.jobs.get(job_id)
    assert (queued.kind, queued.state, queued.total, queued.done, queued.failed) == ("produce", "queued", 5, 0, 0)
    assert (queued.params, queued.request_id, queued.send_window) == ('{"count": 5}', "click", None)
    assert buffer.jobs.next_job(NOW_MS) == replace(queued, state="running")
    assert buffer.jobs.next_job(NOW_MS) == replace(queued, state="running")


def test_there_is_no_job_until_somebody_asks(buffer):
    assert buffer.jobs.next_job(NOW_MS) is None
    assert buffer.jobs.get(1) is None


def test_the_oldest_unfinished_job_comes_first(buffer):
    first, second = (buffer.jobs.queue_produce("{}", 1, "me", name, NOW_MS) for name in ("a", "b"))
    assert buffer.jobs.next_job(NOW_MS).id == first
    buffer.jobs.finish(first, "done", NOW_MS)
    assert buffer.jobs.next_job(NOW_MS).id == second


def test_the_same_request_again_is_the_same_job(buffer, other, store):
    collect_many(buffer, 2)
    produce = buffer.jobs.queue_produce("{}", 5, "me", "one", NOW_MS)
    replay = queue(buffer, request_id="two")
    before = store.dump()
    assert other.jobs.queue_produce("{}", 5, "me", "one", NOW_MS + 1) == produce
    assert queue(other, request_id="two") == replay
    assert store.dump() == before


def test_a_replay_takes_open_dead_letters_and_puts_them_on_their_way(buffer, store):
    ids = collect_many(buffer, 3)
    buffer.dead_letters.triage(ids[2:], "discarded", NOW_MS)
    job_id = queue(buffer)
    assert buffer.jobs.get(job_id).total == 2
    assert statuses(store) == ["replaying", "replaying", "discarded"]
    assert replays(store) == [1, 1, 0]
    assert items(store, job_id) == ["planned", "planned"]
    assert len({row["replay_id"] for row in store.table("job_items")}) == 2


def test_nothing_to_replay_is_no_job(buffer, store):
    assert queue(buffer) is None
    collect_many(buffer, 1)
    queue(buffer)
    assert queue(buffer, request_id="again") is None
    assert queue(buffer, DeadLetterFilter(ids=(1,)), None, "forced") is None
    assert len(store.table("jobs")) == 1


@pytest.mark.parametrize(
    ("which", "taken"),
    [
        (DeadLetterFilter(ids=(2, 3)), [2, 3]),
        (DeadLetterFilter(Query((Named("group", "odd"),))), [2, 4]),
        (DeadLetterFilter(up_to_id=2), [1, 2]),
        (DeadLetterFilter(Query((Text("NOT THERE"),))), []),
        (DeadLetterFilter().with_status("discarded"), []),
    ],
)
def test_a_replay_takes_what_its_filter_says_and_the_preview_shows_just_that(buffer, store, which, taken):
    assignment = collector(buffer)
    names = ["even", "odd", "even", "odd"]
    collect(buffer, assignment, 0, *(dead_letter(assignment.ref, n, fingerprint=name) for n, name in enumerate(names)))
    assert [each.dead_letter_id for each in buffer.jobs.preview_replay(which, 3)] == taken
    queue(buffer, which)
    assert sorted(row["dead_letter_id"] for row in store.table("job_items")) == taken
    assert list(buffer.jobs.preview_replay(which, 3)) == []


def test_what_was_replayed_as_often_as_allowed_needs_force(buffer, store):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0), dead_letter(assignment.ref, 1))
    for number in range(2):
        job_id, (replay_id,) = start(buffer, replace(AGAIN, ids=(1,)), 3, f"click {number}")
        buffer.jobs.open_send_window(job_id, "{}", [replay_id])
        close(buffer, job_id, replay_id)
        settle(buffer, replay_id, "dead_again")
        buffer.jobs.finish(job_id, "done", NOW_MS)
    assert replays(store) == [2, 0]
    assert buffer.jobs.count_left_out(AGAIN, 2).beyond_limit == 1
    assert buffer.jobs.count_left_out(AGAIN, 3).beyond_limit == 0
    assert [each.dead_letter_id for each in buffer.jobs.preview_replay(AGAIN, 2)] == [2]
    assert buffer.jobs.get(queue(buffer, AGAIN, 2, "limited")).total == 1
    assert buffer.jobs.get(queue(buffer, AGAIN, None, "forced")).total == 1
    assert replays(store) == [3, 1]


def test_a_replay_of_all_that_is_open_takes_a_record_that_failed_again_once(buffer):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0, "first"))
    job_id, (replay_id,) = start(buffer)
    buffer.jobs.open_send_window(job_id, "{}", [replay_id])
    settle(buffer, replay_id, "dead_again")
    close(buffer, job_id, replay_id)
    buffer.jobs.finish(job_id, "done", NOW_MS)
    collect(buffer, assignment, 1, dead_letter(assignment.ref, 1, "second", replay_of="first"))
    assert [each.dead_letter_id for each in buffer.jobs.preview_replay(ALL, 3)] == [2]


def test_of_no_ids_nothing_is_replayed(buffer):
    collect_many(buffer, 2)
    assert queue(buffer, DeadLetterFilter(ids=())) is None


def test_what_people_name_one_by_one_and_force_is_replayed_whatever_became_of_it(buffer):
    ids = collect_many(buffer, 2)
    buffer.dead_letters.triage(ids, "discarded", NOW_MS)
    assert queue(buffer, DeadLetterFilter(ids=(1,)), 3, "not forced") is None
    assert queue(buffer, ALL, None, "not named") is None
    assert buffer.jobs.get(queue(buffer, DeadLetterFilter(ids=(1,)), None, "both")).total == 1


def test_two_who_ask_for_overlapping_replays_at_once_send_each_dead_letter_once(buffer, store):
    collect_many(buffer, 40)
    gate = threading.Barrier(2)

    def ask(name, offset):
        with store.open() as mine:
            gate.wait()
            for number in range(20):
                which = DeadLetterFilter(ids=tuple(range(1 + number + offset, 15 + number + offset)))
                queue(mine, which, None, f"{name} {number}")

    threads = [threading.Thread(target=ask, args=("a", 0)), threading.Thread(target=ask, args=("b", 6))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = sorted(row["dead_letter_id"] for row in store.table("job_items"))
    assert asked == sorted(set(asked)) == list(range(1, 40))
    assert statuses(store) == ["replaying"] * 39 + ["open"]
    assert sum(row["total"] for row in store.table("jobs")) == 39


# -- sending


def test_items_tell_what_to_send_and_where(buffer):
    assignment = collector(buffer)
    known = dead_letter(assignment.ref, 0, source_topic="shop", source_partition=4)
    vague = dead_letter(assignment.ref, 1, source_topic="shop", source_partition=None)
    unknown = dead_letter(assignment.ref, 2, source_topic=None, source_partition=9)
    collect(buffer, assignment, 0, known, vague, unknown)
    job_id = queue(buffer)
    found = buffer.jobs.planned_items(job_id, 10)
    assert [(item.topic, item.partition) for item in found] == [("shop", 4), ("shop", None)]
    assert [item.public_id for item in found] == ["dl-0", "dl-1"]
    assert [item.dead_letter_id for item in buffer.jobs.planned_items(job_id, 2)] == [1, 2]


def test_large_records_come_in_smaller_windows(buffer, monkeypatch):
    monkeypatch.setattr("pipeline.buffer.sqlite.stores.jobs.WINDOW_BYTES", 2500)
    assignment = collector(buffer)
    collect(buffer, assignment, 0, *(dead_letter(assignment.ref, number, value=bytes(1000)) for number in range(5)))
    job_id, first = start(buffer)
    assert len(first) == 3, "the one that makes it too large is the last one"
    buffer.jobs.open_send_window(job_id, "{}", first)
    assert len(buffer.jobs.planned_items(job_id, 1000)) == 2
    assert [item.replay_id for item in buffer.jobs.sending_items(job_id)] == first


def test_of_two_outcomes_of_a_dead_letter_in_one_batch_the_later_counts(buffer, store):
    collect_many(buffer, 1)
    names = []
    for number, which in enumerate((ALL, DeadLetterFilter().with_status("replayed"))):
        job_id, (replay_id,) = start(buffer, which, None, f"click {number}")
        buffer.jobs.open_send_window(job_id, "{}", [replay_id])
        close(buffer, job_id, replay_id)
        buffer.jobs.finish(job_id, "done", NOW_MS)
        names.append(replay_id)
    outcomes = [ReplayOutcome(names[0], "recovered"), ReplayOutcome(names[1], "dead_again")]
    buffer.flow.commit(Batch(NOW_MS + 9, outcomes=outcomes))
    assert statuses(store) == ["dead_again"]
    assert sorted(row["state"] for row in store.table("job_items")) == ["dead_again", "recovered"]


def test_a_window_is_written_down_before_and_after_it_is_sent(buffer, store):
    collect_many(buffer, 3)
    job_id, (first, second, third) = start(buffer)
    assert buffer.jobs.open_send_window(job_id, '{"topics": {}}', [first, second])
    assert buffer.jobs.get(job_id).send_window == '{"topics": {}}'
    assert items(store, job_id) == ["sending", "sending", "planned"]
    assert [item.replay_id for item in buffer.jobs.planned_items(job_id, 10)] == [third]
    close(buffer, job_id, first, errors={second: "too large"})
    job = buffer.jobs.get(job_id)
    assert (job.done, job.failed, job.send_window) == (1, 1, None)
    assert items(store, job_id) == ["sent", "failed", "planned"]
    assert statuses(store) == ["replayed", "open", "replaying"]
    assert replays(store) == [1, 0, 1]
    kept = {
        row["state"]: (row["topic"], row["partition"], row["offset"], row["error"]) for row in store.table("job_items")
    }
    assert kept["sent"] == ("orders", 1, 50, None)
    assert kept["failed"] == (None, None, None, "too large")


def test_a_produce_window_adds_to_the_counts(buffer):
    job_id = buffer.jobs.queue_produce("{}", 10, "me", "click", NOW_MS)
    buffer.jobs.next_job(NOW_MS)
    for done, failed in ((3, 1), (2, 0)):
        assert buffer.jobs.open_send_window(job_id, "{}")
        buffer.jobs.close_send_window(job_id, done, failed, [Sent("s-1", "orders", 0, 1)], {"s-2": "no"}, NOW_MS)
    job = buffer.jobs.get(job_id)
    assert (job.done, job.failed, job.send_window) == (5, 1, None)


def test_after_a_crash_the_open_window_and_what_was_in_it_are_still_there(buffer, store):
    collect_many(buffer, 3)
    job_id, (first, second, _) = start(buffer)
    buffer.jobs.open_send_window(job_id, '{"from": 7}', [first, second])
    buffer.close()
    with store.open() as reopened:
        job = reopened.jobs.next_job(NOW_MS)
        assert (job.id, job.state, job.send_window) == (job_id, "running", '{"from": 7}')
        assert [item.replay_id for item in reopened.jobs.sending_items(job_id)] == [first, second]
        assert len(reopened.jobs.planned_items(job_id, 10)) == 1
        close(reopened, job_id, first, second)
        assert reopened.jobs.sending_items(job_id) == []


def test_what_has_its_outcome_before_the_crash_is_not_sent_again_and_still_counts(buffer):
    collect_many(buffer, 2)
    job_id, (first, second) = start(buffer)
    buffer.jobs.open_send_window(job_id, "{}", [first, second])
    settle(buffer, first, "recovered")
    assert [item.replay_id for item in buffer.jobs.sending_items(job_id)] == [second]
    close(buffer, job_id, second)
    assert buffer.jobs.get(job_id).done == 2


# -- outcomes


@pytest.mark.parametrize("state", ["recovered", "dead_again"])
def test_the_outcome_of_a_replay_is_that_of_its_dead_letter(buffer, store, state):
    collect_many(buffer, 1)
    job_id, (replay_id,) = start(buffer)
    buffer.jobs.open_send_window(job_id, "{}", [replay_id])
    close(buffer, job_id, replay_id)
    settle(buffer, replay_id, state)
    assert (items(store, job_id), statuses(store)) == ([state], [state])


@pytest.mark.parametrize("state", ["recovered", "dead_again"])
def test_an_outcome_that_is_faster_than_the_delivery_report_stays(buffer, store, state):
    collect_many(buffer, 1)
    job_id, (replay_id,) = start(buffer)
    buffer.jobs.open_send_window(job_id, "{}", [replay_id])
    settle(buffer, replay_id, state)
    close(buffer, job_id, replay_id)
    assert (items(store, job_id), statuses(store)) == ([state], [state])
    (item,) = store.table("job_items")
    assert (item["topic"], item["partition"], item["offset"]) == ("orders", 1, 50)
    assert buffer.jobs.get(job_id).done == 1


def test_a_record_that_arrived_although_its_delivery_failed_is_recovered(buffer, store):
    collect_many(buffer, 1)
    job_id, (replay_id,) = start(buffer)
    buffer.jobs.open_send_window(job_id, "{}", [replay_id])
    close(buffer, job_id, errors={replay_id: "timed out"})
    settle(buffer, replay_id, "recovered")
    assert (items(store, job_id), statuses(store)) == (["recovered"], ["recovered"])
    job = buffer.jobs.get(job_id)
    assert (job.done, job.failed) == (1, 0)


@pytest.mark.parametrize("name", ["somebody else's", "click-1\0", '"', ""])
def test_the_outcome_of_an_unknown_replay_changes_nothing(buffer, store, name):
    collect_many(buffer, 1)
    queue(buffer)
    before = store.dump()
    settle(buffer, name, "recovered")
    assert store.dump() == before


def test_a_window_that_closes_late_does_not_touch_the_next_replay(buffer, store):
    collect_many(buffer, 1)
    job_id, (replay_id,) = start(buffer)
    buffer.jobs.open_send_window(job_id, "{}", [replay_id])
    settle(buffer, replay_id, "dead_again")
    following = queue(buffer, AGAIN, request_id="next")
    close(buffer, job_id, replay_id)
    assert statuses(store) == ["replaying"]
    buffer.jobs.ask_to_cancel(following, NOW_MS)
    assert (statuses(store), replays(store)) == (["dead_again"], [1])


@pytest.mark.parametrize("state", ["recovered", "dead_again"])
def test_a_late_outcome_is_what_a_cancelled_second_replay_goes_back_to(buffer, store, state):
    collect_many(buffer, 1)
    job_id, (replay_id,) = start(buffer)
    buffer.jobs.open_send_window(job_id, "{}", [replay_id])
    close(buffer, job_id, replay_id)
    buffer.jobs.finish(job_id, "done", NOW_MS)
    following = queue(buffer, DeadLetterFilter().with_status("replayed"), None, "next")
    settle(buffer, replay_id, state)
    assert statuses(store) == ["replaying"]
    buffer.jobs.ask_to_cancel(following, NOW_MS)
    assert (statuses(store), replays(store)) == ([state], [1])


# -- ending


def test_a_queued_job_is_cancelled_at_once(buffer, store):
    collect_many(buffer, 2)
    job_id = queue(buffer)
    assert buffer.jobs.ask_to_cancel(job_id, NOW_MS + 3)
    assert buffer.jobs.get(job_id).state == "cancelled"
    assert (statuses(store), replays(store)) == (["open", "open"], [0, 0])
    assert items(store, job_id) == ["cancelled", "cancelled"]
    assert buffer.jobs.next_job(NOW_MS) is None
    assert buffer.jobs.get(queue(buffer, request_id="next")).total == 2


def test_a_running_job_is_asked_to_end_and_opens_no_window_more(buffer, store):
    collect_many(buffer, 3)
    job_id, (first, second, third) = start(buffer)
    buffer.jobs.open_send_window(job_id, "{}", [first])
    assert buffer.jobs.ask_to_cancel(job_id, NOW_MS)
    assert buffer.jobs.ask_to_cancel(job_id, NOW_MS), "it has not ended yet"
    assert buffer.jobs.next_job(NOW_MS).state == "cancelling"
    close(buffer, job_id, first)
    before = store.dump()
    assert not buffer.jobs.open_send_window(job_id, "{}", [second, third])
    assert store.dump() == before
    buffer.jobs.finish(job_id, "cancelled", NOW_MS)
    assert items(store, job_id) == ["sent", "cancelled", "cancelled"]
    assert statuses(store) == ["replayed", "open", "open"]
    assert replays(store) == [1, 0, 0]


def test_a_job_that_has_ended_cannot_be_cancelled(buffer, store):
    job_id = buffer.jobs.queue_produce("{}", 1, "me", "click", NOW_MS)
    buffer.jobs.finish(job_id, "done", NOW_MS)
    before = store.dump()
    assert not buffer.jobs.ask_to_cancel(job_id, NOW_MS + 1)
    assert not buffer.jobs.ask_to_cancel(99, NOW_MS + 1)
    assert store.dump() == before


def test_each_dead_letter_goes_back_to_what_it_was(buffer, store):
    ids = collect_many(buffer, 3)
    job_id, (replay_id,) = start(buffer, DeadLetterFilter(ids=(ids[0],)))
    buffer.jobs.open_send_window(job_id, "{}", [replay_id])
    close(buffer, job_id, replay_id)
    settle(buffer, replay_id, "dead_again")
    buffer.jobs.finish(job_id, "done", NOW_MS)
    buffer.dead_letters.triage([ids[1]], "discarded", NOW_MS)
    following = queue(buffer, DeadLetterFilter(ids=tuple(ids)), None, "all")
    assert statuses(store) == ["replaying"] * 3
    buffer.jobs.next_job(NOW_MS)
    buffer.jobs.finish(following, "failed", NOW_MS, "the topic is gone")
    assert statuses(store) == ["dead_again", "discarded", "open"]
    assert replays(store) == [1, 0, 0]
    ended = next(row for row in store.table("jobs") if row["id"] == following)
    assert (ended["state"], ended["error"], ended["finished_at_ms"]) == ("failed", "the topic is gone", NOW_MS)


def test_a_job_does_not_end_while_records_are_under_way(buffer, store):
    collect_many(buffer, 1)
    job_id, sending = start(buffer)
    buffer.jobs.open_send_window(job_id, "{}", sending)
    before = store.dump()
    with pytest.raises(UsageError, match="under way"):
        buffer.jobs.finish(job_id, "done", NOW_MS)
    assert store.dump() == before


# -- one record in several dead letters


def three_of_one_record(buffer):
    """Dead letters 1 and 3 hold the same record of the same position, 2 and 4 hold others."""
    assignment = collector(buffer)
    rows = [
        dead_letter(assignment.ref, offset, source_offset=5 if offset in (0, 2) else offset + 10) for offset in range(3)
    ]
    collect(buffer, assignment, 0, *rows, dead_letter(assignment.ref, 3, source_offset=5, value=b"other bytes"))


def test_a_record_that_several_dead_letters_hold_is_sent_once_for_all_of_them(buffer, store):
    three_of_one_record(buffer)
    job_id = buffer.jobs.queue_replay("{}", DeadLetterFilter(), 3, "me", "click", NOW_MS)
    buffer.jobs.next_job(NOW_MS)
    sent = buffer.jobs.planned_items(job_id, 10)
    assert [item.dead_letter_id for item in sent] == [2, 3, 4]
    names = [item.replay_id for item in sent]
    assert buffer.jobs.open_send_window(job_id, "{}", names)
    assert statuses(store) == ["replaying"] * 4
    assert len(buffer.jobs.sending_items(job_id)) == 3
    positions = [Sent(name, "orders", 0, 100 + index) for index, name in enumerate(names)]
    buffer.jobs.close_send_window(job_id, 3, 0, positions, {}, NOW_MS)
    assert (statuses(store), items(store, job_id)) == (["replayed"] * 4, ["sent"] * 4)
    sent_to = sorted((row["dead_letter_id"], row["offset"]) for row in store.table("job_items"))
    assert sent_to == [(1, 101), (2, 100), (3, 101), (4, 102)]
    buffer.jobs.finish(job_id, "done", NOW_MS)
    job = buffer.jobs.get(job_id)
    assert (job.done, job.failed, job.total) == (4, 0, 4)
    settle(buffer, names[1], "recovered")
    assert statuses(store) == ["recovered", "replayed", "recovered", "replayed"]
    assert recount(store.path) == []


@pytest.mark.parametrize("told", [True, False])
def test_one_record_that_fails_again_is_dead_again_in_all_its_dead_letters(buffer, store, told):
    three_of_one_record(buffer)
    job_id = buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(1, 3)), 3, "me", "click", NOW_MS)
    buffer.jobs.next_job(NOW_MS)
    [item] = buffer.jobs.planned_items(job_id, 10)
    buffer.jobs.open_send_window(job_id, "{}", [item.replay_id])
    assignment = collector(buffer)
    again = dead_letter(
        assignment.ref, 4, "again", replay_of=item.public_id, replay_id=item.replay_id if told else None
    )
    collect(buffer, assignment, 4, again)
    assert statuses(store) == ["dead_again", "open", "dead_again", "open", "open"]
    buffer.jobs.close_send_window(job_id, 1, 0, [Sent(item.replay_id, "orders", 0, 7)], {}, NOW_MS)
    buffer.jobs.finish(job_id, "done", NOW_MS)
    assert items(store, job_id) == ["dead_again", "dead_again"]
    assert recount(store.path) == []
    while buffer.upkeep.prune(Retention(dead_letters_before_ms=NOW_MS + 1)):
        pass
    assert sorted(row["id"] for row in store.table("dead_letters")) == [2, 4, 5]
    assert recount(store.path) == []


@pytest.mark.parametrize("end", ["error", "cancel"])
def test_one_record_that_was_not_sent_leaves_all_its_dead_letters_as_they_were(buffer, store, end):
    three_of_one_record(buffer)
    job_id = buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(1, 3)), 3, "me", "click", NOW_MS)
    if end == "error":
        buffer.jobs.next_job(NOW_MS)
        [item] = buffer.jobs.planned_items(job_id, 10)
        buffer.jobs.open_send_window(job_id, "{}", [item.replay_id])
        buffer.jobs.close_send_window(job_id, 0, 1, [], {item.replay_id: "too large"}, NOW_MS)
        assert items(store, job_id) == ["failed", "failed"]
        assert {row["error"] for row in store.table("job_items")} == {"too large"}
    else:
        buffer.jobs.ask_to_cancel(job_id, NOW_MS)
        assert items(store, job_id) == ["cancelled", "cancelled"]
    assert (statuses(store), replays(store)) == (["open"] * 4, [0] * 4)
    assert recount(store.path) == []


def send_one_record_of_two_dead_letters(buffer):
    """A job sends the record that the dead letters 1 and 3 hold; what becomes of it is not known yet."""
    three_of_one_record(buffer)
    job_id = buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(1, 3)), 3, "me", "click", NOW_MS)
    buffer.jobs.next_job(NOW_MS)
    [item] = buffer.jobs.planned_items(job_id, 10)
    buffer.jobs.open_send_window(job_id, "{}", [item.replay_id])
    buffer.jobs.close_send_window(job_id, 1, 0, [Sent(item.replay_id, "orders", 0, 7)], {}, NOW_MS)
    buffer.jobs.finish(job_id, "done", NOW_MS)


def test_one_record_that_people_take_for_recovered_is_so_in_all_its_dead_letters(buffer, store):
    send_one_record_of_two_dead_letters(buffer)
    assert buffer.dead_letters.triage([1], "recovered", NOW_MS) == 2
    assert statuses(store) == ["recovered", "open", "recovered", "open"]
    assert recount(store.path) == []


def test_what_people_take_for_recovered_stays_so_when_a_further_replay_of_it_is_cancelled(buffer, store):
    send_one_record_of_two_dead_letters(buffer)
    again = buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(1,)), None, "me", "again", NOW_MS)
    assert buffer.dead_letters.triage([3], "recovered", NOW_MS) == 1
    buffer.jobs.ask_to_cancel(again, NOW_MS)
    assert statuses(store) == ["recovered", "open", "recovered", "open"]
    assert recount(store.path) == []


def test_what_has_failed_again_is_not_recovered_because_somebody_else_took_it(buffer, store):
    collect_many(buffer, 1)
    job_id, (replay_id,) = start(buffer)
    buffer.jobs.open_send_window(job_id, "{}", [replay_id])
    close(buffer, job_id, replay_id)
    settle(buffer, replay_id, "dead_again")
    settle(buffer, replay_id, "recovered")
    assert statuses(store) == ["dead_again"]
