"""How often a page's live part ticks."""

import pytest

from dashboard.shared.shell import refresh_every_s


@pytest.mark.parametrize(
    ("refresh_ms", "longest_wait_ms", "every_s"),
    [(1000, None, 1.0), (1000, 250, 0.25), (100, 250, 0.1), (600_000, None, 600.0), (0, None, None), (0, 250, None)],
)
def test_the_settings_say_how_often_and_a_page_may_only_ask_for_more_often(refresh_ms, longest_wait_ms, every_s):
    assert refresh_every_s(refresh_ms, longest_wait_ms) == every_s
