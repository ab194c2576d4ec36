"""Files to download: made when their popover opens, kept for a while after it has closed.

Streamlit drops a file once a run no longer offers it. What is on screen is what the run before drew, so who opens a
popover again and presses at once presses a button of an earlier run: its file must still be there.

All are let go when the browser's connection ends; a browser that comes back gets them made again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import streamlit as st

from dashboard.shared.context import now_ms

FRESH_MS = 60_000
"""Files that are older are made again when their popover is opened again."""
KEPT_MS = 10_000
"""How soon somebody opens a popover again and presses at once."""

Contents = TypeVar("Contents", bound=tuple[object, ...])


@dataclass(slots=True)
class _Kept:
    wanted: object
    contents: tuple[Any, ...]
    made_at_ms: int
    closed_at_ms: int | None = None
    is_drawn: bool = True

    def old(self, now_ms: int, is_open: bool) -> bool:
        """Whether it is neither what an open popover offers nor what one that was closed just now did."""
        if self.closed_at_ms is not None:
            return now_ms - self.closed_at_ms > KEPT_MS
        return not is_open and now_ms - self.made_at_ms > FRESH_MS


def kept_files(key: str, wanted: object, is_open: bool, make: Callable[[], Contents]) -> Contents | None:
    """The files to offer in a popover; None when it offers none.

    They are those of the moment at which it was opened, as long as they are the `wanted` ones.
    """
    now = now_ms()
    kept = _kept().get(key)
    if kept is not None and (kept.wanted != wanted or kept.old(now, is_open)):
        # Before others are made: two large files need not be there at the same time.
        forget_files(key)
        kept = None
    if is_open:
        kept = kept or _Kept(wanted, make(), now)
        kept.closed_at_ms = None
    if kept is None:
        return None
    if not is_open and kept.closed_at_ms is None:
        kept.closed_at_ms = now
    kept.is_drawn = True
    _kept()[key] = kept
    return cast(Contents, kept.contents)


def has_files(key: str) -> bool:
    """Whether files are kept there."""
    return key in _kept()


def forget_files(key: str) -> None:
    """Keeps none there any longer."""
    _kept().pop(key, None)


def begin_run() -> None:
    """A run of the app begins: what it does not offer counts as closed."""
    for kept in _kept().values():
        kept.is_drawn = False


def free_old_files() -> None:
    """Lets go of files whose popover closed a while ago, or is on a page that was left. For live parts."""
    now = now_ms()
    for key, kept in list(_kept().items()):
        if not kept.is_drawn and kept.closed_at_ms is None:
            kept.closed_at_ms = now
        if kept.closed_at_ms is not None and kept.old(now, is_open=False):
            forget_files(key)


@st.cache_resource(scope="session", show_spinner=False)
def _kept() -> dict[str, _Kept]:
    return {}
