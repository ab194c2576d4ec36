"""How a page's live part ticks."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared.shell import refresh_every_s


@pytest.mark.parametrize(
    ("refresh_ms", "longest_wait_ms", "every_s"),
    [(1000, None, 1.0), (1000, 250, 0.25), (100, 250, 0.1), (600_000, None, 600.0), (0, None, None), (0, 250, None)],
)
def test_the_settings_say_how_often_and_a_page_may_only_ask_for_more_often(refresh_ms, longest_wait_ms, every_s):
    assert refresh_every_s(refresh_ms, longest_wait_ms) == every_s


def page_with_two_live_parts() -> None:
    from dashboard.shared.shell import enter, live

    enter()
    live(lambda: None)
    live(lambda: None)


@pytest.mark.usefixtures("database_file")
def test_a_page_has_no_second_live_part(caplog):
    app = AppTest.from_function(page_with_two_live_parts).run()
    assert len(app.exception) == 1
    # The page itself does not show what an error says.
    assert "RuntimeError: the page has a live part already" in caplog.text
