"""Which dead letter is open for reading, and which ones come before and after it in the table."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.dead_letters.address import LETTER_PARAMETER, note_in_address, number_in_address
from dashboard.shared.session import StateKey

_OPENED: StateKey[int | None] = StateKey("letters_opened")


def opened_id() -> int | None:
    """The id of the opened dead letter."""
    return _OPENED.get()


def open_letter(identifier: int) -> None:
    """Opens this one, in place of another."""
    _OPENED.set(identifier)


def close_letter() -> None:
    """Nothing is open any longer."""
    _OPENED.set(None)


def take_opened_from_address() -> None:
    """Opens what the address names."""
    _OPENED.set(number_in_address(LETTER_PARAMETER))


def note_opened_in_address() -> None:
    """The address names what is open."""
    opened = opened_id()
    note_in_address(LETTER_PARAMETER, "" if opened is None else str(opened))


def neighbour(ids: Sequence[int], step: int) -> int | None:
    """The one so many places further on; None at the ends, and where the opened one is on another page."""
    opened = opened_id()
    if opened not in ids:
        return None
    place = ids.index(opened) + step
    return ids[place] if 0 <= place < len(ids) else None
