"""Groups failures by cause: the same fault in another record gets the same fingerprint and a title that fits both."""

from __future__ import annotations

import hashlib
import json
import re
from functools import lru_cache

REASON_LIMIT = 1_000
"""Only so much of a reason is looked at: it bounds the work, and what follows seldom tells causes apart."""

TITLE_LIMIT = 200

_REMEMBERED = 250
"""Reasons of so many shapes are not looked at again: a burst of failures has a few, which differ in their numbers."""
_DIGITS = str.maketrans("123456789", "000000000")

# In this order: a place or a time is taken whole before its numbers are looked at.
_VARYING = (
    (re.compile(r"(?<![\w.-])[\w.-]++\[\d+\] offset \d+"), "<place>"),
    (re.compile(r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)?"), "<time>"),
    (re.compile(r"(?<!\w)'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`|“[^”\n]*”|«[^»\n]*»"), "<value>"),
    (re.compile(r"\b[A-Z]{2,12}(?:-\d+)+\b"), "<id>"),
    (re.compile(r"(?<=@)[0-9a-f]{5,}\b"), "<n>"),
    # Hexadecimal looks like a plain number now and then, so both become the same; plain numbers first, for their sign.
    (re.compile(r"(?<!\w)-?\d++(?:[.,]\d++)*+(?!\w)"), "<n>"),
    (re.compile(r"\b0[xX][0-9a-fA-F]+\b|\b[0-9a-fA-F]{16,}\b|\b(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}\b"), "<n>"),
    # With a unit behind it.
    (re.compile(r"(?<![A-Za-z_\d])-?\d+(?:[.,]\d+)*"), "<n>"),
    (re.compile(r"\s+"), " "),
)


def fingerprint(
    error_class: str | None, reason: str, rule: str | None, source_topic: str | None, reason_limit: int = REASON_LIMIT
) -> tuple[str, str]:
    """16 hexadecimal digits that failures of one cause share, and the title of their group.

    Failures of different rules, error classes or topics never share one. Of the reason so many characters count.
    """
    cause = without_varying_parts(reason[:reason_limit])
    identity = json.dumps([error_class, cause, rule, source_topic])
    digest = hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
    return digest, _cut(cause or error_class or rule or "no reason")


def without_varying_parts(text: str) -> str:
    """The text with places, times, quoted values, ids and numbers replaced by what they are.

    A place that it begins with says nothing of the cause and goes.
    """
    shape = text.translate(_DIGITS)
    cause = _taken_out(shape)
    # To the patterns one digit is as good as another, but for the 0 of 0x: where none is left, only the shape counted.
    return _taken_out(text) if "0" in cause or "0x" in shape or "0X" in shape else cause


@lru_cache(_REMEMBERED)
def _taken_out(text: str) -> str:
    for pattern, placeholder in _VARYING:
        text = pattern.sub(placeholder, text)
    return text.strip().removeprefix("<place>: ")


def _cut(text: str) -> str:
    return text if len(text) <= TITLE_LIMIT else f"{text[: TITLE_LIMIT - 1]}…"
