"""Stack traces of Java and Kotlin, as `Throwable.printStackTrace` writes them: causes come last."""

from __future__ import annotations

import re
from collections.abc import Iterator
from sys import maxsize

from pipeline.dead_letters.causes.stacks.libraries import OF_JAVA
from pipeline.dead_letters.causes.stacks.thrown import Thrown, own_frames

_CAUSE = "\nCaused by: "
_FRAME = "\n\tat "
_HEADER = re.compile(r"([\w.$]+)(?:: ([^\x00]*))?\Z")
_AT = re.compile(r"\n\tat ([^\n(]+)\(")
_GENERATED = re.compile(r"\$\$|\$Proxy\d|Generated\w*Accessor|CGLIB|ByteBuddy|_Subclass|_ClientProxy")
_LAMBDA = re.compile(r"lambda\$(\w+)\$\d+")
_NUMBERED = re.compile(r"\$\d+")


def is_java(stack: str) -> bool:
    """Whether it has a frame of Java's."""
    return _FRAME in stack


def read_java(stack: str) -> Thrown:
    """The last `Caused by:`. Without own frames under it, those of what it caused count: its trace goes on there."""
    begin = innermost = stack.rfind(_CAUSE)
    found = own_frames(frames_of_java(stack, begin + 1, len(stack)))
    frames = found.frames
    while not frames and begin >= 0:
        end, begin = begin, stack.rfind(_CAUSE, 0, begin)
        frames = own_frames(frames_of_java(stack, begin + 1, end)).frames
    header_begin = innermost + len(_CAUSE) if innermost >= 0 else 0
    named = _HEADER.match(stack[header_begin : stack.find(_FRAME, header_begin)])
    return Thrown(named[1] if named else None, named[2] if named else None, frames, found.by_program)


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
