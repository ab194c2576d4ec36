"""What every language's stack trace is read into."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

FRAMES = 2
"""Of the program's own frames so many say where it failed. Those above them differ with who called."""


class Thrown(NamedTuple):
    """The innermost cause that a stack trace names, and the program's own frames nearest to it, innermost first.

    None where the trace does not say. A frame is a function and its class or file, without line numbers, which change
    with each deploy.
    """

    error_class: str | None
    message: str | None
    frames: tuple[str, ...]
    by_program: bool = False
    """Whether the innermost frame is the program's own: then it has written the message, not a library."""
    codes: str = ""
    """What else it names: see `codes_in`."""
    source: str = ""
    """The line of source that threw it, where the trace shows it."""


class OwnFrames(NamedTuple):
    """The first of the program's own frames, and whether no library's was before them."""

    frames: tuple[str, ...]
    by_program: bool


def own_frames(innermost_first: Iterable[str | None]) -> OwnFrames:
    """The first few of these; None stands for a library's frame. One that calls itself counts once."""
    frames: list[str] = []
    by_program = False
    for place, frame in enumerate(innermost_first):
        if frame is None or (frames and frames[-1] == frame):
            continue
        by_program = by_program or place == 0
        frames.append(frame)
        if len(frames) == FRAMES:
            break
    return OwnFrames(tuple(frames), by_program)
