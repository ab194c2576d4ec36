"""Stack traces of Go: of a panic, of `debug.Stack`, and of packages that print errors with `%+v`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.dead_letters.causes.stacks.thrown import Thrown, own_frames

# A function in one line, and file and line in the next.
_FILE = re.compile(r"\n([^\n]*)\n\s{1,9}([^\s\n]+\.go):\d+")
_PANIC = re.compile(r"^panic: (?:main\.)?([^\n]*)", re.MULTILINE)
_LIBRARY = re.compile(r"/pkg/mod/|/vendor/|/go/src/|/usr/(?:local/|lib/)go|^\$GOROOT|@v\d|^_cgo|libexec/src/")
_PANICKED = "\npanic("
_ARGUMENTS = re.compile(r"\([^()]*\)$|\(\.\.\.\)$")
_CLOSURE = re.compile(r"(?:\.func\d+|\.gowrap\d+|\.\d+)+$")


def is_go(stack: str) -> bool:
    """Whether it has a frame of Go's."""
    return ".go:" in stack


def read_go(stack: str) -> Thrown:
    """Go names no classes. What panicked stands behind `panic:`."""
    panic = _PANIC.search(stack)
    # Before it stands who caught it.
    panicked = max(stack.rfind(_PANICKED), 0)
    return Thrown(None, panic[1] if panic else None, *own_frames(frames_of_go(stack[panicked:])))


def frames_of_go(stack: str) -> Iterator[str | None]:
    """The frames, innermost first; None for one of a library."""
    for function, file in _FILE.findall(f"\n{stack}"):
        function = _ARGUMENTS.sub("", function.strip())
        if function == "panic" or function.startswith(("created by", "runtime/debug.")):
            continue
        if function.startswith("runtime.") or _LIBRARY.search(file) or _is_standard(function, file):
            yield None
        else:
            yield _CLOSURE.sub("", function.rpartition("/")[2])


def _is_standard(function: str, file: str) -> bool:
    """Built with -trimpath, a file of the standard library has no folder before its package, and that has no host."""
    return (
        not file.startswith("/")
        and file[1:2] != ":"
        and "." not in file.partition("/")[0]
        and not function.startswith("main.")
    )
