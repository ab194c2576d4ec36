"""What failed behind a wrapper: the innermost cause of a Java stack trace."""

from __future__ import annotations

import re
from collections.abc import Collection

from pipeline.records import Failure

# A message goes on until the first frame of the stack.
_CAUSE = re.compile(
    r"^Caused by: (?P<error_class>[\w.$]+)(?:: (?P<message>.*(?:\n(?!\s+at |\s+\.\.\. |Caused by: ).*)*))?",
    re.MULTILINE,
)


def innermost_cause(stacktrace: str) -> tuple[str, str | None] | None:
    """Class and message (None: it has none) of the last `Caused by:`; None where there is no cause.

    Causes of suppressed exceptions are indented and do not count.
    """
    causes = list(_CAUSE.finditer(stacktrace))
    if not causes:
        return None
    message = (causes[-1]["message"] or "").strip()
    return causes[-1]["error_class"], message or None


def with_innermost_cause(failure: Failure, wrappers: Collection[str]) -> Failure:
    """The failure with the class of the innermost cause where its own is a wrapper, which says nothing of it.

    Its message is kept, and what the cause says comes after it; so, too, where the message says only that more follows:
    it is "Listener failed", or ends in a colon.
    """
    message = (failure.message or "").strip()
    says_nothing = message == "Listener failed" or message.endswith(":")
    if not failure.stacktrace or not (says_nothing or failure.error_class in wrappers):
        return failure
    cause = innermost_cause(failure.stacktrace)
    if cause is None:
        return failure
    error_class, its_message = cause
    return failure._replace(error_class=error_class, message=_joined(failure.message, its_message))


def _joined(message: str | None, its_message: str | None) -> str | None:
    if not its_message or its_message in (message or ""):
        return message
    if not message or not message.strip():
        return its_message
    if message.rstrip().endswith((":", ";")):
        return message + ("" if message[-1].isspace() else " ") + its_message
    return f"{message}: {its_message}"
