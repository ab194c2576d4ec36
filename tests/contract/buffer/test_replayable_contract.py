"""Which dead letters a replay may take: none whose target would be a guess, and none that would be an empty record."""

import pytest

from pipeline.buffer import DeadLetterFilter, LeftOut, Retention, Sent, record_id, recount
from pipeline.records import Position, TopicIdentity
from tests.support.buffer_rows import DEAD, NOW_MS, collect, collector, dead_letter

ALL = DeadLetterFilter()
BODYLESS = (
    ("__dlq.errors.topic", b"orders"),
    ("__dlq.errors.partition", b"3"),
    ("__dlq.errors.offset", b"417"),
)
SECOND = TopicIdentity("cluster-1", "orders-dlq-dlq", "second-id")


def no_target(ref, offset):
    return dead_letter(ref, offset, source_topic=None, source_partition=None, source_offset=None, dialect="none")


def named(topic):
    return {"orders-dlq": "payments"}.get(topic)


@pytest.fixture
def mixed(buffer):
    """One that can be sent, one without a source, one without a body."""
    assignment = collector(buffer)
    bodyless = dead_letter(assignment.ref, 2, key=None, value=None, dialect="share-group", headers=BODYLESS)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0), no_target(assignment.ref, 1), bodyless)
    return buffer


def taken(buffer, source_of, which=ALL):
    return [(each.dead_letter_id, each.topic) for each in buffer.jobs.preview_replay(which, 3, source_of)]


def queue(buffer, *source_of, which=ALL, limit=3, request_id="click"):
    return buffer.jobs.queue_replay('{"rate": 0}', which, limit, "me", request_id, NOW_MS, *source_of)


def test_what_names_no_source_and_what_has_no_body_is_in_no_list_and_no_count(mixed):
    assert [each.dead_letter_id for each in mixed.jobs.preview_replay(ALL, 3)] == [1]
    job_id = queue(mixed)
    assert mixed.jobs.get(job_id).total == 1
    assert [item.topic for item in mixed.jobs.planned_items(job_id, 9)] == ["orders"]


def test_what_is_left_out_is_counted_by_reason(mixed):
    assert mixed.jobs.count_left_out(ALL, 3) == LeftOut(1, ("orders[3] offset 417",), {"orders-dlq": 1})
    assert mixed.jobs.count_left_out(ALL, 3, named) == LeftOut(1, ("orders[3] offset 417",))
    assert mixed.jobs.count_left_out(DeadLetterFilter(ids=(1,)), 3) == LeftOut()


def test_what_people_have_named_a_source_for_goes_there(mixed):
    assert taken(mixed, named) == [(1, "orders"), (2, "payments")]
    job_id = queue(mixed, named)
    assert [(item.topic, item.partition) for item in mixed.jobs.planned_items(job_id, 9)] == [
        ("orders", 0),
        ("payments", None),
    ]


def test_force_and_ids_do_not_make_a_target(mixed):
    assert queue(mixed, which=DeadLetterFilter(ids=(2, 3)), limit=None) is None
    assert mixed.jobs.count_left_out(DeadLetterFilter(ids=(2, 3)), None).impossible == 2


def test_the_ledger_keeps_where_a_replay_goes_whatever_is_named_afterwards(mixed, other, store):
    job_id = queue(mixed, named)
    assert [item.topic for item in other.jobs.planned_items(job_id, 9)] == ["orders", "payments"]
    mixed.jobs.ask_to_cancel(job_id, NOW_MS)
    assert [row["topic"] for row in store.table("job_items")] == [None, None], "they were not sent"


@pytest.mark.parametrize(("key", "value"), [(b"k", None), (None, b""), (b"", None)])
def test_a_tombstone_and_an_empty_value_are_a_body(buffer, key, value):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0, key=key, value=value, dialect="kafka-streams"))
    assert buffer.jobs.count_left_out(ALL, 3) == LeftOut()


