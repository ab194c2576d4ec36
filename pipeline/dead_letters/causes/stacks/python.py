"""Tracebacks of Python: the innermost frame comes last, and a cause before what it caused."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.dead_letters.causes.stacks.thrown import Thrown, own_frames

_BEGIN = "Traceback (most recent call last):"
_DIRECT = "The above exception was the direct cause of the following exception:"
_MEANWHILE = "During handling of the above exception, another exception occurred:"
_TEXT = re.compile(r"[\"'][^\"']*\w \w[^\"']*[\"']")
_LINKS = re.compile(rf"({re.escape(_DIRECT)}|{re.escape(_MEANWHILE)})")
_LOOKED_UP = frozenset("KeyError IndexError AttributeError StopIteration LookupError ValueError".split())
"""What a program catches when it looks something up: what it does then is another matter."""
_FRAME = '\n  File "'
_LIBRARY = re.compile(
    r"[/\\]pipeline[/\\](?:orders|processing|consuming|kafka|running|buffer)[/\\]|dist-packages"
    r"|[/\\]lib(?:64)?[/\\]python\d|[/\\]Lib[/\\](?!site)|^<|\.venv[/\\]|[/\\]python\d[\d.]*\.zip"
)
_BACKSLASH = chr(92)
_IN = re.compile(r'([^"\n]*)", line \d+, in ([^\n]+)(?:\n {4,}([^\n]*))?')
_THROWN = re.compile(r"^([A-Za-z_][\w.]*)(?:: ([^\x00]*))?", re.MULTILINE)
_GROUP_EDGE = re.compile(r"^ *[|+] ?(?:-\+-*[ \d.]*-*)?", re.MULTILINE)


def is_python(stack: str) -> bool:
    """Whether it has a frame of Python's."""
    return _FRAME in stack or stack.startswith(_BEGIN) or '\n  |   File "' in stack


def read_python(stack: str) -> Thrown:
    """The first exception of the chain that the last one came of; of a group, the last one in it."""
    if "\n  | " in stack:
        stack = _GROUP_EDGE.sub("", stack)
    if _DIRECT not in stack and _MEANWHILE not in stack:
        return _with_source(Thrown(*_thrown(stack), *own_frames(frames_of_python(stack))))
    blocks = _LINKS.split(stack)
    block = blocks[-1]
    frames, by_program = own_frames(frames_of_python(block))
    for link, before in zip(reversed(blocks[1::2]), reversed(blocks[:-1:2]), strict=True):
        if link == _MEANWHILE and _thrown(before)[0] in _LOOKED_UP:
            break
        block = before
        nearer, by_program = own_frames(frames_of_python(block))
        frames = nearer or frames
    return _with_source(Thrown(*_thrown(block), frames, by_program))


def _with_source(thrown: Thrown) -> Thrown:
    """With the line that raised it where that holds its text: the words there are the program's, all others values."""
    source = thrown.frames[0].partition(": ")[2] if thrown.by_program else ""
    if source and not source.startswith("raise"):
        return thrown._replace(by_program=False)  # Python itself threw it there
    return thrown._replace(source=source) if _TEXT.search(source) else thrown


def frames_of_python(block: str) -> Iterator[str | None]:
    """Innermost first, that one with its line of source: it tells what the program did there."""
    at = block.rfind(_FRAME)
    before = ""
    while at >= 0:
        where = _IN.match(block, at + len(_FRAME))
        if where is None or "site-packages" in where[1] or _LIBRARY.search(where[1]):
            yield None
        else:
            frame = f"{where[1].replace(_BACKSLASH, '/').rpartition('/')[2]}:{where[2]}"
            if not before:
                yield f"{frame}: {where[3].strip()}" if where[3] else frame
            elif frame != before:
                yield frame
            before = frame
        at = block.rfind(_FRAME, 0, at)


def _thrown(block: str) -> tuple[str | None, str | None]:
    """The line behind the last frame, and what follows: class and message."""
    begin = block.rfind(_FRAME)
    begin = block.find("\n", begin + 1) if begin >= 0 else block.find(_BEGIN) + len(_BEGIN) * (_BEGIN in block)
    found = _THROWN.search(block, max(begin, 0))
    return (None, None) if found is None else (found[1], (found[2] or "").strip() or None)
