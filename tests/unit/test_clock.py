"""What is done now and then, by a clock that may be set."""

from pipeline.clock import Interval, is_due


def test_what_is_done_now_and_then_is_due_in_time_and_after_the_clock_was_set_back():
    assert not is_due(1999, 1000, 1000)
    assert is_due(2000, 1000, 1000)
    assert is_due(999, 1000, 1000)


def test_an_interval_is_over_at_once_then_every_so_often_and_when_the_clock_is_set_back():
    now_ms = 5000
    interval = Interval(1000, lambda: now_ms)
    assert interval.is_over()
    assert not interval.is_over()
    now_ms += 999
    assert not interval.is_over()
    now_ms += 1
    assert interval.is_over()
    now_ms -= 10_000
    assert interval.is_over()
    assert not interval.is_over()


def test_an_interval_that_began_now_is_not_over():
    assert not Interval(1000, lambda: 7000, 7000).is_over()
