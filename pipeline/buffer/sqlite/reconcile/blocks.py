"""Holds what is kept of dead letters by the block against their rows: eight blocks, evenly spread."""

from __future__ import annotations

import sqlite3

from pipeline.buffer.sqlite.search.blocks import THERE, Blocks
from pipeline.buffer.sqlite.search.columns import BLOCK, BLOCK_BITS, says
from pipeline.buffer.sqlite.stores.letter_blocks import letters_of

SAMPLED = 8


def wrong_blocks(connection: sqlite3.Connection) -> str:
    """A sentence when blocks do not say what their rows say; empty when they do, as far as was looked."""
    blocks = Blocks(connection)
    kept = sorted(blocks.numbers)
    looked = sorted({kept[len(kept) * number // SAMPLED] for number in range(SAMPLED)}) if kept else []
    wrong = [(number, field) for number in looked if (field := _wrong_field(connection, blocks, number))]
    if not wrong:
        return ""
    number, field = wrong[0]
    first = number << BLOCK_BITS
    return (
        f"{len(wrong)} of {len(looked)} blocks of dead letters looked at do not say what their rows say, "
        f"first that of ids {first} to {first + BLOCK - 1}: {field}"
    )


def _wrong_field(connection: sqlite3.Connection, blocks: Blocks, number: int) -> str:
    """The first field of a block that its rows contradict. What is known to have changed since is nowhere used."""
    letters = letters_of(connection, number)
    there = blocks.there(number) or b"\1" * BLOCK
    all_there = len(there) == BLOCK and all(there[place] for place in letters.places)
    if not all_there or (blocks.is_certain(number) and sum(there) != len(letters.places)):
        return THERE
    for field, cells in {**letters.texts, **letters.numbers}.items():
        column = blocks.column(number, field)
        if column is not None and not says(column, cells, letters.places):
            return field
    return ""
