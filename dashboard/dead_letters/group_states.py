"""How the states of groups are called and coloured, and the columns that show how groups stand."""

from __future__ import annotations

from dashboard.shared.badges import Badge, Badges
from dashboard.shared.tables import Column, badge_column, chart_column
from pipeline.buffer.views import Rows

GROUP_STATES: Badges = {
    "new": Badge("New", "red"),
    "regressed": Badge("Regressed", "red"),
    "escalating": Badge("Escalating", "orange"),
    "ongoing": Badge("Ongoing", "blue"),
    "ignored": Badge("Ignored", "gray"),
    "resolved": Badge("Resolved", "green"),
}


def state_column(groups: Rows) -> Column:
    """The state of each group."""
    return badge_column("state", "State", groups.column("state"), GROUP_STATES, 95)


def week_column(groups: Rows) -> Column:
    """When the dead letters of each group failed, over the last week."""
    return chart_column("chart", "Last week", groups.column("chart"), 110)
