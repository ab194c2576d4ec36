"""Rows that many others refer to: each is there once, counts who refers to it, and goes with the last of them.

Triggers on the rows that refer to it count down; whoever adds such rows asks here for the references, which counts up.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline.buffer.sqlite.bulk_insert import BulkInsert

Cells = tuple[object, ...]
SHARED_TABLES = {"stack_ref": "stacktraces", "set_ref": "header_sets", "kind_ref": "dead_letter_kinds"}
"""The tables, by the column of `dead_letter_rows` that refers to them."""


class SharedRows:
    """A table of them: a reference, a digest of all that the row says, the columns that say it, and the count."""

    def __init__(self, reference: str, columns: Sequence[str]) -> None:
        table = SHARED_TABLES[reference]
        self._insert = BulkInsert(
            table,
            ("digest", *columns, "dead_letters"),
            "ON CONFLICT (digest) DO UPDATE SET dead_letters = dead_letters + excluded.dead_letters "
            f"RETURNING digest, {reference}",
        )

    def refer(
        self, connection: sqlite3.Connection, digests: Sequence[bytes | None], cells: Mapping[bytes, Cells]
    ) -> list[int | None]:
        """The reference to each of these, which are counted by now; None has none. `cells`: what each is, by digest."""
        counts = Counter([digest for digest in digests if digest is not None])
        if not counts:
            return [None] * len(digests)
        rows = [(digest, *cells[digest], count) for digest, count in counts.items()]
        refs = dict(self._insert.insert(connection, rows))
        return [None if digest is None else refs[digest] for digest in digests]
