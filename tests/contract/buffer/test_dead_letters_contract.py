"""What the buffer promises to the collector and to triage: one row a failure, linked lives, honest groups."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.buffer import (
    Advance,
    Batch,
    DeadLetterFilter,
    Reader,
    ReplayOutcome,
    Retention,
    Sent,
    open_buffer,
    record_id,
    recount,
    unaccounted,
    uncollected,
)
from pipeline.buffer.sqlite.stored_once.storing import SHORTEST_STACK
from pipeline.buffer.sqlite.stores.letters import COPY_WITHIN_MS, COPY_WITHIN_OFFSETS
from pipeline.errors import StaleWriterError
from pipeline.headers import headers_from_json, headers_to_json
from tests.contract.conftest import SqliteStore
from tests.support.buffer_rows import (
    NOW_MS,
    batch,
    collect,
    collect_many,
    collector,
    dead_letter,
    order,
    outbox_row,
    processor,
)


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
    assignment = collector(buffer)
    rows = [
        dead_letter(assignment.ref, 0),
        dead_letter(assignment.ref, 1),
        dead_letter(assignment.ref, 2, fingerprint="other"),
    ]
    assert collect(buffer, assignment, 0, *rows) == 3
    assert statuses(store) == {"dl-0": "open", "dl-1": "open", "dl-2": "open"}
    assert groups(store) == {"price": (2, 2), "other": (1, 1)}
    assert counts(store) == {"open": 3}
    assert [row["dead_letters"] for row in store.table("totals")] == [3]
    assert [row["dead_letters"] for row in store.table("flow_minutes")] == [3]
    assert [row["dead_letters"] for row in store.table("flow_seconds")] == [3]
    assert collector(buffer).next_offset == 3


def test_everything_a_dead_letter_tells_is_kept(buffer, store):
    assignment = collector(buffer)
    told = dead_letter(
        assignment.ref,
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
    collect(buffer, assignment, 0, told, now_ms=NOW_MS + 7)
    (row,) = store.table("dead_letters")
    for name in "topic partition offset timestamp_ms key value dialect reason fingerprint failed_at_ms".split():
        assert row[name] == getattr(told, name)
    for name in "source_topic source_partition source_offset error_class stacktrace rule stage consumer_group".split():
        assert row[name] == getattr(told, name)
    assert row["source_timestamp_ms"] == NOW_MS - 900
    assert (row["order_id"], row["customer_id"], row["product"], row["price_cents"]) == ("A-7", "C-1", "mug", 990)
    assert (row["created_at_ms"], row["attempts"], row["first_failed_at_ms"]) == (NOW_MS - 10_000, 3, NOW_MS - 500)
    assert (row["received_at_ms"], row["status_at_ms"], row["replays"]) == (NOW_MS + 7, NOW_MS + 7, 0)
    assert row["record_id"] == record_id(assignment.ref, 0)


def test_what_a_dead_letter_does_not_tell_is_null(buffer, store):
    assignment = collector(buffer)
    silent = dead_letter(assignment.ref, 0, source_topic=None, source_partition=None, source_offset=None)
    collect(buffer, assignment, 0, silent)
    (row,) = store.table("dead_letters")
    unknown = {name for name, value in row.items() if value is None}
    assert unknown >= {"source_topic", "source_offset", "order_id", "price_cents", "error_class", "attempts", "rule"}


@pytest.mark.parametrize("key", [None, b"", b"\xff\x00"])
@pytest.mark.parametrize("value", [None, b"", b"\xff\x00"])
def test_a_dead_letter_keeps_its_bytes(buffer, store, key, value):
    assignment = collector(buffer)
    headers = (("a", b""), ("a", None), ("raw", b"\xc3\x28"), ("text", "né".encode()))
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0, key=key, value=value, headers=headers))
    with Reader(store.path) as reader:
        detail = reader.dead_letter(1)
    assert (detail.key, detail.value, detail.headers) == (key, value, headers)
    job_id = buffer.jobs.queue_replay("{}", DeadLetterFilter(), 3, "me", "click", NOW_MS)
    (item,) = buffer.jobs.planned_items(job_id, 1)
    assert (item.key, item.value, item.headers) == (key, value, headers)


def test_a_second_copy_of_a_failure_is_left_out_and_the_offset_moves_past_it(buffer, store):
    assignment = collector(buffer)
    first = dead_letter(assignment.ref, 0, "same")
    copy = dead_letter(assignment.ref, 1, "same", fingerprint="price")
    assert collect(buffer, assignment, 0, first, copy) == 1
    assert collect(buffer, assignment, 2, dead_letter(assignment.ref, 2, "same")) == 0
    (kept,) = store.table("dead_letters")
    assert kept["offset"] == 0
    assert groups(store) == {"price": (1, 1)}
    assert [row["dead_letters"] for row in store.table("flow_minutes")] == [1]
    assert collector(buffer).next_offset == 3


def test_a_second_copy_leaves_no_trace_in_the_groups(buffer, store):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0, "same"))
    before = store.table("dead_letter_groups")
    collect(buffer, assignment, 1, dead_letter(assignment.ref, 1, "same", fingerprint="new", failed_at_ms=1))
    assert store.table("dead_letter_groups") == before


def test_a_stale_collector_writes_nothing(buffer, other, store):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0))
    before = store.dump()
    with pytest.raises(StaleWriterError):
        collect(other, assignment, 0, dead_letter(assignment.ref, 0, "another", fingerprint="another"))
    assert store.dump() == before


def test_offsets_without_dead_letters_are_passed(buffer, store):
    assignment = collector(buffer)
    assert buffer.dead_letters.collect([Advance(assignment.ref, 0, 50)], [], NOW_MS) == 0
    assert collector(buffer).next_offset == 50
    assert store.table("flow_minutes") == []


def test_a_group_remembers_when_it_was_seen_first_and_last(buffer, store):
    assignment = collector(buffer)
    times = (NOW_MS, NOW_MS - 900, NOW_MS + 900)
    rows = [dead_letter(assignment.ref, offset, failed_at_ms=at_ms) for offset, at_ms in enumerate(times)]
    collect(buffer, assignment, 0, *rows)
    (group,) = store.table("dead_letter_groups")
    assert (group["first_seen_ms"], group["last_seen_ms"]) == (NOW_MS - 900, NOW_MS + 900)


# -- one failure or two


def theirs(ref, offset, name="failure", **fields):
    """A dead letter whose identity is made from what it says; nothing in it tells when it failed."""
    return dead_letter(ref, offset, name, identity="inferred", failed_at_ms=None, dialect="kafka-connect", **fields)


def positions(store):
    """The offset of each dead letter, and the offsets of its copies."""
    copies = store.table("dead_letter_copies")
    return {
        row["offset"]: [each["record_id"] & (1 << 40) - 1 for each in copies if each["dead_letter_id"] == row["id"]]
        for row in store.table("dead_letters")
    }


def test_each_position_is_a_dead_letter_or_the_copy_of_one(buffer, store):
    assignment = collector(buffer)
    collect(
        buffer,
        assignment,
        0,
        theirs(assignment.ref, 0),
        theirs(assignment.ref, 1),
        theirs(assignment.ref, 2, "another"),
    )
    collect(buffer, assignment, 3, theirs(assignment.ref, 3))
    assert positions(store) == {0: [1, 3], 2: []}
    assert uncollected(store.path, assignment.ref, [0, 1, 2, 3, 4]) == [4]


@pytest.mark.parametrize("identity", ["carried", "timed", "inferred"])
@pytest.mark.parametrize(
    "change",
    [{"headers": (("message", b"another"),)}, {"key": b"another"}, {"value": None}],
    ids=lambda each: [*each][0],
)
def test_a_second_failure_that_says_something_else_is_a_second_dead_letter(buffer, store, identity, change):
    assignment = collector(buffer)
    rows = [
        dead_letter(assignment.ref, 0, "same", identity=identity),
        dead_letter(assignment.ref, 1, "same", identity=identity),
    ]
    collect(buffer, assignment, 0, rows[0], rows[1]._replace(**change))
    collect(buffer, assignment, 2, rows[1]._replace(record_id=record_id(assignment.ref, 2), offset=2, **change))
    assert positions(store) == {0: [], 1: [2]}
    first, second = store.table("dead_letters")
    assert first["dead_letter_id"] == first["failure_id"] == second["failure_id"] == "same"
    assert second["dead_letter_id"] != "same"


@pytest.mark.parametrize("status", ["discarded", "recovered", "replayed"])
def test_the_same_again_after_it_was_settled_is_another_failure(buffer, store, status):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, theirs(assignment.ref, 0))
    if status != "discarded":
        replay(buffer, 1)
    if status != "replayed":
        buffer.dead_letters.triage([1], status, NOW_MS)
    collect(buffer, assignment, 1, theirs(assignment.ref, 1))
    first, second = store.table("dead_letters")
    assert second["status"] == "open"
    # Who names the first position only, and keeps no headers of ours: it is the replay that failed.
    again = status == "replayed"
    assert (first["status"], second["replay_of"]) == (("dead_again", 1) if again else (status, None))
    assert recount(store.path) == []


def test_a_copy_that_was_collected_stays_one_whatever_people_do_afterwards(buffer, store):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, theirs(assignment.ref, 0), theirs(assignment.ref, 1))
    buffer.dead_letters.triage([1], "discarded", NOW_MS)
    assert positions(store) == {0: [1]}
    assert uncollected(store.path, assignment.ref, [0, 1]) == []


def test_a_late_copy_of_what_carries_its_identity_or_time_is_one_even_after_it_was_settled(buffer, store):
    assignment = collector(buffer)
    for offset, identity in enumerate(("carried", "timed")):
        collect(buffer, assignment, offset, dead_letter(assignment.ref, offset, identity, identity=identity))
    buffer.dead_letters.triage([1, 2], "discarded", NOW_MS)
    for offset, identity in enumerate(("carried", "timed"), 2):
        collect(buffer, assignment, offset, dead_letter(assignment.ref, offset, identity, identity=identity))
    assert positions(store) == {0: [2], 1: [3]}


@pytest.mark.parametrize(
    ("offset", "timestamp_ms"),
    [(COPY_WITHIN_OFFSETS + 1, NOW_MS), (1, NOW_MS + COPY_WITHIN_MS + 1)],
    ids=["far", "late"],
)
def test_the_same_far_behind_or_much_later_is_another_failure(buffer, store, offset, timestamp_ms):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, theirs(assignment.ref, 0), beyond=offset - 1)
    collect(buffer, assignment, offset, theirs(assignment.ref, offset, timestamp_ms=timestamp_ms))
    assert positions(store) == {0: [], offset: []}


def test_a_copy_goes_with_its_dead_letter_and_nobody_misses_it(buffer, store):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, theirs(assignment.ref, 0), theirs(assignment.ref, 1))
    buffer.dead_letters.triage([1], "discarded", NOW_MS)
    assert buffer.upkeep.prune(Retention(dead_letters_before_ms=NOW_MS + 1)).dead_letters == 1
    assert positions(store) == {}
    [partition] = store.table("partitions")
    assert partition["pruned_below"] == 2
    assert recount(store.path) == []


def test_what_does_not_tell_when_it_failed_failed_when_it_was_collected(buffer, store):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, theirs(assignment.ref, 0), dead_letter(assignment.ref, 1), now_ms=NOW_MS + 77)
    assert [(row["failed_at_ms"], row["failed_at_known"]) for row in store.table("dead_letters")] == [
        (NOW_MS + 77, 0),
        (NOW_MS, 1),
    ]
    [group] = store.table("dead_letter_groups")
    assert (group["first_seen_ms"], group["last_seen_ms"]) == (NOW_MS, NOW_MS + 77)


# -- what its topic never takes


NOWHERE = {"record_id": None, "topic": None, "partition": None, "offset": None}


def test_what_the_dead_letter_topic_never_takes_is_kept_without_a_position(buffer, store):
    assignment = processor(buffer)
    step = batch(assignment.ref, 0, 2)
    step.outbox = [outbox_row(assignment.ref, 0, "too large"), outbox_row(assignment.ref, 1, "small")]
    buffer.flow.commit(step)
    kept = dead_letter(0, 0, "too large", reason="the price is negative (too large)")._replace(**NOWHERE)
    assert buffer.flow.undeliverable([kept], NOW_MS) == 1
    # A second time it is not in the outbox any more.
    assert buffer.flow.undeliverable([kept], NOW_MS) == 0
    assert [row["dead_letter_id"] for row in store.table("outbox")] == ["small"]
    [row] = store.table("dead_letters")
    assert (row["topic"], row["partition"], row["offset"], row["record_id"], row["status"]) == (*[None] * 4, "open")
    assert [total["dead_letters"] for total in store.table("totals")] == [1]
    assert unaccounted(store.path, assignment.ref, [0, 1], ["too large", "small"]) == []
    assert recount(store.path) == []
    with Reader(store.path) as reader:
        [shown] = reader.dead_letters(DeadLetterFilter())
        assert shown.position == ""
        assert reader.dead_letter(1).row == shown
        assert reader.dead_letter_values("topic") == []
    replay(buffer, 1)
    buffer.dead_letters.triage([1], "recovered", NOW_MS)
    assert buffer.upkeep.prune(Retention(dead_letters_before_ms=NOW_MS + 1)).dead_letters == 1
    assert recount(store.path) == []


# -- stack traces


STACK = "java.lang.IllegalStateException: “no\tstock”\\\n" + "\tat com.example.Listener.on(Listener.java:42)\n" * 9


def test_a_stack_trace_is_stored_once_and_read_as_it_came(buffer, store):
    assignment = collector(buffer)
    headers = (
        ("a", b"\xff"),
        ("stack", STACK.encode()),
        ("b", None),
        ("c", b'{"stacktrace":1}'),
        ("again", STACK.encode()),
    )
    rows = [dead_letter(assignment.ref, offset, headers=headers, stacktrace=STACK) for offset in range(3)]
    collect(buffer, assignment, 0, *rows[:2])
    collect(buffer, assignment, 2, rows[2])
    for row in store.table("dead_letters"):
        assert (headers_from_json(row["headers"]), row["stacktrace"]) == (headers, STACK)
        assert row["headers"] == headers_to_json(headers)
    assert [(row["stacktrace"], row["dead_letters"]) for row in store.table("stacktraces")] == [(STACK, 3)]
    assert all(STACK not in str(row.values()) for row in store.table("dead_letter_rows"))
    buffer.dead_letters.triage([1, 2, 3], "discarded", NOW_MS)
    assert recount(store.path) == []
    assert buffer.upkeep.prune(Retention(dead_letters_before_ms=NOW_MS + 1)).dead_letters == 3
    assert store.table("stacktraces") == []


@given(st.text(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_stack_trace_comes_back_in_headers_and_column(stack):
    with TemporaryDirectory() as folder, open_buffer(Path(folder) / "orderpulse.db") as buffer:
        stack = (stack.encode("utf-8", "replace").decode() + "-").ljust(SHORTEST_STACK, "x")
        assignment = collector(buffer)
        headers = (("stack", stack.encode()), ("other", b'["' + stack.encode() + b'"]'))
        collect(buffer, assignment, 0, dead_letter(assignment.ref, 0, headers=headers, stacktrace=stack))
        store = SqliteStore(Path(folder))
        [row] = store.table("dead_letters")
        assert (row["headers"], row["stacktrace"]) == (headers_to_json(headers), stack)


# -- lives of one record


def test_a_replay_that_fails_again_links_to_its_earlier_life_and_carries_its_replays_on(buffer, store):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0, "first"))
    replay(buffer, 1, "one")
    collect(buffer, assignment, 1, dead_letter(assignment.ref, 1, "second", replay_of="first"))
    replay(buffer, 2, "two")
    collect(buffer, assignment, 2, dead_letter(assignment.ref, 2, "third", replay_of="second"))
    lives = {row["dead_letter_id"]: (row["replay_of"], row["replays"]) for row in store.table("dead_letters")}
    assert lives == {"first": (None, 1), "second": (1, 2), "third": (2, 2)}
    assert statuses(store) == {"first": "dead_again", "second": "dead_again", "third": "open"}
    assert [row["state"] for row in store.table("job_items")] == ["dead_again", "dead_again"]


def test_a_replay_of_something_unknown_is_a_first_life(buffer, store):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0, replay_of="never seen"))
    (row,) = store.table("dead_letters")
    assert (row["replay_of"], row["replays"]) == (None, 0)


def test_the_earlier_life_may_be_in_the_same_batch(buffer, store):
    assignment = collector(buffer)
    rows = dead_letter(assignment.ref, 0, "first"), dead_letter(assignment.ref, 1, "second", replay_of="first")
    collect(buffer, assignment, 0, *rows)
    assert [row["replay_of"] for row in store.table("dead_letters")] == [None, 1]


def test_a_later_life_does_not_bring_back_what_people_discarded(buffer, store):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0, "first"))
    buffer.dead_letters.triage([1], "discarded", NOW_MS)
    collect(buffer, assignment, 1, dead_letter(assignment.ref, 1, "second", replay_of="first"))
    assert statuses(store) == {"first": "discarded", "second": "open"}


def test_a_second_copy_of_a_later_life_changes_nothing_of_the_earlier_one(buffer, store):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0, "first"))
    replay(buffer, 1, "one")
    collect(buffer, assignment, 1, dead_letter(assignment.ref, 1, "second", replay_of="first"))
    replay(buffer, 1, "two")
    collect(buffer, assignment, 2, dead_letter(assignment.ref, 2, "second", replay_of="first"))
    assert statuses(store)["first"] == "replayed"


def test_a_failed_replay_that_is_collected_late_does_not_condemn_the_next_one(buffer, store):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0, "first"))
    replay_id = replay(buffer, 1, "one")
    buffer.flow.commit(outcome(replay_id, "dead_again"))
    replay(buffer, 1, "two")
    late = dead_letter(assignment.ref, 1, "second", replay_of="first", replay_id=replay_id)
    collect(buffer, assignment, 1, late)
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
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0, "first"))
    replay(buffer, 1)
    collect(buffer, assignment, 1, dead_letter(assignment.ref, 1, "second", replay_of="first"))
    assert groups(store) == {"price": (2, 1)}
    assert buffer.dead_letters.triage([1, 2], "discarded", NOW_MS) == 1
    assert groups(store) == {"price": (2, 0)}


@pytest.mark.parametrize("status", ["open", "discarded", "recovered"])
def test_triage_leaves_alone_what_is_on_its_way(buffer, store, status):
    collect_many(buffer, 1)
    buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=(1,)), None, "me", "planned", NOW_MS)
    before = store.dump()
    assert buffer.dead_letters.triage([1], status, NOW_MS + 1) == 0
    assert store.dump() == before


@pytest.mark.parametrize("status", ["discarded", "recovered"])
def test_people_settle_a_replay_whose_outcome_nobody_tells(buffer, store, status):
    collect_many(buffer, 2)
    replay(buffer, 1, "sent")
    assert buffer.dead_letters.triage([1], status, NOW_MS + 1) == 1
    first, second = store.table("dead_letters")
    assert (first["status"], first["status_at_ms"], first["concluded"]) == (status, NOW_MS + 1, 1)
    assert (second["status"], second["concluded"]) == ("open", 0)
    assert recount(store.path) == []
    while buffer.upkeep.prune(Retention(dead_letters_before_ms=NOW_MS + 2)):
        pass
    assert [row["id"] for row in store.table("dead_letters")] == [2]
    assert recount(store.path) == []


def test_only_what_was_replayed_can_be_taken_for_recovered(buffer, store):
    ids = collect_many(buffer, 2)
    buffer.dead_letters.triage([1], "discarded", NOW_MS)
    before = store.dump()
    assert buffer.dead_letters.triage(ids, "recovered", NOW_MS + 1) == 0
    assert store.dump() == before


@pytest.mark.parametrize("status", ["discarded", "recovered"])
def test_what_people_have_settled_is_dead_again_when_its_replay_comes_back(buffer, store, status):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0, "first"))
    replay_id = replay(buffer, 1)
    buffer.dead_letters.triage([1], status, NOW_MS + 1)
    collect(buffer, assignment, 1, dead_letter(assignment.ref, 1, "second", replay_of="first", replay_id=replay_id))
    first, second = store.table("dead_letters")
    assert (first["status"], first["concluded"], second["replay_of"]) == ("dead_again", 0, 1)
    assert recount(store.path) == []


@pytest.mark.parametrize("first", ["recovered", "dead_again"])
@pytest.mark.parametrize("then", ["discarded", "recovered"])
def test_a_second_replay_may_be_settled_by_hand_whatever_became_of_the_first(buffer, store, first, then):
    collect_many(buffer, 1)
    buffer.flow.commit(outcome(replay(buffer, 1, "first"), first))
    replay(buffer, 1, "second")
    assert buffer.dead_letters.triage([1], then, NOW_MS + 1) == 1
    assert recount(store.path) == []
    # What nobody sent again since is a contradiction as before.
    buffer.dead_letters._connection.execute("UPDATE dead_letter_rows SET status = 'open', concluded = 0")
    buffer.dead_letters._connection.commit()
    assert f"dead letter 1 is open, but job 1 says it is {first}" in [each.text for each in recount(store.path)]


def test_replays_without_an_outcome_count_as_recovered_after_a_time(buffer, store):
    collect_many(buffer, 2)
    replay(buffer, 1, "sent")
    assert buffer.upkeep.conclude(NOW_MS, NOW_MS + 1) == 0
    assert buffer.upkeep.conclude(NOW_MS + 1, NOW_MS + 1) == 1
    assert buffer.upkeep.conclude(NOW_MS + 1, NOW_MS + 1) == 0
    assert [(row["status"], row["concluded"]) for row in store.table("dead_letters")] == [("recovered", 1), ("open", 0)]
    assert recount(store.path) == []


def steps_of(connection, work):
    """How many steps SQLite takes for the work, in hundreds."""
    steps = []
    connection.set_progress_handler(lambda: steps.append(100), 100)
    work()
    connection.set_progress_handler(None, 0)
    return len(steps)


def test_one_is_taken_for_recovered_without_a_look_at_all_that_are_replayed(buffer, store):
    ids = collect_many(buffer, 2000)
    job_id = buffer.jobs.queue_replay("{}", DeadLetterFilter(ids=tuple(ids)), None, "me", "click", NOW_MS)
    assert buffer.jobs.next_job(NOW_MS).id == job_id
    send(buffer, job_id, *(item.replay_id for item in buffer.jobs.planned_items(job_id, len(ids))))
    buffer.jobs.finish(job_id, "done", NOW_MS)
    connection, triage = buffer.dead_letters._connection, buffer.dead_letters.triage
    assert steps_of(connection, lambda: triage([7], "recovered", NOW_MS)) < 20
    assert counts(store) == {"recovered": 1, "replayed": 1999}


def test_a_dead_letter_is_pruned_without_a_look_at_all_that_went_on_to_be_others(buffer, store):
    assignment = collector(buffer)
    collect_many(buffer, 2)
    connection = buffer.upkeep._connection
    others = ((record_id(assignment.ref, 1000 + number), 2) for number in range(20_000))
    connection.executemany("INSERT INTO passed_on (record_id, dead_letter_id) VALUES (?, ?)", others)
    connection.commit()
    buffer.dead_letters.triage([1], "discarded", NOW_MS)
    pruned = Retention(dead_letters_before_ms=NOW_MS + 1)
    assert steps_of(connection, lambda: buffer.upkeep.prune(pruned)) < 100
    assert [row["id"] for row in store.table("dead_letters")] == [2]


def test_triage_takes_more_ids_than_a_statement_takes_arguments(buffer):
    collect_many(buffer, 2)
    assert buffer.dead_letters.triage(range(1, 40_000), "discarded", NOW_MS) == 2


def test_rows_are_the_same_for_the_next_who_opens_the_buffer(buffer, store):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0))
    before = store.table("dead_letters")
    buffer.close()
    with store.open() as reopened:
        assert collect(reopened, replace(assignment, next_offset=1), 1, dead_letter(assignment.ref, 1, "dl-0")) == 0
    assert store.table("dead_letters") == before


def test_a_record_that_fails_again_and_again_is_compared_with_its_newest_failures_only(buffer, store):
    assignment = collector(buffer)
    rows = [
        dead_letter(assignment.ref, offset, "same", identity="timed", failed_at_ms=NOW_MS + offset, reason=f"{offset}")
        for offset in range(400)
    ]
    rows = [row._replace(headers=(("at", str(offset).encode()),)) for offset, row in enumerate(rows)]
    collect(buffer, assignment, 0, *rows[:100])
    statements: list[str] = []
    buffer.dead_letters._connection.set_trace_callback(statements.append)
    collect(buffer, assignment, 100, *rows[100:])
    buffer.dead_letters._connection.set_trace_callback(None)
    assert len(store.table("dead_letters")) == 400
    assert sum("FROM dead_letters WHERE id = " in each for each in statements) <= 32 * 33
