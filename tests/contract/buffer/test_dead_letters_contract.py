"""What the buffer promises to the collector and to triage: one row a failure, linked lives, honest groups."""

from dataclasses import replace

import pytest

from pipeline.buffer import Advance, Batch, DeadLetterFilter, Reader, ReplayOutcome, Sent, record_id
from pipeline.errors import StaleWriterError
from tests.support.buffer_rows import NOW_MS, collect, collect_many, collector, dead_letter, order


def send(buffer, job_id, *replay_ids):
    """A worker's window that goes well."""
    assert buffer.jobs.open_send_window(job_id, "{}", replay_ids)
    sent = [Sent(replay_id, "orders", 0, 100 + index) for index, replay_id in enumerate(replay_ids)]
    buffer.jobs.close_send_window(job_id, len(sent), 0, sent, {}, NOW_MS)


def replay(buffer, identifier, request_id="click"):
    """Replays one dead letter, up to its delivery; returns the replay's id."""
    which = DeadLetterFilter(ids=(identifier,))
    job_id = buffer.jobs.queue_replay("{}", which, None, "me", request_id, NOW_MS)
    assert buffer.jobs.next_job(NOW_MS).id == job_id
    (item,) = buffer.jobs.planned_items(job_id, 10)
    send(buffer, job_id, item.replay_id)
    buffer.jobs.finish(job_id, "done", NOW_MS)
    return item.replay_id


def outcome(replay_id, state):
    """A batch that tells what became of a replay, and nothing else."""
    return Batch(NOW_MS, outcomes=[ReplayOutcome(replay_id, state)])


def statuses(store):
    return {row["dead_letter_id"]: row["status"] for row in store.table("dead_letters")}


def groups(store):
    return {row["fingerprint"]: (row["total"], row["open"]) for row in store.table("dead_letter_groups")}


def counts(store):
    return {row["status"]: row["dead_letters"] for row in store.table("dead_letter_counts") if row["dead_letters"]}


# -- collecting


def test_collected_dead_letters_are_open_and_counted_everywhere(buffer, store):
    place = collector(buffer)
    rows = [dead_letter(place.ref, 0), dead_letter(place.ref, 1), dead_letter(place.ref, 2, fingerprint="other")]
    assert collect(buffer, place, 0, *rows) == 3
    assert statuses(store) == {"dl-0": "open", "dl-1": "open", "dl-2": "open"}
    assert groups(store) == {"price": (2, 2), "other": (1, 1)}
    assert counts(store) == {"open": 3}
    assert [row["dead_letters"] for row in store.table("totals")] == [3]
    assert [row["dead_letters"] for row in store.table("flow_minutes")] == [3]
    assert [row["dead_letters"] for row in store.table("flow_seconds")] == [3]
    assert collector(buffer).next_offset == 3


def test_everything_a_dead_letter_tells_is_kept(buffer, store):
    place = collector(buffer)
    told = dead_letter(
        place.ref,
        0,
        order=order("A-7", "mug", 990),
        error_class="ValueError",
        stacktrace="at line 1",
        rule="price",
        stage="processor",
        consumer_group="shop",
        attempts=3,
        source_timestamp_ms=NOW_MS - 900,
        first_failed_at_ms=NOW_MS - 500,
        failed_at_ms=NOW_MS - 100,
    )
    collect(buffer, place, 0, told, now_ms=NOW_MS + 7)
    (row,) = store.table("dead_letters")
    for name in "topic partition offset timestamp_ms key value dialect reason fingerprint failed_at_ms".split():
        assert row[name] == getattr(told, name)
    for name in "source_topic source_partition source_offset error_class stacktrace rule stage consumer_group".split():
        assert row[name] == getattr(told, name)
    assert row["source_timestamp_ms"] == NOW_MS - 900
    assert (row["order_id"], row["customer_id"], row["product"], row["price_cents"]) == ("A-7", "C-1", "mug", 990)
    assert (row["created_at_ms"], row["attempts"], row["first_failed_at_ms"]) == (NOW_MS - 10_000, 3, NOW_MS - 500)
    assert (row["received_at_ms"], row["status_at_ms"], row["replays"]) == (NOW_MS + 7, NOW_MS + 7, 0)
    assert row["record_id"] == record_id(place.ref, 0)


def test_what_a_dead_letter_does_not_tell_is_null(buffer, store):
    place = collector(buffer)
    silent = dead_letter(place.ref, 0, source_topic=None, source_partition=None, source_offset=None)
    collect(buffer, place, 0, silent)
    (row,) = store.table("dead_letters")
    unknown = {name for name, value in row.items() if value is None}
    assert unknown >= {"source_topic", "source_offset", "order_id", "price_cents", "error_class", "attempts", "rule"}


