"""Badges: a state in a word and a color, the same wherever it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

BadgeColor = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray"]


class Badge(NamedTuple):
    """What stands for a state on the screen."""

    label: str
    color: BadgeColor


Badges = Mapping[str, Badge]
"""By the state as the buffer has it, in the order in which people are offered them."""
