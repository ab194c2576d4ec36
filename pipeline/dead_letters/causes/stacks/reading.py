"""Which language a stack trace is of, and what it tells."""

from __future__ import annotations

from collections import Counter

from pipeline.dead_letters.causes.codes import codes_in
from pipeline.dead_letters.causes.remembered import Remembered
from pipeline.dead_letters.causes.stacks.dotnet import frames_of_dotnet, read_dotnet
from pipeline.dead_letters.causes.stacks.go import frames_of_go, is_go, read_go
from pipeline.dead_letters.causes.stacks.java import frames_of_java, is_java, read_java
from pipeline.dead_letters.causes.stacks.node import frames_of_node, is_node, read_node
from pipeline.dead_letters.causes.stacks.python import frames_of_python, is_python, read_python
from pipeline.dead_letters.causes.stacks.thrown import Thrown

STACK_LIMIT = 64_000
"""Of a longer stack trace both ends count: the innermost cause is at one of them."""

NOTHING_THROWN = Thrown(None, None, ())


_FRAMES_AGAIN = 8
_MESSAGES_END, _TAIL = 800, 300
"""Where wrappers and drivers name codes: before the first frames, and behind the last."""
_LANGUAGES = (
    (is_java, frames_of_java),
    (is_python, frames_of_python),
    (is_node, frames_of_node),
    (is_go, frames_of_go),
    (bool, frames_of_dotnet),
)
_KNOWN = Remembered[str, Thrown](250)
_REMEMBERED_LIMIT = 8_000
"""Longer ones would take too much memory."""


def read_stack(stack: str | None) -> Thrown:
    """What a stack trace tells, of whatever language it is."""
    if not stack:
        return NOTHING_THROWN
    known = _KNOWN.get(stack)
    if known is None:
        known = _read(stack)
        if codes := codes_in(stack[:_MESSAGES_END]) or codes_in(stack[-_TAIL:]):
            known = known._replace(codes=codes)
        if len(stack) <= _REMEMBERED_LIMIT:
            _KNOWN.keep(stack, known)
    return known


def frames_again_and_again(stack: str) -> tuple[str, ...]:
    """The program's own functions that a stack trace has more than once, whichever it ends in; none where none is."""
    stack = _cut(stack)
    for is_of_language, frames in _LANGUAGES:
        if is_of_language(stack):
            counts = Counter(frame.partition(": ")[0] for frame in frames(stack) if frame)
            return tuple(sorted(frame for frame, count in counts.items() if count > 1)[:_FRAMES_AGAIN])
    return ()


def _cut(stack: str) -> str:
    return stack if len(stack) <= STACK_LIMIT else f"{stack[: STACK_LIMIT // 2]}\n{stack[-STACK_LIMIT // 2 :]}"


def _read(stack: str) -> Thrown:
    stack = _cut(stack)
    if is_java(stack):
        return read_java(stack)
    if is_python(stack):
        return read_python(stack)
    if is_node(stack):
        return read_node(stack)
    if is_go(stack):
        return read_go(stack)
    return read_dotnet(stack)
