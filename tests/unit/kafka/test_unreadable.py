"""Partitions that cannot be read: each waits for itself, and is well again only when the broker answers."""

from __future__ import annotations

from pipeline.kafka.unreadable import QUIET_MS, UnreadablePartitions

KEY = "orders", 3


def test_one_that_is_told_of_once_and_gives_no_answer_stays_named():
    now_ms = 0
    unreadable = UnreadablePartitions(lambda: now_ms)
    unreadable.failed(KEY, "no Read")
    tried = 0
    for now_ms in range(0, 10 * QUIET_MS, 100):  # noqa: B007 - the clock reads it
        tried += len(unreadable.pop_due(lambda _: False))
    assert tried == 1
    assert unreadable.reasons() == {"orders[3]": "no Read"}
    assert unreadable.pop_due(lambda _: True) == []
    assert unreadable.reasons() == {}


def test_one_that_fails_again_waits_longer():
    now_ms = 0
    unreadable = UnreadablePartitions(lambda: now_ms)
    waits = []
    for _ in range(4):
        unreadable.failed(KEY, "no leader")
        began_ms = now_ms
        while not unreadable.pop_due(lambda _: True):
            now_ms += 10
        waits.append(now_ms - began_ms)
    assert waits == [250, 500, 1000, 2000]
