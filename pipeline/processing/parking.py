"""What is parked of a partition, as a processor has it at hand."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.buffer import Generation, Parked
from pipeline.processing.retries import ParkedIndex

ROWS_AT_HAND = 5000


class Parking:
    """The parked records of one partition, and the generations that they came from."""

    __slots__ = ()

    generations: dict[int, Generation]
    parked: ParkedIndex
    at_hand: dict[int, Parked]
    """Rows of parked records as the buffer has them, so that most need not be read back: that takes half a retry."""

    def keep(self, row: Parked) -> None:
        """Has a parked record's row at hand, if there is room."""
        if len(self.at_hand) < ROWS_AT_HAND:
            self.at_hand[row.record_id] = row

    def take(self, identifiers: Iterable[int]) -> tuple[list[Parked], list[int]]:
        """The rows that are at hand, and which are not. They are at hand no more."""
        rows = {identifier: self.at_hand.pop(identifier, None) for identifier in identifiers}
        return [row for row in rows.values() if row], [identifier for identifier, row in rows.items() if row is None]
