"""Why a part of a file cannot be imported, and where it stands."""

from __future__ import annotations

from typing import NamedTuple

SHOWN_LETTERS = 40


class Refusal(NamedTuple):
    """A line or row that was refused: `place` as people find it, `line 12` or `row 12`, and why."""

    place: str
    why: str

    def __str__(self) -> str:
        return f"{self.place}, {self.why}"


class RefusedError(Exception):
    """This line or row cannot be imported; the text says which part of it, and what was expected. Never leaves here."""


def refuse(field: str, expected: str, found: object) -> RefusedError:
    """The error for a field that holds something else than it should."""
    # A field's name may be the file's, too.
    return RefusedError(
        f"field {field if field.isprintable() else shown(field)}: expected {expected}, found {shown(found)}"
    )


def shown(found: object) -> str:
    """The beginning of what was found, fit for one line of a terminal."""
    text = "null" if found is None else ascii(found[:SHOWN_LETTERS] if isinstance(found, (str, bytes)) else found)
    return text if len(text) <= SHOWN_LETTERS else f"{text[: SHOWN_LETTERS - 1]}…"
