"""When failed records are tried again, and what waits behind them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.processing.retries import ParkedIndex, backoff_of
from pipeline.settings import load_settings


def settings(**values):
    return load_settings(**values)


def test_fixed_gives_three_retries_two_seconds_apart():
    backoff = backoff_of(settings(retry_preset="fixed"), random.Random(1).random)
    assert [backoff.delay_ms(attempts) for attempts in (1, 2, 3, 4)] == [2000, 2000, 2000, None]


def test_none_gives_up_after_the_first_attempt():
    assert backoff_of(settings(retry_preset="none"), random.Random(1).random).delay_ms(1) is None


def test_exponential_ends_after_the_retries_that_are_set():
    backoff = backoff_of(settings(retry_max=2), random.Random(1).random)
    assert backoff.delay_ms(2) is not None
    assert backoff.delay_ms(3) is None


@given(attempts=st.integers(1, 1000), seed=st.integers(0, 2**32))
def test_exponential_never_waits_longer_than_its_doubling_bound_or_the_cap(attempts, seed):
    backoff = backoff_of(settings(retry_max=1000, retry_base_ms=100, retry_cap_ms=5000), random.Random(seed).random)
    delay_ms = backoff.delay_ms(attempts)
    assert delay_ms is not None
    assert 0 <= delay_ms <= min(5000, 100 * 2 ** (attempts - 1))


def test_exponential_uses_the_whole_range_from_zero():
    draw = random.Random(7).random
    backoff = backoff_of(settings(retry_base_ms=1000, retry_cap_ms=1000), draw)
    delays = [backoff.delay_ms(1) for _ in range(500)]
    assert min(delays) < 50
    assert max(delays) > 950


def test_a_record_is_due_when_its_time_has_come():
    index = ParkedIndex()
    index.add(1, b"a", 1000)
    assert index.next_due_ms() == 1000
    assert index.take_due(999, 10) == []
    assert index.take_due(1000, 10) == [1]


def test_records_of_one_key_are_tried_one_after_another_in_their_order():
    index = ParkedIndex()
    index.add(1, b"a", 1000)
    index.add(2, b"a", 0)
    index.add(3, b"a", 0)
    assert index.take_due(5000, 10) == [1]
    assert index.settle(1) == 2
    assert b"a" in index.held_keys
    assert index.settle(2) == 3
    assert index.settle(3) is None
    assert b"a" not in index.held_keys
    assert len(index) == 0


def test_a_postponed_record_still_holds_its_key():
    index = ParkedIndex()
    index.add(1, b"a", 0)
    index.add(2, b"a", 0)
    assert index.take_due(0, 10) == [1]
    index.postpone(1, 3000)
    assert index.take_due(2999, 10) == []
    assert index.take_due(3000, 10) == [1]


def test_records_without_a_key_wait_for_nobody():
    index = ParkedIndex()
    index.add(1, None, 0)
    index.add(2, None, 0)
    assert None not in index.held_keys
    assert sorted(index.take_due(0, 10)) == [1, 2]
    assert index.settle(1) is None


def test_an_empty_key_is_a_key():
    index = ParkedIndex()
    index.add(1, b"", 0)
    assert b"" in index.held_keys


@given(
    arrivals=st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", None]), st.integers(0, 50)), max_size=60),
    outcomes=st.randoms(use_true_random=False),
)
def test_whatever_happens_each_key_is_settled_in_order_and_nothing_is_lost(arrivals, outcomes):
    index = ParkedIndex()
    for number, (key, due_at_ms) in enumerate(arrivals):
        index.add(number, key, due_at_ms)
    key_of = {number: key for number, (key, _) in enumerate(arrivals)}
    settled = []
    now_ms = 0
    while len(index):
        taken = index.take_due(now_ms, 5)
        while taken:
            record_id = taken.pop(0)
            if outcomes.random() < 0.3:
                index.postpone(record_id, now_ms + 1 + int(outcomes.random() * 20))
                continue
            settled.append(record_id)
            successor = index.settle(record_id)
            if successor is not None:
                taken.append(successor)
        now_ms += 1
    assert sorted(settled) == sorted(key_of)
    for key in (b"a", b"b", b"c"):
        of_key = [number for number in settled if key_of[number] == key]
        assert of_key == sorted(of_key)


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_are_taken_than_asked_for(limit):
    index = ParkedIndex()
    for number in range(5):
        index.add(number, None, 0)
    assert len(index.take_due(0, limit)) == limit


def test_a_clock_that_is_set_back_makes_nothing_wait_longer():
    index = ParkedIndex()
    index.add(1, b"a", 301_000)
    index.add(2, None, 302_000)
    assert index.take_due(300_000, 10) == []
    assert index.take_due(500, 10) == []
    assert index.next_due_ms() == 1500
    assert index.take_due(1500, 10) == [1]
    assert index.take_due(2500, 10) == [2]


@pytest.mark.parametrize("preset", ["fixed", "exponential"])
def test_no_wait_is_longer_than_the_longest(preset):
    backoff = backoff_of(settings(retry_preset=preset), random.Random(3).random)
    delays = [backoff.delay_ms(attempt) for attempt in range(1, backoff.retries + 1)]
    assert max(delays) <= backoff.longest_ms
