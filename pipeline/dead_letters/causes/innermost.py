"""What failed innermost: by the stack, else by what a message says of what it wraps."""

from __future__ import annotations

import re
from typing import NamedTuple

from pipeline.dead_letters.causes.stacks import Thrown
from pipeline.dead_letters.causes.stacks.libraries import OF_GO, OF_JAVA


class Cause(NamedTuple):
    """The class and the message that tell what failed, each as far as it is known."""

    error_class: str | None
    message: str


# A message that begins with the class of what was thrown: `java.io.IOException: no route to host`.
_CLASS = r"[A-Za-z_][\w.$]*(?:Exception|Error|Failure|Fault|Timeout|Warning|Interrupt)"
_CLASS_FIRST = re.compile(rf"\s*({_CLASS})(?::\s+|\Z)")
# As SQLAlchemy does it.
_CLASS_IN_BRACKETS = re.compile(r"\s*\(([A-Za-z_]\w*(?:\.\w+)+)\)\s+")
_NESTED = "nested exception is "
_SAYS_NOTHING = re.compile(
    r"(?:listener failed|error processing (?:message|record)|(?:an )?(?:error|exception) (?:occurred|was thrown)|failed"
    r"|one or more errors occurred|see (?:the )?inner exception.*"
    r"|exception has been thrown by the target of an invocation"
    r"|unknown error|unexpected (?:error|exception)|internal (?:server )?error|null|none|error)[.!:]?\s*",
    re.IGNORECASE,
)
_RECURSES = ("StackOverflowError", "RecursionError", "StackOverflowException", "InsufficientExecutionStackException")
_OF_LANGUAGES = frozenset(
    "NullPointerException ClassCastException ArithmeticException "
    "ArrayIndexOutOfBoundsException StringIndexOutOfBoundsException ArrayStoreException NegativeArraySizeException "
    "NullReferenceException InvalidCastException IndexOutOfRangeException DivideByZeroException".split()
)
"""What Java and .NET throw by themselves, with a text of theirs."""
_OF_JAVASCRIPT = frozenset("TypeError ReferenceError RangeError SyntaxError URIError".split())
_OF_V8 = re.compile(
    r" is not (?:defined|a function|iterable|a constructor|extensible)|^(?:Cannot|Invalid|Unexpected"
    r"|Unterminated|Assignment|Maximum"
    r"|Converting|Class|Reduce|Incorrect|toFixed|Expected|Missing|Illegal)\b|before initialization|undefined"
)
_DOMAINS = frozenset(
    "com org net io de uk fr nl ch at eu se no dk fi pl cz it es co be br au us edu gov dev app".split()
)
_PREFIX_LIMIT = 4


def innermost_cause(error_class: str | None, message: str, thrown: Thrown) -> Cause:
    """The class and message of the stack's innermost cause, where it names one; else those of the failure."""
    if thrown.error_class is not None:
        error_class = thrown.error_class
        if thrown.message and not _SAYS_NOTHING.fullmatch(thrown.message):
            message = thrown.message
        elif thrown.frames or not message.strip():
            # Where it was thrown says more than the message of who passed it on.
            message = thrown.message or ""
    elif thrown.message:
        message = thrown.message
    return _unwrapped(error_class, message)


def is_of_program(error_class: str | None, message: str, by_program: bool) -> bool:
    """Whether the program itself has written the message: it threw what no language throws by itself.

    `by_program`: it was thrown in the program's own code. Else a class of Java's or Go's tells, by its package.
    """
    if by_program:
        name = (error_class or "").rpartition(".")[2]
        return name not in _OF_LANGUAGES and not (name in _OF_JAVASCRIPT and _OF_V8.search(message))
    if error_class is not None and error_class.startswith("*"):
        return error_class[1:].partition(".")[0] not in OF_GO
    first, _, rest = (error_class or "").partition(".")
    second, _, third = rest.partition(".")
    return first in _DOMAINS and bool(third) and f"{first}.{second}" not in OF_JAVA


def recurses(cause: Cause) -> bool:
    """Whether something called itself until the stack was full: where that happens, and on whose last word, differs."""
    return (cause.error_class or "").endswith(_RECURSES) or "all stack size exceeded" in cause.message


def _unwrapped(error_class: str | None, message: str) -> Cause:
    """Without the classes that a message begins with: the last of them is what was thrown."""
    if _NESTED in message:
        behind = message.rpartition(_NESTED)[2]
        message = behind if behind.strip() else message
    for _ in range(_PREFIX_LIMIT):
        named = _CLASS_FIRST.match(message) or _CLASS_IN_BRACKETS.match(message)
        if named is None:
            break
        error_class, message = named[1], message[named.end() :]
    return Cause(error_class, message)
