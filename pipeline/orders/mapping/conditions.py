"""The language of `where`: which records of a topic are orders.

    payload.op in ["c", "r"] and not (order.test == true or header:ce_type != "order.created")

A value that is not there equals null and nothing else. Texts compare with texts, numbers with numbers, exactly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any

from pipeline.orders.mapping.paths import Path, PathError, TypeName, unquoted
from pipeline.orders.mapping.sources import Parts, Source, read_source
from pipeline.orders.mapping.values import JsonNumber

MAXIMUM_NUMBER = 128
"""A number of more characters equals none and is neither less nor more than one; so is one of a huge exponent."""
MAXIMUM_DEPTH = 32
"""Parentheses and `not` within each other."""
_KINDS = (
    r"(?P<space>\s+)|(?P<text>\"(?:[^\"\\]|\\.)*\"|'[^']*')|(?P<number>-?[0-9]+(?:\.[0-9]+)?)"
    r"|(?P<sign>==|!=|<=|>=|<|>|[(),\[\]])|(?P<word>(?:and|or|not|in|true|false|null)(?![\w.:\[-]))"
)
_TOKEN = re.compile(_KINDS)
_FAR_OUT = re.compile(r"[eE][+-]?0*[1-9][0-9]{4}")
_CONSTANTS = {"true": True, "false": False, "null": None}
_COMPARES: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}

Condition = Callable[[Parts], bool]


class ConditionError(ValueError):
    """A text is no condition; the message says where it goes wrong."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int
    source: Source | None = None


def parse_condition(text: str, source_of: Callable[[Source], Callable[[Parts], Any]]) -> Condition:
    """The condition that a text writes. `source_of` says how a value that it names is had. Raises ConditionError."""
    parser = _Parser(_tokens(text), source_of)
    condition = parser.either(0)
    parser.end()
    return condition


def _tokens(text: str) -> list[_Token]:
    tokens, at = list[_Token](), 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or _begins_path(match):
            try:
                end, source = read_source(text, at)
            except PathError as error:
                raise ConditionError(f"goes wrong at character {at + 1}: {error}") from error
            tokens.append(_Token("source", text[at:end], at, source))
            at = end
            continue
        if match.lastgroup != "space":
            tokens.append(_Token(str(match.lastgroup), match.group(), at))
        at = match.end()
    tokens.append(_Token("end", "its end", len(text)))
    return tokens


def _begins_path(match: re.Match[str]) -> bool:
    """Whether a text is a quoted name that a path begins with; one alone may be either."""
    return match.group().startswith('"') and match.string[match.end() : match.end() + 1] in (".", "[")


def _quoted_name(token: _Token) -> Path | None:
    return Path((unquoted(token.text[1:-1]),)) if token.text.startswith('"') and len(token.text) > 2 else None


class _Parser:
    """Reads a condition: `or` binds weakest, then `and`, then `not`."""

    def __init__(self, tokens: list[_Token], source_of: Callable[[Source], Callable[[Parts], Any]]) -> None:
        self._tokens = tokens
        self._source_of = source_of
        self._at = 0

    def either(self, depth: int) -> Condition:
        found = [self._all(depth)]
        while self._take("or"):
            found.append(self._all(depth))
        return found[0] if len(found) == 1 else lambda parts: any(each(parts) for each in found)

    def _all(self, depth: int) -> Condition:
        found = [self._one(depth)]
        while self._take("and"):
            found.append(self._one(depth))
        return found[0] if len(found) == 1 else lambda parts: all(each(parts) for each in found)

    def _one(self, depth: int) -> Condition:
        if depth > MAXIMUM_DEPTH:
            raise ConditionError("is nested too deeply")
        if self._take("not"):
            inner = self._one(depth + 1)
            return lambda parts: not inner(parts)
        if self._take("("):
            inner = self.either(depth + 1)
            self._want(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        token = self._next()
        source = token.source or _quoted_name(token)
        if source is None:
            raise self._wrong(token, "a path")
        value = self._source_of(source)
        sign = self._next()
        if sign.text == "not" and self._take("in"):
            return _negated(_one_of(value, self._list()))
        if sign.text == "in":
            return _one_of(value, self._list())
        if sign.text in ("==", "!="):
            equal = _one_of(value, [self._literal()])
            return equal if sign.text == "==" else _negated(equal)
        if sign.text in _COMPARES:
            return self._order(value, sign.text)
        raise self._wrong(sign, "==, !=, <, <=, >, >=, in or not in")

    def _order(self, value: Callable[[Parts], Any], sign: str) -> Condition:
        token = self._tokens[self._at]
        limit = self._literal()
        if not isinstance(limit, Decimal):
            raise self._wrong(token, "a number")
        compare = _COMPARES[sign]

        def is_met(parts: Parts) -> bool:
            number = _number(value(parts))
            return number is not None and compare(number, limit)

        return is_met

    def _list(self) -> list[Any]:
        self._want("[")
        found = [self._literal()]
        while self._take(","):
            found.append(self._literal())
        self._want("]")
        return found

    def _literal(self) -> Any:
        token = self._next()
        if token.kind == "text":
            inner = token.text[1:-1]
            return unquoted(inner) if token.text[0] == '"' else inner
        if token.kind == "number":
            return Decimal(token.text)
        if token.text in _CONSTANTS and token.kind == "word":
            return _CONSTANTS[token.text]
        raise self._wrong(token, 'a "text", a number, true, false or null')

    def end(self) -> None:
        token = self._next()
        if token.kind != "end":
            raise self._wrong(token, "and, or, or its end")

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _take(self, text: str) -> bool:
        token = self._tokens[self._at]
        found = token.text == text and token.kind in ("word", "sign")
        self._at += found
        return found

    def _want(self, text: str) -> None:
        if not self._take(text):
            raise self._wrong(self._tokens[self._at], text)

    def _wrong(self, token: _Token, wanted: str) -> ConditionError:
        return ConditionError(f"goes wrong at character {token.at + 1}: {token.text} stands where {wanted} should")


def _negated(condition: Condition) -> Condition:
    return lambda parts: not condition(parts)


def _one_of(value: Callable[[Parts], Any], literals: Sequence[Any]) -> Condition:
    texts = frozenset(each for each in literals if isinstance(each, str))
    numbers = frozenset(each for each in literals if isinstance(each, Decimal))
    flags = frozenset(each for each in literals if isinstance(each, bool))
    with_null = None in literals

    def is_met(parts: Parts) -> bool:
        found = value(parts)
        if found is None:
            return with_null
        if isinstance(found, bool):
            return found in flags
        if isinstance(found, TypeName):
            return found.is_one_of(texts)
        if isinstance(found, str) and not isinstance(found, JsonNumber):
            return found in texts
        return bool(numbers) and _number(found) in numbers

    return is_met


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | JsonNumber | float):
        return None
    if isinstance(value, float):
        return Decimal(repr(value)) if isfinite(value) else None
    if isinstance(value, JsonNumber) and (len(value) > MAXIMUM_NUMBER or _FAR_OUT.search(value)):
        return None
    return Decimal(value)