@pytest.mark.parametrize("key", [None, b"", b"\xff\x00"])
@pytest.mark.parametrize("value", [None, b"", b"\xff\x00"])
def test_a_dead_letter_keeps_its_bytes(buffer, store, key, value):
    place = collector(buffer)
    headers = (("a", b""), ("a", None), ("raw", b"\xc3\x28"), ("text", "né".encode()))
    collect(buffer, place, 0, dead_letter(place.ref, 0, key=key, value=value, headers=headers))
    with Reader(store.path) as reader:
        detail = reader.dead_letter(1)
    assert (detail.key, detail.value, detail.headers) == (key, value, headers)
    job_id = buffer.jobs.queue_replay("{}", DeadLetterFilter(), 3, "me", "click", NOW_MS)
    (item,) = buffer.jobs.planned_items(job_id, 1)
    assert (item.key, item.value, item.headers) == (key, value, headers)


def test_a_second_copy_of_a_failure_is_left_out_and_the_offset_moves_past_it(buffer, store):
    place = collector(buffer)
    first = dead_letter(place.ref, 0, "same")
    copy = dead_letter(place.ref, 1, "same", fingerprint="price")
    assert collect(buffer, place, 0, first, copy) == 1
    assert collect(buffer, place, 2, dead_letter(place.ref, 2, "same")) == 0
    (kept,) = store.table("dead_letters")
    assert kept["offset"] == 0
    assert groups(store) == {"price": (1, 1)}
    assert [row["dead_letters"] for row in store.table("flow_minutes")] == [1]
    assert collector(buffer).next_offset == 3


def test_a_second_copy_leaves_no_trace_in_the_groups(buffer, store):
    place = collector(buffer)
    collect(buffer, place, 0, dead_letter(place.ref, 0, "same"))
    before = store.table("dead_letter_groups")
    collect(buffer, place, 1, dead_letter(place.ref, 1, "same", fingerprint="new", failed_at_ms=1))
    assert store.table("dead_letter_groups") == before


def test_a_stale_collector_writes_nothing(buffer, other, store):
    place = collector(buffer)
    collect(buffer, place, 0, dead_letter(place.ref, 0))
    before = store.dump()
    with pytest.raises(StaleWriterError):
        collect(other, place, 0, dead_letter(place.ref, 0, "another", fingerprint="another"))
    assert store.dump() == before


def test_offsets_without_dead_letters_are_passed(buffer, store):
    place = collector(buffer)
    assert buffer.dead_letters.collect([Advance(place.ref, 0, 50)], [], NOW_MS) == 0
    assert collector(buffer).next_offset == 50
    assert store.table("flow_minutes") == []


def test_a_group_remembers_when_it_was_seen_first_and_last(buffer, store):
    place = collector(buffer)
    times = (NOW_MS, NOW_MS - 900, NOW_MS + 900)
    rows = [dead_letter(place.ref, offset, failed_at_ms=at_ms) for offset, at_ms in enumerate(times)]
    collect(buffer, place, 0, *rows)
    (group,) = store.table("dead_letter_groups")
    assert (group["first_seen_ms"], group["last_seen_ms"]) == (NOW_MS - 900, NOW_MS + 900)


# -- lives of one record


def test_a_replay_that_fails_again_links_to_its_earlier_life_and_carries_its_replays_on(buffer, store):
    place = collector(buffer)
    collect(buffer, place, 0, dead_letter(place.ref, 0, "first"))
    replay(buffer, 1, "one")
    collect(buffer, place, 1, dead_letter(place.ref, 1, "second", replay_of="first"))
    replay(buffer, 2, "two")
    collect(buffer, place, 2, dead_letter(place.ref, 2, "third", replay_of="second"))
    lives = {row["dead_letter_id"]: (row["replay_of"], row["replays"]) for row in store.table("dead_letters")}
    assert lives == {"first": (None, 1), "second": (1, 2), "third": (2, 2)}
    assert statuses(store) == {"first": "dead_again", "second": "dead_again", "third": "open"}
    assert [row["state"] for row in store.table("job_items")] == ["dead_again", "dead_again"]


def test_a_replay_of_something_unknown_is_a_first_life(buffer, store):
    place = collector(buffer)
    collect(buffer, place, 0, dead_letter(place.ref, 0, replay_of="never seen"))
    (row,) = store.table("dead_letters")
    assert (row["replay_of"], row["replays"]) == (None, 0)


