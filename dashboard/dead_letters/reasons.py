"""A reason in one line of the table, where there is room for its beginning."""

from __future__ import annotations

import re

_LISTENER = re.compile(r"Listener method '[^']*' threw exception; (?:nested exception is )?(?=\S)")
"""What Spring Kafka puts before each message: as long as a line, and the same for all that one method throws."""


def reason_in_line(reason: str | None) -> str | None:
    """The reason from what failed on; all of it is in the drawer and in exports."""
    if reason is None:
        return None
    wrapper = _LISTENER.match(reason)
    return reason if wrapper is None else f"… {reason[wrapper.end() :]}"
