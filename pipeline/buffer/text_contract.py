"""What a buffer promises about the index by which dead letters are found by text."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class TextIndexProgress(NamedTuple):
    """Up to which dead letter, by its id, the index is filled, and the newest that there is."""

    indexed_to: int
    newest: int


class TextIndexStore(Protocol):
    """An index of texts that follows the dead letters. What it lacks yet is found too, by looking through it.

    Each call is one short step. A step that is not committed changes nothing, and the next one does it again.
    """

    def index_some(self) -> int:
        """Indexes the next few dead letters and stack traces; returns how many, 0 when it lacks none.

        It waits until dead letters of an older layout are stored as new ones are. Where texts are folded by another
        rule than those in the index, it is emptied first.
        """

    def merge_some(self) -> bool:
        """Brings parts of the index together, a little at once; false when nothing is left to do."""

    def progress(self) -> TextIndexProgress:
        """How far it is."""
