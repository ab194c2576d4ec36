"""What is done now and then, by a clock that may be set."""

from pipeline.clock import is_due


def test_what_is_done_now_and_then_is_due_in_time_and_after_the_clock_was_set_back():
    assert not is_due(1999, 1000, 1000)
    assert is_due(2000, 1000, 1000)
    assert is_due(999, 1000, 1000)
