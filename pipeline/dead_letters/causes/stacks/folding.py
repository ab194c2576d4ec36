"""A stack trace for people: the program's own frames and what was thrown, with runs of libraries' frames folded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.dead_letters.causes.stacks.dotnet import frames_of_dotnet
from pipeline.dead_letters.causes.stacks.go import frames_of_go, is_go
from pipeline.dead_letters.causes.stacks.java import frames_of_java, is_java
from pipeline.dead_letters.causes.stacks.node import frames_of_node, is_node
from pipeline.dead_letters.causes.stacks.python import frames_of_python, is_python

_MORE = re.compile(r"\t\.\.\. \d+ (?:more|common frames omitted)")
_PYTHON_FRAME = re.compile(r'^[ |]*File "')
_PYTHON_REST = re.compile(r"^[ |]* {4}")
_GO_FILE = re.compile(r"^\s{1,9}\S+\.go:\d+")
_AT = re.compile(r"^\s{1,24}at ")


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded stack trace: its text, and how many frames are the program's own and how many of libraries."""

    text: str
    own: int
    libraries: int


class _Piece(NamedTuple):
    """Lines that belong together; `is_own` None: they are no frame."""

    text: str
    is_own: bool | None


def fold(stack: str) -> Folded:
    """The stack trace with each run of libraries' frames as one line that says how many they are."""
    lines: list[str] = []
    own = libraries = run = 0
    for piece in (*_pieces(stack.splitlines()), _Piece("", None)):
        if piece.is_own is False:
            run += 1
            continue
        if run:
            lines.append(f"    … {run} frame{'' if run == 1 else 's'} of libraries")
            libraries, run = libraries + run, 0
        own += piece.is_own is True
        lines.append(piece.text)
    return Folded("\n".join(lines[:-1]), own, libraries)


def _pieces(lines: list[str]) -> Iterator[_Piece]:
    text = "\n".join(lines)
    if is_java(text):
        return _one_line_frames(lines, lambda line: line.startswith("\tat "), lambda line: frames_of_java(f"\n{line}"))
    if is_python(text):
        return _python_frames(lines)
    if is_node(text):
        return _one_line_frames(lines, _is_at, frames_of_node)
    if is_go(text):
        return _go_frames(lines)
    return _one_line_frames(lines, _is_at, frames_of_dotnet)


def _is_at(line: str) -> bool:
    return _AT.match(line) is not None


def _one_line_frames(
    lines: list[str], is_frame: Callable[[str], bool], frames: Callable[[str], Iterator[str | None]]
) -> Iterator[_Piece]:
    for line in lines:
        if _MORE.match(line):
            continue  # what it stands for is written out further up or down
        yield _Piece(line, _is_own(frames(line)) if is_frame(line) else None)


def _python_frames(lines: list[str]) -> Iterator[_Piece]:
    """A frame is a line that names the file, and behind it the source with marks under it."""
    at = 0
    while at < len(lines):
        begin, at = at, at + 1
        if not _PYTHON_FRAME.match(lines[begin]):
            yield _Piece(lines[begin], None)
            continue
        while at < len(lines) and _PYTHON_REST.match(lines[at]) and not _PYTHON_FRAME.match(lines[at]):
            at += 1
        frame = "\n".join([lines[begin].lstrip(" |"), *lines[begin + 1 : at]])
        yield _Piece("\n".join(lines[begin:at]), _is_own(frames_of_python(f"\n  {frame}")))


def _go_frames(lines: list[str]) -> Iterator[_Piece]:
    """A frame is a function in one line, and the file in the next."""
    at = 0
    while at < len(lines):
        pair = lines[at : at + 2]
        if len(pair) == 2 and _GO_FILE.match(pair[1]):
            text = "\n".join(pair)
            yield _Piece(text, _is_own(frames_of_go(text)))
            at += 2
        else:
            yield _Piece(lines[at], None)
            at += 1


def _is_own(frames: Iterator[str | None]) -> bool:
    """Whether it is the program's own frame; what is not known for one is a library's."""
    return next(frames, None) is not None
