"""How the statuses of dead letters are called and coloured."""

from __future__ import annotations

from dashboard.shared.badges import Badge, Badges

STATUSES: Badges = {
    "open": Badge("Open", "red"),
    "replaying": Badge("Replaying", "blue"),
    "replayed": Badge("Replayed", "violet"),
    "recovered": Badge("Recovered", "green"),
    "dead_again": Badge("Dead again", "orange"),
    "discarded": Badge("Discarded", "gray"),
}
