"""Stack traces of .NET, as `Exception.ToString` writes them: the innermost exception's frames come first."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.dead_letters.causes.stacks.libraries import OF_DOTNET
from pipeline.dead_letters.causes.stacks.thrown import Thrown, own_frames

_INNER = " ---> "
_AT = re.compile(r"^\s{1,9}at ([^\s(\[]++(?:\[[^\]\n]*+\])?)\(?", re.MULTILINE)
_FIRST_FRAME = re.compile(r"\n\s{1,9}at |\n\s{0,9}--- End of ")
_HEADER = re.compile(r"\s*([\w.`+]+)(?: \(0x[0-9A-Fa-f]+\))?(?:: ([^\x00]*))?\Z")
_ARITY = re.compile(r"`\d+|\[[^\]]*\]")
_STATE_MACHINE = re.compile(r"\.<(\w+)>\w__\w+\.MoveNext$")
_LAMBDA = re.compile(r"(?:\.?<>c(?:__\w+)?)?\.<(\w+)>\w__\w+$")
_LOCAL = re.compile(r"<(\w+)>g__(\w+)\|\w+$")


def read_dotnet(stack: str) -> Thrown:
    """The last of the inner exceptions, which is the innermost. Its own frames, else those of what it caused."""
    begin = stack.rfind(_INNER)
    begin = begin + len(_INNER) if begin >= 0 else 0
    first_frame = _FIRST_FRAME.search(stack, begin)
    header = stack[begin : first_frame.start() if first_frame else len(stack)]
    named = None if header.lstrip().startswith("at ") else _HEADER.match(header)
    return Thrown(named[1] if named else None, named[2] if named else None, *own_frames(frames_of_dotnet(stack, begin)))


def frames_of_dotnet(stack: str, begin: int = 0) -> Iterator[str | None]:
    """The frames, innermost first; None for one of a library."""
    for at in _AT.finditer(stack, begin):
        name = at[1]
        if name.partition(".")[0] in OF_DOTNET:
            yield None
        else:
            name = _STATE_MACHINE.sub(r".\1", _ARITY.sub("", name))
            yield _LAMBDA.sub(r".\1", _LOCAL.sub(r"\1.\2", name)) if "<" in name else name
