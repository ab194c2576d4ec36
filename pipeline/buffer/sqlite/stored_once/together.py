"""Puts together what is stored in pieces, for queries that look through all rows. The view does it in SQL alone."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from json.encoder import encode_basestring as quoted

from pipeline.buffer.sqlite.stored_once.letter import COLUMNS
from pipeline.buffer.sqlite.stored_once.storing import STACK_MARKER

Piece = str | int | list[int] | None
_REMEMBERED = 4096
_STRING = r'"(?:[^"\\]|\\.)*"'
_VALUE = re.compile(rf"\[{_STRING}, ({_STRING})\]")
"""A header whose value is a text, in JSON as `header_pieces` writes it."""


@lru_cache(_REMEMBERED)
def _pieces(text: str) -> tuple[Piece, ...]:
    return tuple(json.loads(text))


def headers_of_set(pieces: str, own: str, reason: str, *columns: str | int | None) -> str:
    """A row's headers as JSON, a marker in place of its stack trace. `columns` are COLUMNS, as in the public table."""
    texts: list[str] = json.loads(own)
    return "".join(
        piece
        if isinstance(piece, str)
        else STACK_MARKER
        if piece is None
        else quoted(reason[piece[0] - 1 :])
        if isinstance(piece, list)
        else texts[piece]
        if piece >= 0
        else str(columns[-1 - piece])
        for piece in _pieces(pieces)
    )


HEADERS = (
    "iif(raw.set_ref IS NULL, raw.headers, headers_of_set("
    "(SELECT pieces FROM header_sets WHERE header_sets.set_ref = raw.set_ref), raw.headers, dead_letters.reason, "
    f"{', '.join(f'dead_letters.{name}' for name in COLUMNS)}))"
)
"""The SQL of that, for a row `raw` of `dead_letter_rows` and the same row of `dead_letters`."""


def fixed_texts(stacktrace: str, in_pieces: int) -> tuple[str, ...]:
    """What is the same in all stack traces that are stored so."""
    return tuple(piece for piece in _pieces(stacktrace) if isinstance(piece, str)) if in_pieces else (stacktrace,)


@lru_cache(_REMEMBERED)
def fixed_values(pieces: str) -> frozenset[str]:
    """The values of a header set that are the same in all dead letters of it. It may lack some, never has others."""
    texts = (piece for piece in _pieces(pieces) if isinstance(piece, str))
    return frozenset(json.loads(value) for text in texts for value in _VALUE.findall(text))


@lru_cache(_REMEMBERED)
def _lines_with_gaps(pieces: str) -> tuple[tuple[Piece, ...], ...]:
    """The lines of a stack trace in which the rows' own texts stand, each in pieces."""
    lines: list[list[Piece]] = [[]]
    for piece in _pieces(pieces):
        if not isinstance(piece, str):
            lines[-1].append(piece)
            continue
        first, *others = piece.split("\n")
        lines[-1].append(first)
        lines += [[each] for each in others]
    return tuple(tuple(line) for line in lines if len(line) > 1)


def own_lines(pieces: str, own: str | None, reason: str) -> list[str]:
    """The lines of a row's stack trace that are not the same in all that are stored so."""
    texts: list[str] = json.loads(own) if own else []
    return [
        "".join(
            piece if isinstance(piece, str) else reason[piece[0] - 1 :] if isinstance(piece, list) else texts[piece]
            for piece in line
            if isinstance(piece, (str, list, int))
        )
        for line in _lines_with_gaps(pieces)
    ]
