"""What a field holds in a block of dead letters: a code a letter, and what the codes stand for.

Most fields have few values in a block, so a byte tells which. Numbers of many values share codes, which then are
ranges. Texts of many values, such as keys, are two bytes of a hash.
"""

from __future__ import annotations

import json
from array import array
from binascii import crc32
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pipeline.search.folding import folded

BLOCK_BITS = 13
BLOCK = 1 << BLOCK_BITS
"""Dead letters whose ids differ in these lowest bits alone are a block."""
Kind = Literal["texts", "ranges", "hashes"]
_MOST_CODES = 255
_MOST_LETTERS = 20_000
"""Texts of a block that are longer together are hashed."""


class Column(NamedTuple):
    """A field of a block, by a letter's place in the block. Code 0 is NULL, and what is not there.

    `meaning` is JSON: what code 1 and those after it stand for, a text or [least, greatest]. Without `codes` all have
    code 1, or are NULL where it stands for nothing.
    """

    kind: Kind
    meaning: str
    codes: bytes


def column_of_texts(cells: Sequence[str | None], places: Sequence[int]) -> Column:
    """The texts of the letters at these places."""
    values = sorted({cell for cell in cells if cell is not None})
    if len(values) > _MOST_CODES or sum(map(len, values)) > _MOST_LETTERS:
        hashes = array("H", bytes(2 * BLOCK))
        for place, cell in zip(places, cells, strict=True):
            if cell is not None:
                hashes[place] = hash_of(cell)
        return Column("hashes", "[]", hashes.tobytes())
    return _coded("texts", values, {value: code for code, value in enumerate(values, 1)}, cells, places)


def column_of_numbers(cells: Sequence[int | None], places: Sequence[int]) -> Column:
    """The numbers of the letters at these places."""
    values = sorted({cell for cell in cells if cell is not None})
    width = -(-len(values) // _MOST_CODES) or 1
    ranges = [values[first : first + width] for first in range(0, len(values), width)]
    codes = {value: code for code, each in enumerate(ranges, 1) for value in each}
    return _coded("ranges", [(each[0], each[-1]) for each in ranges], codes, cells, places)


def column_of_places(places: Sequence[int]) -> Column:
    """Which letters of a block are there."""
    if len(places) == BLOCK:
        return Column("texts", '[""]', b"")
    there = bytearray(BLOCK)
    for place in places:
        there[place] = 1
    return Column("texts", '[""]', bytes(there))


def says(column: Column, cells: Sequence[Any], places: Sequence[int]) -> bool:
    """Whether a column that was kept says this of the letters at these places."""
    try:
        return _says(column, cells, places)
    except ValueError:  # no JSON, or half a hash at its end
        return False


def _says(column: Column, cells: Sequence[Any], places: Sequence[int]) -> bool:
    if column.kind == "hashes":
        hashes = array("H", column.codes)
        return len(hashes) == BLOCK and all(
            hashes[place] == (0 if cell is None else hash_of(cell)) for place, cell in zip(places, cells, strict=True)
        )
    meaning = [None, *json.loads(column.meaning)]
    codes = column.codes or bytes([len(meaning) - 1]) * BLOCK
    if len(codes) != BLOCK or max(codes) >= len(meaning):
        return False
    told = (meaning[codes[place]] for place in places)
    if column.kind == "texts":
        return list(told) == list(cells)
    return all(
        cell is None if ends is None else cell is not None and ends[0] <= cell <= ends[1]
        for ends, cell in zip(told, cells, strict=True)
    )


def hash_of(text: str) -> int:
    """Of a text in any case: two bytes, never 0. Kept in buffers: it must stay as it is."""
    return crc32(folded(text).encode(errors="surrogatepass")) & 0xFFFF or 1


def places_of_hash(hashes: bytes, wanted: int) -> list[int]:
    """Where among hashes one stands."""
    sought = array("H", (wanted,)).tobytes()
    places = []
    at = hashes.find(sought)
    while at >= 0:
        if at % 2 == 0:
            places.append(at // 2)
        at = hashes.find(sought, at + 1)
    return places


def _coded(
    kind: Kind,
    meaning: Sequence[object],
    codes: Mapping[Any, int],
    cells: Sequence[Any],
    places: Sequence[int],
) -> Column:
    written = json.dumps(meaning, ensure_ascii=False, separators=(",", ":"))
    coded = bytes([0 if cell is None else codes[cell] for cell in cells])
    if len(set(coded)) <= 1 and len(meaning) == (1 if any(coded) else 0):
        return Column(kind, written, b"")
    if len(places) < BLOCK:
        spread = bytearray(BLOCK)
        for place, code in zip(places, coded, strict=True):
            spread[place] = code
        coded = bytes(spread)
    return Column(kind, written, coded)
