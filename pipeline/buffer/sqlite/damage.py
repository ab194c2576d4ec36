"""What SQLite finds damaged in a buffer's file."""

from __future__ import annotations

import sqlite3


def damage_in(connection: sqlite3.Connection) -> list[str]:
    """A line for each damage; none where the file is whole."""
    lines: list[str] = []
    # SQLite 3.40 leaves the free pages out when the first table that it comes by is a virtual one, as those of the text
    # index are: with the schema's own table it looks at them.
    for looked_at in ("quick_check", "quick_check(sqlite_schema)"):
        for (told,) in connection.execute(f"PRAGMA {looked_at}"):
            lines += str(told).splitlines()
    return [line for line in dict.fromkeys(lines) if line not in ("ok", "*** in database main ***")]
