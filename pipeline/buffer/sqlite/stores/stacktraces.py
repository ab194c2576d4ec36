"""Stack traces, each stored once: a row refers to it, and a marker stands for it in the row's headers.

The view `dead_letters` puts both back. The marker cannot stand in headers by itself: no string of JSON has a bare quote
in it, and no value of a header is such an object.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Sequence
from json.encoder import encode_basestring as quoted

from pipeline.buffer.sqlite.bulk_insert import BulkInsert
from pipeline.buffer.sqlite.search.functions import MARKER

SHORTEST = 200
"""Characters from which on a reference is worth it."""
_STACKS = BulkInsert(
    "stacktraces",
    ("digest", "stacktrace", "dead_letters"),
    "ON CONFLICT (digest) DO UPDATE SET dead_letters = dead_letters + excluded.dead_letters",
)


class StoredStacks:
    """The stack traces of new rows, stored and counted by now."""

    def __init__(self, connection: sqlite3.Connection, stacks: Sequence[str | None]) -> None:
        counts = Counter(stack for stack in stacks if stack is not None and _worth_it(stack))
        self.refs: dict[str | None, tuple[int, str]] = {}
        """The reference to each that is stored here, and how it stands in headers."""
        if not counts:
            return
        digests = {hashlib.blake2b(stack.encode(), digest_size=16).digest(): stack for stack in counts}
        _STACKS.insert(connection, [(digest, stack, counts[stack]) for digest, stack in digests.items()])
        found = connection.execute(
            f"SELECT digest, stack_ref FROM stacktraces WHERE digest IN ({', '.join('?' * len(digests))})",
            list(digests),
        )
        self.refs = {digests[digest]: (ref, quoted(digests[digest])) for digest, ref in found}

    def of(self, headers: str, stack: str) -> tuple[str, None, int]:
        """What a row has instead of a stack trace that is stored here: its headers (JSON), none, and the reference."""
        ref, in_json = self.refs[stack]
        return headers.replace(in_json, MARKER), None, ref


def _worth_it(stack: str) -> bool:
    # SQLite's functions end a text at a NUL.
    return len(stack) >= SHORTEST and "\0" not in stack
