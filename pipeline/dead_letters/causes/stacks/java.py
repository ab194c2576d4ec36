"""Stack traces of Java and Kotlin, as `Throwable.printStackTrace` writes them: causes come last."""

from __future__ import annotations

import re
from collections.abc import Iterator
from sys import maxsize

from pipeline.dead_letters.causes.remembered import Remembered
from pipeline.dead_letters.causes.stacks.libraries import OF_JAVA
from pipeline.dead_letters.causes.stacks.thrown import FRAMES, OwnFrames, Thrown, own_frames

_CAUSE = "\nCaused by: "
_FRAME = "\n\tat "
_CLASS = re.compile(r"[\w.$]+")
_AT = re.compile(r"\n\tat ([^\n(]+)\(")
_GENERATED = re.compile(r"\$\$|\$Proxy\d|Generated\w*Accessor|CGLIB|ByteBuddy|_Subclass|_ClientProxy")
_LAMBDA = re.compile(r"lambda\$(\w+)\$\d+")
_NUMBERED = re.compile(r"\$\d+")
_NEAR = 800
"""Characters in which enough own frames nearly always are."""
_KNOWN = Remembered[str, OwnFrames](1_000)
"""The own frames by the first characters of all frames: messages differ, where a program throws them does not."""
_FURTHER_DOWN = OwnFrames((), False)
"""Stands in it where these characters do not tell."""
_KNOWN_WHOLE = Remembered[str, OwnFrames](250)
"""The same by all frames."""
_WHOLE_LIMIT = 4_000
"""Longer ones would take too much memory."""


def is_java(stack: str) -> bool:
    """Whether it has a frame of Java's."""
    return _FRAME in stack


def read_java(stack: str) -> Thrown:
    """The last `Caused by:`. Without own frames under it, those of what it caused count: its trace goes on there."""
    begin = innermost = stack.rfind(_CAUSE)
    first_frame = stack.find(_FRAME, begin + 1)
    found = _own_frames(stack, first_frame if first_frame >= 0 else len(stack))
    frames = found.frames
    while not frames and begin >= 0:
        end, begin = begin, stack.rfind(_CAUSE, 0, begin)
        frames = own_frames(frames_of_java(stack, begin + 1, end)).frames
    header_begin = innermost + len(_CAUSE) if innermost >= 0 else 0
    error_class, message = _thrown(stack[header_begin : stack.find(_FRAME, header_begin)])
    return Thrown(error_class, message, frames, found.by_program)


def _thrown(header: str) -> tuple[str | None, str | None]:
    """Class and message. A search for the colon takes half the time of one pattern of both."""
    error_class, colon, message = header.partition(": ")
    if not _CLASS.fullmatch(error_class) or "\0" in message:
        return None, None
    return error_class, message if colon else None


def _own_frames(stack: str, begin: int) -> OwnFrames:
    """Those from a frame on to the end of the stack trace."""
    near = stack[begin : begin + _NEAR]
    found = _KNOWN.get(near)
    if found is None:
        found = own_frames(frames_of_java(near))
        if len(found.frames) < FRAMES and len(near) == _NEAR:
            found = _FURTHER_DOWN
        _KNOWN.keep(near, found)
    return _of_all(stack[begin:]) if found is _FURTHER_DOWN else found


def _of_all(frames: str) -> OwnFrames:
    known = _KNOWN_WHOLE.get(frames)
    if known is None:
        known = own_frames(frames_of_java(frames))
        if len(frames) <= _WHOLE_LIMIT:
            _KNOWN_WHOLE.keep(frames, known)
    return known


def frames_of_java(stack: str, begin: int = 0, end: int = maxsize) -> Iterator[str | None]:
    """The frames, innermost first; None for one of a library."""
    for at in _AT.finditer(stack, begin, end):
        frame = at[1].rpartition("/")[2]  # behind the class loader and the module
        first, _, rest = frame.partition(".")
        if first in OF_JAVA or f"{first}.{rest.partition('.')[0]}" in OF_JAVA or _GENERATED.search(frame):
            yield None
        elif "$" in frame:
            yield _NUMBERED.sub("", _LAMBDA.sub(r"\1", frame))
        else:
            yield frame
