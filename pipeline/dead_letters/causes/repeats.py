"""What a message says several times, once: a list may hold one thing or many, and so may a chain of callers."""

from __future__ import annotations

import re

from pipeline.dead_letters.causes.payloads import VALUE

_PARTS = re.compile(r"(: |; |, )")
_SAID_LIMIT = 60
"""Of a message of more parts the rest is as it is."""
_COUNTED = re.compile(
    rf"({VALUE} (?:\w+ )?(?:error|item|row|record|violation|line|attempt|argument|element|byte|character"
    rf"|problem|failure|value"
    r"|column|part|message|order|field|entr|time|partition|offset))(?:s|ies|y)\b"
)


def once(text: str) -> str:
    """The text in one line, without what it repeats: lines, steps of a chain, and items of a list, in any order."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    text = " ".join(dict.fromkeys(filter(None, map(_once_in_line, lines))))
    return _COUNTED.sub(r"\1", text) if VALUE in text else text


def _once_in_line(line: str) -> str:
    if ": " not in line and ", " not in line and "; " not in line:
        return line
    for separator in ("; ", ", "):
        line = separator.join(dict.fromkeys(line.split(separator)))
    parts = _PARTS.split(line, _SAID_LIMIT)
    if len(parts) == 1:
        return line
    items = _items(line)
    if items:
        return ", ".join(items)
    kept: list[str] = []
    for index in range(0, len(parts), 2):
        # `entry 1: entry 2: entry 3 has no root`: the last of them says it.
        part, later = parts[index], parts[index + 2 :: 2]
        if len(part) > 1 and later and (later[0].startswith(part) or part in later):
            continue
        kept += parts[index : index + 2]
    return "".join(kept)


def _items(line: str) -> list[str]:
    """Items that each name what they speak of, as `price: must be positive, name: must not be blank`; else none."""
    items = line.split(", ")
    told = len(items) > 1 and all(": " in item for item in items)
    return sorted(set(items)) if told else []
