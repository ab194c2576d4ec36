"""Reads a query: words to a tree, each part held against the fields that there are."""

from __future__ import annotations

import difflib
from dataclasses import replace
from unicodedata import combining, east_asian_width

from pipeline.errors import QueryError
from pipeline.orders.mapping.paths import PathError, parse_path
from pipeline.search.fields import FIELDS, FIELDS_BY_NAME, HEADER, ORDERED, STATUSES, VALUE, Field
from pipeline.search.query import Age, All, Compared, Either, InHeader, InValue, Leaf, Named, Not, Part, Query, Text
from pipeline.search.tokens import Token, tokens, unquoted
from pipeline.search.values import read_amount, read_number, read_time

MAXIMUM_LETTERS = 4_000
MAXIMUM_WORDS = 200
MAXIMUM_DEPTH = 50


def parse(text: str, now_ms: int, digits: int = 2) -> Query:
    """The query that a text writes. Ages count from `now_ms`; amounts have `digits` behind the point.

    Raises QueryError, which says where.
    """
    if len(text) > MAXIMUM_LETTERS:
        raise QueryError(f"the query is too long: at most {MAXIMUM_LETTERS:,} letters", MAXIMUM_LETTERS, len(text))
    _check_letters(text)
    words = tuple(tokens(text))
    if len(words) > MAXIMUM_WORDS:
        raise QueryError(f"the query has too many words: at most {MAXIMUM_WORDS}", words[MAXIMUM_WORDS].at, len(text))
    part = _Parser(words, len(text), now_ms, digits).whole()
    return Query(part.parts if isinstance(part, All) else (part,))


def pointed(text: str, error: QueryError, around: int = 60) -> str:
    """The query on one line, the part of it around the error, and below it what points at the place."""
    first = max(0, error.at - around)
    shown = "".join(letter if letter.isprintable() else " " for letter in text[first : error.at + around])
    before = ("…" if first else "") + shown[: error.at - first]
    length = max(1, min(error.end, len(text)) - error.at)
    marked = shown[error.at - first :][:length]
    rest = "…" if error.at + around < len(text) else ""
    return f"{before}{shown[error.at - first :]}{rest}\n{' ' * _columns(before)}{'^' * max(1, _columns(marked))}"


def _columns(text: str) -> int:
    """How many columns a terminal takes for it."""
    return sum(_columns_of(letter) for letter in text)


def _columns_of(letter: str) -> int:
    return 0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1


def _check_letters(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise QueryError("this is no letter of Unicode", error.start, error.end) from error
    if "\0" in text:
        raise QueryError("this letter is in no text", text.index("\0"), text.index("\0") + 1)


class _Parser:
    """Goes through the words once. Each method takes what it means and stops before the word after that."""

    def __init__(self, words: tuple[Token, ...], end: int, now_ms: int, digits: int) -> None:
        self._words = words
        self._end = end
        self._next = 0
        self._depth = 0
        self._now_ms = now_ms
        self._digits = digits

    def whole(self) -> Part:
        if not self._words:
            return All()
        part = self._either()
        if word := self._word():
            raise QueryError("this parenthesis was never opened", word.at, word.end)
        return part

    def _word(self) -> Token | None:
        return self._words[self._next] if self._next < len(self._words) else None

    def _take(self, kind: str) -> Token | None:
        word = self._word()
        if word is None or word.kind != kind:
            return None
        self._next += 1
        return word

    def _either(self) -> Part:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        if len(parts) == 1:
            return parts[0]
        return Either(tuple(each for part in parts for each in (part.parts if isinstance(part, Either) else (part,))))

    def _all(self) -> Part:
        parts = [self._one()]
        while (word := self._word()) and word.kind not in ("or", "close"):
            self._take("and")
            parts.append(self._one())
        if len(parts) == 1:
            return parts[0]
        return All(tuple(each for part in parts for each in (part.parts if isinstance(part, All) else (part,))))

    def _one(self) -> Part:
        word = self._word()
        if word is None or word.kind in ("and", "or", "close"):
            at = self._end if word is None else word.at
            raise QueryError("something to look for is missing here", at, at + 1 if word is None else word.end)
        self._next += 1
        if word.kind == "term":
            return self._leaf(word)
        self._depth += 1
        if self._depth > MAXIMUM_DEPTH:
            raise QueryError(f"the query is nested too deeply: at most {MAXIMUM_DEPTH} levels", word.at, word.end)
        part = Not(self._one()) if word.kind == "not" else self._in_parentheses(word)
        self._depth -= 1
        return part

    def _in_parentheses(self, opened: Token) -> Part:
        part = self._either()
        if not self._take("close"):
            raise QueryError("this parenthesis is never closed", opened.at, opened.end)
        return part

    def _leaf(self, word: Token) -> Leaf:
        if not word.name:
            if not word.value:
                raise QueryError("an empty text is in every letter", word.at, word.end)
            return Text(word.value)
        if word.name.startswith(HEADER):
            return _header(word)
        if word.name == VALUE or word.name.startswith((f"{VALUE}.", f"{VALUE}[")):
            return _value(word)
        field = FIELDS_BY_NAME.get(word.name)
        if field is None:
            raise QueryError(_unknown(word), word.at, word.at + len(word.name))
        if field.kind in ORDERED:
            return self._compared(field, word)
        return _named(field, word)

    def _compared(self, field: Field, word: Token) -> Compared:
        try:
            if field.kind == "time":
                value = read_time(word.value, self._now_ms)
                if isinstance(value, Age) and word.operator == ":":
                    raise ValueError(
                        f"say {field.name}:<{word.value} for younger or {field.name}:>{word.value} for older"
                    )
                return Compared(field.name, word.operator, value)
            number = read_number(word.value) if field.kind == "number" else read_amount(word.value, self._digits)
        except ValueError as error:
            raise QueryError(f"{field.name}: {error}", word.value_at, word.end) from error
        return Compared(field.name, word.operator, number)


def _named(field: Field, word: Token) -> Named:
    if word.operator != ":":
        raise QueryError(f"{field.name} has no order: write {field.name}:…", word.at, word.end)
    if field.kind == "status":
        # It is a choice, so one way to write it is enough.
        word = replace(word, value=word.value.lower())
        if word.value not in STATUSES:
            raise QueryError(f"a status is one of {', '.join(STATUSES)}", word.value_at, word.end)
    if field.kind in ("text", "group") and not word.value:
        raise QueryError(f"{field.name}: an empty text is in every letter", word.at, word.end)
    return Named(field.name, word.value)


def _header(word: Token) -> InHeader:
    name = word.name.removeprefix(HEADER)
    if name.startswith('"') and name.endswith('"') and len(name) > 1:
        name = unquoted(name[1:-1])
    if not name or word.operator != ":":
        raise QueryError("a header is asked for as header.NAME:value", word.at, word.end)
    return InHeader(name, word.value)


def _value(word: Token) -> InValue:
    text = word.name.removeprefix(VALUE).removeprefix(".")
    try:
        path = parse_path(text)
    except PathError as error:
        reason = str(error) if text else "a path is missing: value.customer.country:DE"
        raise QueryError(reason, word.at, word.at + len(word.name)) from error
    return InValue(path, word.operator, word.value)


def _unknown(word: Token) -> str:
    near = difflib.get_close_matches(word.name.lower(), [field.name for field in FIELDS], 1, 0.6)
    hint = f"did you mean {near[0]}?" if near else "a text with one of : < > = goes into quotes"
    return f"there is no field {word.name}; {hint}"
