"""The fingerprint of a failure: failures of one cause share it, whatever ids and amounts are in their messages.

It is made of what is in the failure alone, so that it is the same whenever and in whatever order failures come. A
change of what it is made of is a new version: old dead letters keep theirs until `python -m pipeline regroup`.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from pipeline.dead_letters.causes.codes import codes_in
from pipeline.dead_letters.causes.innermost import innermost_cause, is_of_program, recurses
from pipeline.dead_letters.causes.remembered import ALL, Remembered
from pipeline.dead_letters.causes.stacks import frames_again_and_again, read_stack
from pipeline.dead_letters.causes.templates import MESSAGE_LIMIT, of_source, template
from pipeline.headers import gives_no_reason

FINGERPRINT_VERSION = 2
TITLE_LIMIT = 200

_PLAIN_OF_GO = ("*errors.", "*fmt.")
"""What Go calls errors that have a text and no type of their own: it tells how often they were wrapped, no more."""
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
    plain = (cause.error_class or "").startswith(_PLAIN_OF_GO)
    text = template(cause.message, is_of_program(cause.error_class, cause.message, thrown.by_program))
    if thrown.source:
        text = of_source(text, thrown.source)
    frames = thrown.frames
    if stacktrace and recurses(cause):
        frames, text = frames_again_and_again(stacktrace) or frames, ""
    unexplained = topic if error_class is None and not stacktrace and gives_no_reason(reason) else None
    codes = thrown.codes or (codes_in(reason[:MESSAGE_LIMIT]) if cause.message is not reason else "")
    identity = (None if plain else cause.error_class, text, codes, rule, source_topic, unexplained, *frames)
    known = _FINGERPRINTS.get(identity)
    if known is None:
        told = json.dumps([FINGERPRINT_VERSION, *identity])
        known = hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
        _FINGERPRINTS.keep(identity, known)
    return Grouped(known, _cut(text or cause.error_class or rule or "no reason"))


def forget() -> None:
    """Lets go of all that was worked out before. Fingerprints stay the same: none depends on what came earlier."""
    for each in ALL:
        each.forget()


def _cut(text: str) -> str:
    return text if len(text) <= TITLE_LIMIT else f"{text[: TITLE_LIMIT - 1]}…"
