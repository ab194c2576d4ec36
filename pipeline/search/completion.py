"""What may stand at a place of a query that is still being written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.errors import QueryError
from pipeline.search.fields import FIELDS, FIELDS_BY_NAME, HEADER, ORDERED, STATUSES, VALUE
from pipeline.search.query import CONNECTIVES, written
from pipeline.search.tokens import Token, tokens

KnownValues = Callable[[str], Sequence[str]]
"""The values that a field is known to have, by its name."""

_AGES = ("<15m", "<1h", "<1d", "<1w")
_COMPARISONS = ("<", "<=", ">", ">=")
_BEGINNINGS = (*(f"{field.name}{'' if field.kind in ORDERED else ':'}" for field in FIELDS), HEADER, f"{VALUE}.")


@dataclass(frozen=True, slots=True)
class Completion:
    """What may stand in place of the letters from `at` up to `end`, likeliest first."""

    at: int
    end: int
    options: tuple[str, ...]

    def applied(self, text: str, option: str) -> str:
        """The query with one of the options taken."""
        return text[: self.at] + option + text[self.end :]


def complete(text: str, cursor: int, known: KnownValues) -> Completion:
    """What may stand where the cursor is, going on from what stands before it."""
    before = text[:cursor]
    word = _last_word(before)
    if word is None:
        return Completion(cursor, cursor, _BEGINNINGS)
    if word.name:
        return Completion(word.value_at, cursor, _values(word, known))
    written_so_far = before[word.at :]
    # In small letters they are texts. Only NOT may come first.
    connectives = [each for each in CONNECTIVES if each.startswith(written_so_far) and (word.at or each == "NOT")]
    return Completion(word.at, cursor, (*connectives, *_beginning_with(written_so_far, _BEGINNINGS)))


def _last_word(before: str) -> Token | None:
    """The term that ends at the cursor, be it half written; None where a new one may begin."""
    # A letter more makes a term of a field that has no value yet; a quote more closes the one that is open.
    for more in ("", "x", '"', 'x"'):
        try:
            words = list(tokens(before + more))
        except QueryError:
            continue
        if not words or words[-1].kind != "term" or words[-1].end < len(before + more):
            return None
        last = words[-1]
        if last.at >= len(before):
            return None
        return last if not more.startswith("x") else _without_value(last)
    return None


def _without_value(word: Token) -> Token:
    return Token(word.kind, word.at, word.end - 1, "", word.value_at, word.name, word.operator)


def _values(word: Token, known: KnownValues) -> tuple[str, ...]:
    field = FIELDS_BY_NAME.get(word.name)
    if field is None:
        return ()
    if field.kind == "time":
        return _AGES if word.operator == ":" and not word.value else ()
    if field.kind in ORDERED:
        return _COMPARISONS if word.operator == ":" and not word.value else ()
    values = STATUSES if field.kind == "status" else known(field.name)
    return tuple(written(each) for each in _beginning_with(word.value, values))


def _beginning_with(text: str, options: Iterable[str]) -> tuple[str, ...]:
    folded = text.casefold()
    return tuple(each for each in options if each.casefold().startswith(folded) and each != text)
