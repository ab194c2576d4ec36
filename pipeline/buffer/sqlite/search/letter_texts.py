"""What of dead letters stands in the text index, and how a text is asked for there.

The index knows which three letters in a row, *trigrams*, a dead letter has anywhere, and no more: it names all that may
hold a text and some that do not. Texts are folded before they come here and before they are asked for.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

from pipeline.buffer.sqlite.stored_once.names import is_ours
from pipeline.buffer.sqlite.stored_once.together import HEADERS, fixed_texts, fixed_values, own_lines
from pipeline.search.folding import folded

SHORT_HEADER_LETTERS = 256
"""Values of headers up to this length are looked through for a text: longer ones are payloads, not ids."""
MOST_LETTERS = 32_768
"""A dead letter or stack trace with more to index is not in the index, but noted as one to be looked at each time."""
MOST_TRIGRAMS = 24
"""A longer text is asked for by so many of its trigrams: they name as few as all do."""
TRIGRAM = 3
_REMEMBERED_SETS = 4096
_Cell = str | bytes | None
_BETWEEN = "\x1f"
_NOT_ASKED = re.compile("[\0\ud800-\udfff]")
"""What ends a text for SQLite, and what is no text to it."""

LETTERS = f"""
SELECT raw.id, raw.stack_ref, (SELECT own.stacktrace FROM stacktraces AS own
                               WHERE own.stack_ref = raw.stack_ref AND own.in_pieces),
       raw.stacktrace, (SELECT own.pieces FROM header_sets AS own WHERE own.set_ref = raw.set_ref),
       {HEADERS}, dead_letters.dead_letter_id, dead_letters.reason, dead_letters.error_class,
       raw.order_id, raw.customer_id, raw.product, raw.key
FROM dead_letter_rows AS raw CROSS JOIN dead_letters USING (id) WHERE
"""
"""Selects ids, and what `letter_texts` is given."""
LETTER_COLUMNS = ("reason", "error_class", "order_id", "customer_id", "product", "key", "headers", "stacktrace")
"""The columns of the index of dead letters: where texts meet in one, there are trigrams that nobody asks for."""
STACKS = "SELECT stack_ref, stacktrace, in_pieces FROM stacktraces WHERE "
"""Selects ids, and what `stack_texts` is given."""
SETS = "SELECT set_ref, pieces FROM header_sets WHERE "
"""Selects ids, and what `set_texts` is given."""


def letter_texts(
    stack_ref: int | None,
    pieces: str | None,
    stack: str | None,
    set_pieces: str | None,
    headers: str,
    name: str,
    reason: str,
    *cells: _Cell,
) -> tuple[str, ...] | None:
    """What LETTER_COLUMNS are given of a dead letter, as `LETTERS` selects it; None where it is too much.

    Of a stack trace that is stored once the lines that are not the same in all, and of a header set the values that are
    not: the others are indexed once, too. What is told in one column is not told again in another one. Its name is not
    indexed where it is ours: that is looked up by its beginning, which saves a seventh of the index.
    """
    others = [[cell if isinstance(cell, str) else cell.decode(errors="replace")] if cell else [] for cell in cells]
    of_set = fixed_values(set_pieces) if set_pieces else frozenset()
    names = [] if is_ours(name) else [name]
    others.append([value for value in short_values(headers, name) if value not in of_set] + names)
    if stack_ref is None:
        others.append([stack] if stack else [])
    else:
        others.append([] if pieces is None else own_lines(pieces, stack, reason))
    if len(reason) + sum(len(text) for texts in others for text in texts) > MOST_LETTERS:
        return None
    first = folded(reason)
    columns, told = [_indexable(first)], {first}
    for texts in others:
        parts = dict.fromkeys(part for text in texts for part in _beside(folded(text), first))
        columns.append(_indexable(_BETWEEN.join(part for part in parts if part not in told)))
        told |= parts.keys()
    return tuple(columns)


def stack_texts(stacktrace: str, in_pieces: int) -> tuple[str] | None:
    """What the index is given of stack traces that are stored so, the same in all; None where that is too much."""
    if len(stacktrace) > MOST_LETTERS:
        return None
    return (_indexable(folded(_BETWEEN.join(fixed_texts(stacktrace, in_pieces)))),)


def set_texts(pieces: str) -> tuple[str]:
    """What the index is given of header sets that are stored so, the same in all."""
    return (_indexable(_BETWEEN.join(sorted(folded_values(pieces)))),)


@lru_cache(_REMEMBERED_SETS)
def folded_values(pieces: str) -> frozenset[str]:
    """The short values that are the same in all dead letters of a header set, folded."""
    return frozenset(folded(value) for value in fixed_values(pieces) if len(value) <= SHORT_HEADER_LETTERS)


def match_of(wanted: str) -> str | None:
    """How the index is asked for a folded text; None where it cannot tell: of less than three letters, or of two lines.

    Lines of a stack trace may stand in different places of the index.
    """
    return None if "\n" in wanted else match_of_any_lines(wanted)


def match_of_any_lines(*texts: str) -> str | None:
    """How the index is asked for all of folded texts that it was given together; None where they have no trigrams."""
    trigrams = (text[begin : begin + TRIGRAM] for text in texts for begin in range(len(text) - TRIGRAM + 1))
    asked = list(dict.fromkeys(each for each in trigrams if not _NOT_ASKED.search(each)))
    if not asked:
        return None
    step = -(-len(asked) // MOST_TRIGRAMS)
    return " AND ".join('"' + each.replace('"', '""') + '"' for each in asked[::step])


def short_values(headers: str, name: str) -> list[str]:
    """The values of headers that are looked through for a text; none that repeats a dead letter's name."""
    skipped = name if is_ours(name) else None
    values = (value for _, value in json.loads(headers))
    return [
        value for value in values if isinstance(value, str) and len(value) <= SHORT_HEADER_LETTERS and value != skipped
    ]


def _beside(text: str, reason: str) -> tuple[str, ...]:
    """The parts of a text that, with a reason which is told anyway, have all of its trigrams."""
    at = text.find(reason) if len(reason) >= TRIGRAM else -1
    if at < 0:
        return (text,)
    overlap = TRIGRAM - 1
    before, after = text[: at + overlap] if at else "", text[at + len(reason) - overlap :]
    return tuple(part for part in (before, after) if len(part) >= TRIGRAM)


def _indexable(text: str) -> str:
    if text.isascii():
        return text.replace("\0", _BETWEEN)
    return text.encode(errors="replace").decode().replace("\0", _BETWEEN)
