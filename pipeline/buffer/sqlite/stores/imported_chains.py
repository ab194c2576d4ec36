"""Chains of dead-letter topics out of files: an imported dead letter whose record went on to a further topic.

Where an imported one stood is in its row alone, and no index has that: it is noted in tables that go with the
connection. The two may stand in one file in any order; of two files, that of the earlier topic is imported first.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from pipeline.buffer.contract import DeadLetterRow
from pipeline.buffer.sqlite.stores.chains import settle

_PLACES = (
    "CREATE TEMP TABLE {} (topic TEXT, partition INTEGER, position INTEGER, id INTEGER, "
    "PRIMARY KEY (topic, partition, position, id)) WITHOUT ROWID"
)
_STOOD = 'SELECT topic, partition, "offset", id FROM dead_letters WHERE id > ? AND topic IS NOT NULL'
_NOTE = "INSERT OR IGNORE INTO temp.{} SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?)"
_AT = (
    "FROM json_each(?) AS here CROSS JOIN temp.{} AS there ON there.topic = here.value ->> 0 "
    "AND there.partition = here.value ->> 1 AND there.position = here.value ->> 2"
)
_EARLIER = f"SELECT there.id, here.value ->> 3 {_AT.format('import_stood')}"
_LATER = f"SELECT here.value ->> 3, there.id {_AT.format('import_came_from')}"


def note_where_they_stood(connection: sqlite3.Connection) -> None:
    """To be called before the first imported dead letters of a connection are added."""
    if connection.execute("SELECT 1 FROM temp.sqlite_master WHERE name = 'import_stood'").fetchone() is not None:
        return
    for name in ("import_stood", "import_came_from"):
        connection.execute(_PLACES.format(name))
    connection.execute(f"INSERT INTO temp.import_stood {_STOOD}", (0,))


def settle_imported(connection: sqlite3.Connection, rows: Sequence[DeadLetterRow], after_id: int, now_ms: int) -> None:
    """Links the new ones, those after this id, with the imported ones whose record they are, as a collector does."""
    stood = connection.execute(_STOOD, (after_id,)).fetchall()
    ids = {tuple(place): identifier for *place, identifier in stood}
    came_from = [
        (there.topic, there.partition, there.offset, ids[place])
        for row in rows
        if (there := row.failed_in) is not None and (place := (row.topic, row.partition, row.offset)) in ids
    ]
    _note(connection, "import_stood", stood)
    links = connection.execute(_EARLIER, (json.dumps(came_from),)).fetchall()
    links += connection.execute(_LATER, (json.dumps(stood),)).fetchall()
    _note(connection, "import_came_from", came_from)
    settle(connection, links, now_ms)


def _note(connection: sqlite3.Connection, table: str, places: Iterable[Sequence[object]]) -> None:
    connection.execute(_NOTE.format(table), (json.dumps(list(places)),))
