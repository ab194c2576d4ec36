"""The words of a query, each with its place in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import QueryError
from pipeline.search.query import Operator

Kind = Literal["open", "close", "not", "and", "or", "term"]

_SPACE = re.compile(r"\s*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_NAME = re.compile(r'[^\s"():<>=-](?:"(?:[^"\\]|\\.)*"|[^\s"():<>=])*(?=[:<>=])', re.DOTALL)
_OPERATOR = re.compile(r":?(<=|>=|<|>|=)|:")
_VALUE = re.compile(r'[^\s"()]+')
_WORD = re.compile(r'[^\s"()]+')
_SIGNS: dict[str, Kind] = {"(": "open", ")": "close", "-": "not"}
_CONNECTIVES: dict[str, Kind] = {"AND": "and", "OR": "or", "NOT": "not"}
_OPERATORS: dict[str, Operator] = {":": ":", "=": ":", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
ENDS = frozenset("()")


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the query, from character `at` up to `end`. Of a term: its value, and what stands before that."""

    kind: Kind
    at: int
    end: int
    value: str = ""
    value_at: int = 0
    name: str = ""
    operator: Operator = ":"


def tokens(text: str) -> Iterator[Token]:
    """The words from left to right. Raises QueryError."""
    at = _after_space(text, 0)
    while at < len(text):
        token = _token(text, at)
        yield token
        at = _after_space(text, token.end)


def unquoted(text: str) -> str:
    """What stands between two quotes, as it is meant."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _token(text: str, at: int) -> Token:
    if text[at] in _SIGNS:
        if text[at] == "-" and (at + 1 == len(text) or text[at + 1].isspace() or text[at + 1] == ")"):
            raise QueryError('nothing stands behind this -; a text that is a - goes into quotes: "-"', at, at + 1)
        return Token(_SIGNS[text[at]], at, at + 1)
    if name := _NAME.match(text, at):
        return _term_of_field(text, name)
    if text[at] == '"':
        value, end = _quoted(text, at)
        return Token("term", at, end, value, at)
    word = _WORD.match(text, at)
    assert word, "all other characters begin a word"
    if (kind := _CONNECTIVES.get(word[0])) and not _goes_on(text, word.end()):
        return Token(kind, at, word.end())
    if any(sign in word[0] for sign in ":<>="):
        raise QueryError("a field is missing here; a text with one of : < > = goes into quotes", at, word.end())
    _ends_here(text, word.end())
    return Token("term", at, word.end(), word[0], at)


def _term_of_field(text: str, name: re.Match[str]) -> Token:
    operator = _OPERATOR.match(text, name.end())
    assert operator, "a name ends before an operator"
    sign = _OPERATORS[operator[1] or operator[0]]
    at = operator.end()
    if at < len(text) and text[at] == '"':
        value, end = _quoted(text, at)
        return Token("term", name.start(), end, value, at, name[0], sign)
    word = _VALUE.match(text, at)
    if word is None:
        raise QueryError(f"a value is missing behind {name[0]}{operator[0]}", name.start(), at)
    _ends_here(text, word.end())
    return Token("term", name.start(), word.end(), word[0], at, name[0], sign)


def _quoted(text: str, at: int) -> tuple[str, int]:
    match = _QUOTED.match(text, at)
    if match is None:
        raise QueryError("this quote is never closed", at, at + 1)
    if _goes_on(text, match.end()):
        raise QueryError("a space is missing behind the quote", match.end() - 1, match.end())
    return unquoted(match[1]), match.end()


def _goes_on(text: str, at: int) -> bool:
    return at < len(text) and not text[at].isspace() and text[at] not in ENDS


def _ends_here(text: str, at: int) -> None:
    if _goes_on(text, at):
        raise QueryError('a quote stands in the middle of a word; put all of it into quotes: "…\\"…"', at, at + 1)