def test_a_record_with_neither_that_failed_here_is_sent_as_it_was(buffer):
    assignment = collector(buffer)
    collect(buffer, assignment, 0, dead_letter(assignment.ref, 0, key=None, value=None))
    assert taken(buffer, named) == [(1, "orders")]


# -- chains of dead-letter topics


def statuses(store):
    return [(row["id"], row["status"], row["replay_of"]) for row in store.table("dead_letters")]


def earlier(ref):
    return dead_letter(ref, 0, "earlier")


def later(ref):
    return dead_letter(ref, 0, "later", topic=SECOND.topic, failed_in=Position(DEAD.topic, 0, 0))


def test_a_record_that_went_on_to_a_further_topic_is_open_there_alone(buffer, store):
    first, second = collector(buffer), collector(buffer, identity=SECOND)
    collect(buffer, first, 0, earlier(first.ref))
    collect(buffer, second, 0, later(second.ref))
    assert statuses(store) == [(1, "dead_again", None), (2, "open", 1)]
    assert taken(buffer, named) == [(2, "orders")]
    assert store.table("passed_on") == []
    assert recount(store.path) == []


def test_the_order_in_which_the_two_topics_are_collected_changes_nothing(buffer, store):
    first, second = collector(buffer), collector(buffer, identity=SECOND)
    collect(buffer, second, 0, later(second.ref))
    assert statuses(store) == [(1, "open", None)]
    collect(buffer, first, 0, earlier(first.ref))
    assert statuses(store) == [(1, "open", 2), (2, "dead_again", None)]
    assert store.table("passed_on") == []
    assert recount(store.path) == []


def test_what_was_settled_before_stays_settled(buffer, store):
    first, second = collector(buffer), collector(buffer, identity=SECOND)
    collect(buffer, first, 0, earlier(first.ref))
    buffer.dead_letters.triage([1], "discarded", NOW_MS)
    collect(buffer, second, 0, later(second.ref))
    assert statuses(store) == [(1, "discarded", None), (2, "open", None)]


def test_a_topic_that_is_not_collected_and_a_position_that_was_passed_over_link_nothing(buffer, store):
    first, second = collector(buffer), collector(buffer, identity=SECOND)
    collect(buffer, first, 0, beyond=1)
    elsewhere = dead_letter(second.ref, 1, "else", topic=SECOND.topic, failed_in=Position("elsewhere", 0, 0))
    collect(buffer, second, 0, later(second.ref), elsewhere)
    assert [status for _, status, _ in statuses(store)] == ["open", "open"]
    assert store.table("passed_on") == []


@pytest.mark.parametrize("first_comes", ["the earlier", "the later"])
def test_a_replay_that_failed_and_went_on_to_a_further_topic_is_one_life_after_the_other(buffer, store, first_comes):
    first, second = collector(buffer), collector(buffer, identity=SECOND)
    collect(buffer, first, 0, dead_letter(first.ref, 0, "replayed"))
    job_id = buffer.jobs.queue_replay("{}", DeadLetterFilter(), 3, "me", "click", NOW_MS)
    buffer.jobs.next_job(NOW_MS)
    [item] = buffer.jobs.planned_items(job_id, 1)
    buffer.jobs.open_send_window(job_id, "{}", [item.replay_id])
    buffer.jobs.close_send_window(job_id, 1, 0, [Sent(item.replay_id, "orders", 0, 7)], {}, NOW_MS)
    buffer.jobs.finish(job_id, "done", NOW_MS)
    # What goes on has the headers of what it was before, the replay's among them.
    told = {"replay_of": item.public_id, "replay_id": item.replay_id}
    earlier_one = dead_letter(first.ref, 1, "earlier", **told)
    later_one = dead_letter(second.ref, 0, "later", topic=SECOND.topic, failed_in=Position(DEAD.topic, 0, 1), **told)
    if first_comes == "the earlier":
        collect(buffer, first, 1, earlier_one)
        collect(buffer, second, 0, later_one)
        assert statuses(store) == [(1, "dead_again", None), (2, "dead_again", 1), (3, "open", 2)]
    else:
        collect(buffer, second, 0, later_one)
        collect(buffer, first, 1, earlier_one)
        assert statuses(store) == [(1, "dead_again", None), (2, "open", 3), (3, "dead_again", 1)]
    assert sorted(row["replays"] for row in store.table("dead_letters")) == [1, 1, 1]
    assert recount(store.path) == []
    while buffer.upkeep.prune(Retention(dead_letters_before_ms=NOW_MS + 1)):
        pass
    assert [row["status"] for row in store.table("dead_letters")] == ["open"]
    assert recount(store.path) == []


