"""The fingerprint of a failure: failures of one cause share it, whatever ids and amounts are in their messages.

It is made of what is in the failure alone, so that it is the same whenever and in whatever order failures come. A change
of what it is made of is a new version: old dead letters keep theirs until `python -m pipeline regroup`.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from pipeline.dead_letters.causes.codes import codes_in
from pipeline.dead_letters.causes.innermost import innermost_cause
from pipeline.dead_letters.causes.remembered import Remembered
from pipeline.dead_letters.causes.stacks import read_stack
from pipeline.dead_letters.causes.templates import MESSAGE_LIMIT, template
from pipeline.headers import gives_no_reason

FINGERPRINT_VERSION = 2
TITLE_LIMIT = 200

_FINGERPRINTS = Remembered[tuple[str | None, ...], str](2_000)


class Grouped(NamedTuple):
    """The fingerprint, 16 hexadecimal digits, and the title of a failure's group."""

    fingerprint: str
    title: str


def fingerprint(
    error_class: str | None,
    reason: str,
    rule: str | None,
    source_topic: str | None,
    stacktrace: str | None = None,
    topic: str | None = None,
) -> Grouped:
    """The group of a failure, by its innermost cause and where in the program's own code it failed.

    Failures of different rules or source topics never share one. `topic` is the dead-letter topic: letters of which
    nobody says why they failed are one group for each.
    """
    thrown = read_stack(stacktrace)
    cause = innermost_cause(error_class, reason, thrown)
    text = template(cause.message, thrown.by_program)
    unexplained = topic if error_class is None and not stacktrace and gives_no_reason(reason) else None
    codes = codes_in(reason[:MESSAGE_LIMIT]) if cause.message is not reason else ""
    identity = (cause.error_class, text, codes, rule, source_topic, unexplained, *thrown.frames)
    known = _FINGERPRINTS.get(identity)
    if known is None:
        told = json.dumps([FINGERPRINT_VERSION, *identity])
        known = hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
        _FINGERPRINTS.keep(identity, known)
    return Grouped(known, _cut(text or cause.error_class or rule or "no reason"))


def _cut(text: str) -> str:
    return text if len(text) <= TITLE_LIMIT else f"{text[: TITLE_LIMIT - 1]}…"
