"""Files to download: made when their popover opens, kept for a while after it has closed.

Streamlit drops a file once a run no longer offers it. What is on screen is what the run before drew, so who opens a
popover again and presses at once presses a button of an earlier run: its file must still be there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dashboard.shared.context import now_ms
from dashboard.shared.session import StateKey

FRESH_MS = 60_000
"""Files that are older are made again when their popover is opened again."""
KEPT_MS = 10_000
"""How soon somebody opens a popover again and presses at once."""


@dataclass(slots=True)
class _Kept:
    wanted: object
    contents: tuple[bytes, ...]
    made_at_ms: int
    closed_at_ms: int | None = None

    def old(self, now_ms: int, is_open: bool) -> bool:
        """Whether it is neither what an open popover offers nor what one that was closed just now did."""
        if self.closed_at_ms is not None:
            return now_ms - self.closed_at_ms > KEPT_MS
        return not is_open and now_ms - self.made_at_ms > FRESH_MS


def kept_files(
    key: str, wanted: object, is_open: bool, make: Callable[[], tuple[bytes, ...]]
) -> tuple[bytes, ...] | None:
    """The files to offer in a popover; None when it offers none.

    They are those of the moment at which it was opened, as long as they are the `wanted` ones.
    """
    now = now_ms()
    state: StateKey[_Kept] = StateKey(key)
    kept = state.get()
    if kept is not None and (kept.wanted != wanted or kept.old(now, is_open)):
        kept = None
    if is_open:
        kept = kept or _Kept(wanted, make(), now)
        kept.closed_at_ms = None
    if kept is None:
        forget_files(key)
        return None
    if not is_open and kept.closed_at_ms is None:
        kept.closed_at_ms = now
    state.set(kept)
    return kept.contents


def has_files(key: str) -> bool:
    """Whether files are kept there."""
    return StateKey[_Kept](key).is_set()


def forget_files(key: str) -> None:
    """Keeps none there any longer."""
    StateKey[_Kept](key).pop()
