"""What the buffer promises about alerts, events and upkeep."""

from pipeline.buffer import AlertWindow
from pipeline.buffer.contract import PendingNotification
from tests.support.buffer_rows import NOW_MS, accept, collect, collector, dead_letter, processor


def test_the_alert_window_counts_orders_by_their_processing_and_dead_letters_by_their_failure(buffer):
    assignment, dead = processor(buffer), collector(buffer)
    accept(buffer, assignment, 0, 4, now_ms=NOW_MS)
    accept(buffer, assignment, 4, 2, now_ms=NOW_MS + 5000)
    collect(buffer, dead, 0, dead_letter(dead.ref, 0, failed_at_ms=NOW_MS + 3000), now_ms=NOW_MS + 60_000)
    assert buffer.watch.alert_window(0) == AlertWindow(6, 1)
    assert buffer.watch.alert_window(NOW_MS + 2000) == AlertWindow(2, 1)
    assert buffer.watch.alert_window(NOW_MS + 4000) == AlertWindow(2, 0)
    assert buffer.watch.alert_window(NOW_MS + 60_000) == AlertWindow(0, 0)


def test_an_alert_fires_once_and_keeps_its_worst_value(buffer, store):
    first = buffer.watch.fire("dead letters", 0.2, 0.1, "20 %", NOW_MS)
    assert first is not None
    assert buffer.watch.fire("dead letters", 0.5, 0.1, "50 %", NOW_MS + 1) is None
    assert buffer.watch.fire("dead letters", 0.3, 0.1, "30 %", NOW_MS + 2) is None
    (alert,) = store.table("alerts")
    assert (alert["id"], alert["state"], alert["value"], alert["threshold"]) == (first, "firing", 0.5, 0.1)
    assert (alert["started_at_ms"], alert["ended_at_ms"]) == (NOW_MS, None)


def test_rules_fire_independently(buffer):
    assert buffer.watch.fire("a", 1, 1, "", NOW_MS) != buffer.watch.fire("b", 1, 1, "", NOW_MS)
    assert buffer.watch.resolve("a", NOW_MS) is not None
    assert buffer.watch.fire("b", 2, 1, "", NOW_MS) is None


def test_what_fires_is_told_with_its_newest_message(buffer):
    for rule, message in (("a", "first"), ("b", "other"), ("a", "second"), ("c", "over")):
        buffer.watch.fire(rule, 1, 1, message, NOW_MS)
    buffer.watch.resolve("c", NOW_MS)
    assert sorted(buffer.watch.firing()) == [("a", "second"), ("b", "other")]


def test_a_resolved_alert_ends_and_the_next_one_is_new(buffer, store):
    first = buffer.watch.fire("rule", 0.2, 0.1, "bad", NOW_MS)
    assert buffer.watch.resolve("rule", NOW_MS + 10) == first
    assert buffer.watch.resolve("rule", NOW_MS + 20) is None
    second = buffer.watch.fire("rule", 0.1, 0.1, "bad again", NOW_MS + 30)
    assert second not in (None, first)
    states = {row["id"]: (row["state"], row["ended_at_ms"], row["value"]) for row in store.table("alerts")}
    assert states == {first: ("resolved", NOW_MS + 10, 0.2), second: ("firing", None, 0.1)}


def test_nothing_fires_so_nothing_resolves(buffer, store):
    before = store.dump()
    assert buffer.watch.resolve("rule", NOW_MS) is None
    assert store.dump() == before


def test_an_alert_notes_whether_people_were_told(buffer, store):
    buffer.watch.noticed(buffer.watch.fire("rule", 1, 1, "", NOW_MS), "sent")
    buffer.watch.fire("other", 1, 1, "", NOW_MS)
    assert {row["rule"]: row["notice"] for row in store.table("alerts")} == {"rule": "sent", "other": None}


def test_who_is_to_be_told_of_a_beginning_or_an_end_stays_untold_until_that_is_noted(buffer):
    told = buffer.watch.fire("told", 1, 1, "bad", NOW_MS, notify=True)
    untold = buffer.watch.fire("untold", 1, 1, "worse", NOW_MS, notify=True)
    buffer.watch.fire("nobody to tell", 1, 1, "", NOW_MS)
    buffer.watch.noticed(told, "sent")
    assert buffer.watch.pending_notifications() == [PendingNotification(untold, "worse", False)]
    buffer.watch.resolve("told", NOW_MS, notify=True)
    buffer.watch.resolve("nobody to tell", NOW_MS)
    assert buffer.watch.pending_notifications() == [
        PendingNotification(told, "bad", True),
        PendingNotification(untold, "worse", False),
    ]
    buffer.watch.noticed(told, "not sent to json")
    buffer.watch.noticed(untold, "sent")
    assert buffer.watch.pending_notifications() == []


def test_the_newest_thousand_events_are_kept(buffer, store):
    for number in range(1003):
        buffer.watch.event("supervisor", "info", f"event {number}", NOW_MS + number)
    events = store.table("events")
    assert len(events) == 1000
    assert min(row["at_ms"] for row in events) == NOW_MS + 3
    assert max(row["at_ms"] for row in events) == NOW_MS + 1002


def test_skipped_offsets_do_not_pile_up_events_either(buffer, store):
    assignment = processor(buffer)
    for offset in range(1003):
        buffer.flow.skip(assignment.ref, offset, offset + 1, NOW_MS + offset, "lost")
    assert len(store.table("events")) == 1000


def test_old_seconds_are_dropped_and_minutes_keep_their_sums(buffer, store):
    assignment = processor(buffer)
    for number in range(5):
        accept(buffer, assignment, number, 1, now_ms=NOW_MS + number * 1000)
    buffer.watch.prune_seconds(NOW_MS + 2000)
    assert sorted(row["second_ms"] for row in store.table("flow_seconds")) == [NOW_MS + 2500, NOW_MS + 3500]
    assert sum(row["orders"] for row in store.table("flow_minutes")) == 5


def test_more_old_seconds_than_are_dropped_at_once_are_all_dropped(buffer, store, monkeypatch):
    monkeypatch.setattr("pipeline.buffer.sqlite.stores.alerts.SECONDS_AT_ONCE", 3)
    assignment = processor(buffer)
    for number in range(7):
        accept(buffer, assignment, number, 1, now_ms=NOW_MS + number * 1000)
    buffer.watch.prune_seconds(NOW_MS + 7000)
    assert store.table("flow_seconds") == []
