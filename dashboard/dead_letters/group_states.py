"""How the states of groups are called and coloured, and how a list shows them."""

from __future__ import annotations

from dashboard.shared.badges import Badge, Badges
from dashboard.shared.tables import Column, chart_column
from pipeline.buffer.views import Rows

GROUP_STATES: Badges = {
    "new": Badge("New", "red"),
    "regressed": Badge("Regressed", "red"),
    "escalating": Badge("Escalating", "orange"),
    "ongoing": Badge("Ongoing", "blue"),
    "ignored": Badge("Ignored", "gray"),
    "resolved": Badge("Resolved", "green"),
}


def titles(groups: Rows) -> list[str]:
    """The title of each group behind its state: a column of its own would leave titles no room in a narrow list."""
    return [_titled(state, title) for state, title in zip(groups.column("state"), groups.column("title"), strict=True)]


def _titled(state: str, title: str) -> str:
    return title if state == "ongoing" else f"{GROUP_STATES[state].label} · {title}"


def week_column(groups: Rows) -> Column:
    """When the dead letters of each group failed, over the last week."""
    return chart_column("chart", "Last week", groups.column("chart"), 110)
