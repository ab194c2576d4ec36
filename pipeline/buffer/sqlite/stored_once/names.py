"""How a `dead_letter_id` is stored: our own, 32 hexadecimal digits, in half of the room."""

from __future__ import annotations

import re

_BYTES = 16
_OURS = re.compile(f"[0-9a-f]{{{2 * _BYTES}}}")

NAME = "iif(typeof(dead_letter_id) = 'blob', lower(hex(dead_letter_id)), dead_letter_id)"
"""The SQL of a row's name as the public table shows it."""
NAMED = (
    "dead_letter_id IN (SELECT stored_name(value) FROM json_each(:names) UNION ALL SELECT value FROM json_each(:names))"
)
"""The condition for rows with one of some names, a JSON array. Rows of before layout 11 have all names as text."""


def is_ours(name: str) -> bool:
    """Whether it is a name as we make them."""
    return _OURS.fullmatch(name) is not None


def stored_name(name: str) -> str | bytes:
    """What stands in a row for a name; an SQL function for NAMED, too."""
    return bytes.fromhex(name) if is_ours(name) else name