@pytest.mark.parametrize("first_comes", ["the copy", "what it became"])
def test_a_record_that_went_on_from_where_a_copy_stands_is_open_in_the_further_topic_alone(buffer, store, first_comes):
    first, second = collector(buffer), collector(buffer, identity=SECOND)
    collect(buffer, first, 0, earlier(first.ref))
    copy = earlier(first.ref)._replace(record_id=record_id(first.ref, 1), offset=1)
    became = later(second.ref)._replace(failed_in=Position(DEAD.topic, 0, 1))
    if first_comes == "the copy":
        collect(buffer, first, 1, copy)
        collect(buffer, second, 0, became)
    else:
        collect(buffer, second, 0, became)
        collect(buffer, first, 1, copy)
    assert [row["record_id"] for row in store.table("dead_letter_copies")] == [record_id(first.ref, 1)]
    assert statuses(store) == [(1, "dead_again", None), (2, "open", 1)]
    assert store.table("passed_on") == []
    assert recount(store.path) == []


@pytest.mark.parametrize("lost", [{"key": None, "value": None}, {"key": None}, {"value": b"of a recreated topic"}])
def test_a_further_dead_letter_that_holds_another_record_leaves_the_earlier_one_open(buffer, store, lost):
    first, second = collector(buffer), collector(buffer, identity=SECOND)
    collect(buffer, first, 0, earlier(first.ref))
    collect(buffer, second, 0, later(second.ref)._replace(**lost))
    assert statuses(store) == [(1, "open", None), (2, "open", None)]


def test_what_waits_for_an_earlier_dead_letter_goes_with_the_later_one(buffer, store):
    second = collector(buffer, identity=SECOND)
    collector(buffer)
    collect(buffer, second, 0, later(second.ref))
    assert [row["dead_letter_id"] for row in store.table("passed_on")] == [1]
    buffer.dead_letters.triage([1], "discarded", NOW_MS)
    assert buffer.upkeep.prune(Retention(dead_letters_before_ms=NOW_MS + 1)).dead_letters == 1
    assert store.table("passed_on") == []


def test_letters_of_one_record_go_together_where_they_went_on_too(buffer, store):
    first, second = collector(buffer), collector(buffer, identity=SECOND)
    # Two readers of the first dead-letter topic failed on the same record of it.
    collect(buffer, first, 0, earlier(first.ref))
    rows = [later(second.ref)._replace(record_id=record_id(second.ref, n), offset=n) for n in range(2)]
    collect(buffer, second, 0, rows[0], rows[1]._replace(dead_letter_id="another reader's"))
    job_id = queue(buffer)
    assert buffer.jobs.get(job_id).total == 2
    [item] = buffer.jobs.planned_items(job_id, 9)
    buffer.jobs.next_job(NOW_MS)
    assert buffer.jobs.open_send_window(job_id, "{}", [item.replay_id])
    buffer.jobs.close_send_window(job_id, 1, 0, [Sent(item.replay_id, "orders", 0, 99)], {}, NOW_MS)
    assert [status for _, status, _ in statuses(store)] == ["dead_again", "replayed", "replayed"]
    assert [(row["topic"], row["offset"]) for row in store.table("job_items")] == [("orders", 99)] * 2