def test_the_earlier_life_may_be_in_the_same_batch(buffer, store):
    place = collector(buffer)
    rows = dead_letter(place.ref, 0, "first"), dead_letter(place.ref, 1, "second", replay_of="first")
    collect(buffer, place, 0, *rows)
    assert [row["replay_of"] for row in store.table("dead_letters")] == [None, 1]


def test_a_later_life_does_not_bring_back_what_people_discarded(buffer, store):
    place = collector(buffer)
    collect(buffer, place, 0, dead_letter(place.ref, 0, "first"))
    buffer.dead_letters.triage([1], "discarded", NOW_MS)
    collect(buffer, place, 1, dead_letter(place.ref, 1, "second", replay_of="first"))
    assert statuses(store) == {"first": "discarded", "second": "open"}


def test_a_second_copy_of_a_later_life_changes_nothing_of_the_earlier_one(buffer, store):
    place = collector(buffer)
    collect(buffer, place, 0, dead_letter(place.ref, 0, "first"))
    replay(buffer, 1, "one")
    collect(buffer, place, 1, dead_letter(place.ref, 1, "second", replay_of="first"))
    replay(buffer, 1, "two")
    collect(buffer, place, 2, dead_letter(place.ref, 2, "second", replay_of="first"))
    assert statuses(store)["first"] == "replayed"


def test_a_failed_replay_that_is_collected_late_does_not_condemn_the_next_one(buffer, store):
    place = collector(buffer)
    collect(buffer, place, 0, dead_letter(place.ref, 0, "first"))
    replay_id = replay(buffer, 1, "one")
    buffer.flow.commit(outcome(replay_id, "dead_again"))
    replay(buffer, 1, "two")
    late = dead_letter(place.ref, 1, "second", replay_of="first", replay_id=replay_id)
    collect(buffer, place, 1, late)
    assert statuses(store) == {"first": "replayed", "second": "open"}
    assert sorted(row["state"] for row in store.table("job_items")) == ["dead_again", "sent"]


# -- triage


def test_people_discard_what_is_open_and_open_it_again(buffer, store):
    ids = collect_many(buffer, 3)
    assert buffer.dead_letters.triage([ids[0], ids[1], 99], "discarded", NOW_MS + 1) == 2
    assert counts(store) == {"open": 1, "discarded": 2}
    assert groups(store) == {"price": (3, 1)}
    assert buffer.dead_letters.triage(ids, "open", NOW_MS + 2) == 2
    assert counts(store) == {"open": 3}
    assert groups(store) == {"price": (3, 3)}
    assert sorted(row["status_at_ms"] for row in store.table("dead_letters")) == [NOW_MS, NOW_MS + 2, NOW_MS + 2]


def test_what_failed_again_is_discarded_as_the_new_dead_letter_that_it_became(buffer, store):
    place = collector(buffer)
    collect(buffer, place, 0, dead_letter(place.ref, 0, "first"))
    replay(buffer, 1)
    collect(buffer, place, 1, dead_letter(place.ref, 1, "second", replay_of="first"))
    assert groups(store) == {"price": (2, 1)}
    assert buffer.dead_letters.triage([1, 2], "discarded", NOW_MS) == 1
    assert groups(store) == {"price": (2, 0)}


@pytest.mark.parametrize("status", ["open", "discarded"])
def test_triage_leaves_alone_what_is_on_its_way_or_was_sent(buffer, store, status):
    ids = collect_many(buffer, 2)
    replay(buffer, ids[0], "sent")
    buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(ids[1],)), None, "me", "planned", NOW_MS)
    before = store.dump()
    assert buffer.dead_letters.triage(ids, status, NOW_MS + 1) == 0
    assert store.dump() == before


def test_triage_takes_more_ids_than_a_statement_takes_arguments(buffer):
    collect_many(buffer, 2)
    assert buffer.dead_letters.triage(range(1, 40_000), "discarded", NOW_MS) == 2


def test_rows_are_the_same_for_the_next_who_opens_the_buffer(buffer, store):
    place = collector(buffer)
    collect(buffer, place, 0, dead_letter(place.ref, 0))
    before = store.table("dead_letters")
    buffer.close()
    with store.open() as reopened:
        assert collect(reopened, replace(place, next_offset=1), 1, dead_letter(place.ref, 1, "dl-0")) == 0
    assert store.table("dead_letters") == before
