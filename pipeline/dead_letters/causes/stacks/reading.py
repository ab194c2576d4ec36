"""Which language a stack trace is of, and what it tells."""

from __future__ import annotations

from pipeline.dead_letters.causes.remembered import Remembered
from pipeline.dead_letters.causes.stacks.dotnet import read_dotnet
from pipeline.dead_letters.causes.stacks.go import is_go, read_go
from pipeline.dead_letters.causes.stacks.java import is_java, read_java
from pipeline.dead_letters.causes.stacks.node import is_node, read_node
from pipeline.dead_letters.causes.stacks.python import is_python, read_python
from pipeline.dead_letters.causes.stacks.thrown import Thrown

STACK_LIMIT = 64_000
"""Of a longer stack trace both ends count: the innermost cause is at one of them."""

NOTHING_THROWN = Thrown(None, None, ())


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
        if len(stack) <= _REMEMBERED_LIMIT:
            _KNOWN.keep(stack, known)
    return known


def _read(stack: str) -> Thrown:
    if len(stack) > STACK_LIMIT:
        stack = f"{stack[: STACK_LIMIT // 2]}\n{stack[-STACK_LIMIT // 2 :]}"
    if is_java(stack):
        return read_java(stack)
    if is_python(stack):
        return read_python(stack)
    if is_node(stack):
        return read_node(stack)
    if is_go(stack):
        return read_go(stack)
    return read_dotnet(stack)
