"""A member that was dealt out what is not to be read leaves at once, then ever more slowly; none waits for ever."""

from __future__ import annotations

from pipeline.kafka.rejoins import FIRST_WAIT_MS, JOIN_PATIENCE_MS, LONGEST_WAIT_MS, JoinWatch, Rejoins


class Steady:
    """A clock that the test sets."""

    now_ms = 50_000

    def __call__(self) -> int:
        return self.now_ms


def test_it_leaves_only_when_something_was_wrong_and_then_once():
    rejoins = Rejoins(Steady())
    assert not rejoins.pop_due()
    rejoins.want()
    assert [rejoins.pop_due(), rejoins.pop_due()] == [True, False]


def test_each_time_it_waits_longer_up_to_a_limit():
    clock = Steady()
    rejoins = Rejoins(clock)
    left_at_ms = []
    while len(left_at_ms) < 9:
        rejoins.want()
        if rejoins.pop_due():
            left_at_ms.append(clock.now_ms)
        clock.now_ms += 100
    waits_ms = [later - earlier for earlier, later in zip(left_at_ms, left_at_ms[1:], strict=False)]
    assert waits_ms == sorted(waits_ms)
    assert (waits_ms[0], waits_ms[-1]) == (FIRST_WAIT_MS, LONGEST_WAIT_MS)


def test_after_a_good_while_it_is_at_once_again():
    clock = Steady()
    rejoins = Rejoins(clock)
    for _ in range(2):
        rejoins.want()
        assert rejoins.pop_due()
        rejoins.want()
        assert not rejoins.pop_due()
        clock.now_ms += FIRST_WAIT_MS
        assert rejoins.pop_due()
        clock.now_ms += 3 * LONGEST_WAIT_MS


def test_a_question_to_join_is_in_vain_after_a_session_and_some_patience():
    clock = Steady()
    watch = JoinWatch(10_000, clock)
    assert not watch.is_in_vain("")
    assert not watch.is_in_vain("wait-join")
    clock.now_ms += 10_000
    assert not watch.is_in_vain("wait-sync")
    clock.now_ms += JOIN_PATIENCE_MS
    assert watch.is_in_vain("wait-join")


def test_a_member_that_has_joined_may_take_as_long_the_next_time():
    clock = Steady()
    watch = JoinWatch(10_000, clock)
    for state in ("wait-join", "steady", "wait-join"):
        assert not watch.is_in_vain(state)
        clock.now_ms += 9_000 + JOIN_PATIENCE_MS
    assert not watch.is_in_vain("wait-assign-call")
