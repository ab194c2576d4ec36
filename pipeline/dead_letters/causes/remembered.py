"""What was worked out lately, so that a burst of alike failures is looked at once."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

Key = TypeVar("Key")
Found = TypeVar("Found")


ALL: list[Remembered[Any, Any]] = []
"""Each that there is."""


class Remembered(Generic[Key, Found]):
    """So many results by what they are of; the one that came first goes first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        ALL.append(self)
        self._found: dict[Key, Found] = {}
        self.get = self._found.get

    def forget(self) -> None:
        """Lets go of all of it."""
        self._found.clear()

    def keep(self, key: Key, found: Found) -> None:
        """Remembers a result."""
        if len(self._found) >= self._limit:
            del self._found[next(iter(self._found))]
        self._found[key] = found
