"""A section of the mapping file as text: sources, values and comments in the words of TOML."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.orders.mapping.amounts import AmountExpression, parse_amount
from pipeline.orders.mapping.conditions import ConditionError, parse_condition
from pipeline.orders.mapping.paths import Path, PathError
from pipeline.orders.mapping.sources import HeaderSource, Source, parse_source

WIDTH = 118
_PLAIN_HEADER = re.compile(r'[^\s"(),\[\]=!<>]+')
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def source_text(source: Source) -> str | None:
    """How the file writes a source, also as an amount; None where it has no words for it."""
    return next((each for each in _spellings(source) if _means(each, source)), None)


def _spellings(source: Source) -> list[str]:
    if isinstance(source, HeaderSource):
        plain = _PLAIN_HEADER.fullmatch(source.name)
        return [f"header:{source.name if plain else _quoted(source.name)}"]
    if not isinstance(source, Path):
        return [source.name]
    first, rest = source.steps[0], Path(("x", *source.steps[1:]))
    # A field may be called as something else is: `key`, `timestamp`.
    return [str(source), _quoted(str(first)) + str(rest)[1:]]


def _means(text: str, source: Source) -> bool:
    try:
        if parse_source(text) != source:
            return False
        if isinstance(source, Path) and source.has_each:
            return parse_amount(f"sum({text})") == AmountExpression((source,), is_sum=True)
        return text == "timestamp" or parse_amount(text) == AmountExpression((source,))
    except ValueError:
        return False


def condition_text(source: Source, values: Sequence[str]) -> str | None:
    """The condition that a source has one of these values; None where the file has no words for it."""
    text = source_text(source)
    literals = [_literal(each) for each in values]
    if text is None or None in literals:
        return None
    told = f"{text} == {literals[0]}" if len(literals) == 1 else f"{text} in [{', '.join(map(str, literals))}]"
    return told if _is_condition_on(told, source) else None


def presence_text(source: Source) -> str | None:
    """The condition that a source is there; None where the file has no words for it."""
    told = f"{source_text(source)} != null"
    return told if _is_condition_on(told, source) else None


def _is_condition_on(text: str, source: Source) -> bool:
    named: list[Source] = []

    def note(each: Source) -> Any:
        named.append(each)
        return lambda parts: None

    try:
        parse_condition(text, note)
    except (ConditionError, PathError):
        return False
    return named == [source]


def _literal(value: str) -> str | None:
    return _quoted(value) if value.isprintable() else None


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# ---- TOML


def toml_text(text: str) -> str:
    """A string of TOML."""
    if text.isprintable() and "'" not in text and ('"' in text or "\\" in text):
        return f"'{text}'"
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    return '"' + "".join(letter if letter.isprintable() else _escape(letter) for letter in escaped) + '"'


def _escape(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"


def toml_value(value: Any) -> str:
    """A value of TOML: a text, a number, a boolean, a list, or a table in braces."""
    if isinstance(value, str):
        return toml_text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        inner = ", ".join(f"{toml_key(key)} = {toml_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    return str(value)


def toml_key(key: str) -> str:
    """A key of TOML."""
    return key if _BARE_KEY.fullmatch(key) else toml_text(key)


def header_line(topic: str) -> str:
    """The line that begins a topic's section."""
    return f"[topics.{toml_text(topic)}]"


def comment(text: str) -> str:
    """Lines of a comment."""
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    lines = textwrap.wrap(shown, WIDTH - 2, subsequent_indent="  ", break_long_words=True, break_on_hyphens=False)
    return "\n".join(f"# {line}".rstrip() for line in lines)
