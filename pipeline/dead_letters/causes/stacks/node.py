"""Stack traces of Node.js, as V8 writes them, and `util.inspect`, which puts causes behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from sys import maxsize

from pipeline.dead_letters.causes.stacks.thrown import OwnFrames, Thrown, own_frames

_AT = re.compile(r"^ {1,24}at ([^\n]*):\d+:\d+\)?,?(?: \{)?$", re.MULTILINE)
_CAUSE = re.compile(r"\[cause\]: |^ {0,24}[Cc]aused by: ", re.MULTILINE)
_HEADER = re.compile(r"(?:Uncaught )?([A-Za-z_$][\w$.]*)(?: \[\w+\])?(?:: ((?:[^\n]|\n(?! +at ))*))?")
_LIBRARY = re.compile(r"node_modules[/\\]|(?:^|\()(?:node:|internal/|native|evalmachine)|<anonymous>$|[/\\]\.yarn[/\\]")
_FUNCTION = re.compile(r"(?:async )?(?:new )?(?:Object\.)?([^\s(]+)")


def is_node(stack: str) -> bool:
    """Whether it has a frame of V8's, which ends in line and column."""
    return "\n    at " in stack and _AT.search(stack) is not None


def read_node(stack: str) -> Thrown:
    """The last cause. Without own frames under it, those of what it caused count."""
    begins = [0, *(cause.end() for cause in _CAUSE.finditer(stack))]
    innermost, end = begins[-1], len(stack)
    named = _HEADER.match(stack, innermost)
    first = found = own_frames(frames_of_node(stack, innermost, end))
    while not found.frames and len(begins) > 1:
        end = begins.pop()
        found = own_frames(frames_of_node(stack, begins[-1], end))
    frames = OwnFrames(found.frames, first.by_program)
    return Thrown(named[1] if named else None, (named[2] or "").strip() or None if named else None, *frames)


def frames_of_node(stack: str, begin: int = 0, end: int = maxsize) -> Iterator[str | None]:
    """The frames, innermost first; None for one of a library."""
    for at in _AT.finditer(stack, begin, end):
        where = at[1]
        if _LIBRARY.search(where):
            yield None
        else:
            function, bracket, path = where.rpartition(" (")
            named = _FUNCTION.match(function) if bracket else None
            file = (path if bracket else where).replace("\\", "/").rpartition("/")[2]
            yield f"{file}:{named[1]}" if named else file
