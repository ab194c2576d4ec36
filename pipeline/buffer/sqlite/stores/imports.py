"""Adds dead letters out of a file: each once, whatever came between two imports of it, and never beside a cluster's."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from operator import itemgetter

from pipeline.buffer.contract import DeadLetterRow
from pipeline.buffer.import_contract import ExportedLetter, ImportSource, Linked, ReadRecord
from pipeline.buffer.sqlite.bulk_insert import BulkInsert
from pipeline.buffer.sqlite.connection import WriterConnection, atomic, reading
from pipeline.buffer.sqlite.groups.hours import count_hours
from pipeline.buffer.sqlite.groups.moves import queue_moves
from pipeline.buffer.sqlite.groups.splits import Splits
from pipeline.buffer.sqlite.stored_once.letter import whole_letters_of
from pipeline.buffer.sqlite.stored_once.names import NAME, NAMED
from pipeline.buffer.sqlite.stored_once.storing import STORED_COLUMNS
from pipeline.buffer.sqlite.stores.flow_figures import SECOND_MS, FlowFigures, count_seconds_and_minutes, source_of
from pipeline.buffer.sqlite.stores.imported_chains import note_where_they_stood, settle_imported
from pipeline.buffer.sqlite.stores.letters import GROUPS, SOURCES, add_dead_letters
from pipeline.buffer.sqlite.streams import columns_of
from pipeline.crash_points import reached
from pipeline.errors import UsageError

LINKED_AT_ONCE = 1000
_NAMES = tuple(column.name for column in columns_of("dead_letters"))
_cells_of_group = itemgetter(*map(_NAMES.index, ("error_class", "source_topic", "status", "failed_at_ms")))
_cells_of_hour = itemgetter(*map(_NAMES.index, ("fingerprint", "failed_at_ms", "received_at_ms")))
_ID, _NAME, _REPLAY_OF, _FINGERPRINT, _STATUS, _RECEIVED, _SOURCE_TOPIC = (
    _NAMES.index(name)
    for name in (
        "id",
        "dead_letter_id",
        "replay_of",
        "fingerprint",
        "status",
        "received_at_ms",
        "source_topic",
    )
)
_OF_ROW = tuple(name for name in _NAMES if name not in {"id", "replay_of", *STORED_COLUMNS})
_of_row = itemgetter(*map(_NAMES.index, _OF_ROW))
_ROWS = BulkInsert("dead_letter_rows", (*_OF_ROW, "id", "import_id", *STORED_COLUMNS))
whole_letter = whole_letters_of(_NAMES)
_RECORDS = BulkInsert("imported_records", ("digest",))
_COUNTS = BulkInsert(
    "dead_letter_counts",
    ("status", "dead_letters"),
    "ON CONFLICT (status) DO UPDATE SET dead_letters = dead_letters + excluded.dead_letters",
)
_IDS = BulkInsert("temp.import_ids", ("original", "id"), "ON CONFLICT DO NOTHING")
_LINKS = BulkInsert("temp.import_links", ("id", "original"), "ON CONFLICT DO NOTHING")
# What ids of the file have become here, and who names which. SQLite keeps them in a file of its own, and they go with
# the connection: whoever imports the file again, which is how an interrupted import ends, fills them anew.
_TEMPORARY = (
    "CREATE TEMP TABLE IF NOT EXISTS import_ids (original INTEGER PRIMARY KEY, id INTEGER NOT NULL)",
    "CREATE TEMP TABLE IF NOT EXISTS import_links (id INTEGER PRIMARY KEY, original INTEGER NOT NULL)",
)


class SqliteImportStore:
    """The contract's ImportStore on SQLite."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def refuse_cluster(self) -> None:
        """See ImportStore."""
        with reading(self._connection):
            _refuse_cluster(self._connection)

    def add_exported(self, source: ImportSource, letters: Sequence[ExportedLetter], now_ms: int) -> int:
        """See ImportStore."""
        with atomic(self._connection) as connection:
            # 1. Nothing of a cluster is there, and none has come meanwhile.
            _refuse_cluster(connection)
            # 2. What is there already, and which id each of the others has here.
            ids = _known_ids(connection, letters)
            new = _new(connection, letters, ids)
            # 3. The rows, and the figures that count them.
            if new:
                import_id = _import_id(connection, source, len(new))
                _insert(connection, new, ids, import_id)
                _count(connection, new)
            # 4. What is needed to find out later who was whose replay.
            _note_links(connection, letters, ids)
            reached("import: exported dead letters not committed")
        return len(new)

    def add_records(self, source: ImportSource, records: Sequence[ReadRecord], now_ms: int) -> int:
        """See ImportStore."""
        with atomic(self._connection) as connection:
            # 1. Nothing of a cluster is there, and none has come meanwhile.
            _refuse_cluster(connection)
            # 2. What was imported already: the very same record of the same position.
            new = _not_imported(connection, records)
            if not new:
                return 0
            # 3. The rest as the collector adds it, and which earlier ones went on to a further dead-letter topic.
            note_where_they_stood(connection)
            (before,) = connection.execute("SELECT coalesce(max(id), 0) FROM dead_letter_rows").fetchone()
            added = add_dead_letters(connection, list(new.values()), now_ms, imported=True)
            import_id = _import_id(connection, source, added)
            connection.execute("UPDATE dead_letter_rows SET import_id = ? WHERE id > ?", (import_id, before))
            settle_imported(connection, list(new.values()), before, now_ms)
            _RECORDS.insert(connection, ((digest,) for digest in new))
            reached("import: records not committed")
        return added

    def link(self) -> Linked:
        """See ImportStore."""
        with atomic(self._connection) as connection:
            _make_temporary(connection)
            links = connection.execute(
                "SELECT links.id, ids.id FROM temp.import_links AS links LEFT JOIN temp.import_ids AS ids "
                "ON ids.original = links.original ORDER BY links.id LIMIT ?",
                (LINKED_AT_ONCE,),
            ).fetchall()
            if links:
                # One that was linked by an earlier import of the file stays as it is.
                connection.executemany(
                    "UPDATE dead_letter_rows SET replay_of = ? "
                    "WHERE id = ? AND id <> ?1 AND replay_of IS NULL AND import_id IS NOT NULL",
                    [(earlier, later) for later, earlier in links if earlier is not None],
                )
                connection.execute("DELETE FROM temp.import_links WHERE id <= ?", (links[-1][0],))
            reached("import: links not committed")
        return Linked(len(links), sum(earlier is None for _, earlier in links))

    def finish(self, source: ImportSource, now_ms: int) -> None:
        """See ImportStore."""
        with atomic(self._connection) as connection:
            connection.execute(
                "UPDATE imports SET finished_at_ms = ? WHERE file = ? AND finished_at_ms IS NULL",
                (now_ms, source.file),
            )
            # An export says which group a dead letter was in there, and nothing of the rules here.
            splits = Splits(connection)
            queue_moves(connection, splits.reach(splits.fingerprints))


def _refuse_cluster(connection: sqlite3.Connection) -> None:
    topics = [topic for (topic,) in connection.execute("SELECT DISTINCT topic FROM topics ORDER BY topic LIMIT 3")]
    if topics:
        raise UsageError(
            f"the buffer belongs to a cluster already (it has read {', '.join(topics)}), and imported dead letters "
            "would mix with its own; import into another data folder"
        )


def _import_id(connection: sqlite3.Connection, source: ImportSource, added: int) -> int:
    """The number of this import, which adds so many; its row comes with the first of them."""
    (import_id,) = connection.execute(
        "INSERT INTO imports (file, kind, started_at_ms, dead_letters) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (file, started_at_ms) DO UPDATE SET dead_letters = dead_letters + excluded.dead_letters "
        "RETURNING id",
        (*source, added),
    ).fetchone()
    return int(import_id)


# -- exported ones


def _known_ids(connection: sqlite3.Connection, letters: Sequence[ExportedLetter]) -> dict[str, int]:
    """The ids of those that are there, by `dead_letter_id`."""
    names = {"names": json.dumps([letter.row[_NAME] for letter in letters])}
    return dict(connection.execute(f"SELECT {NAME}, id FROM dead_letter_rows WHERE {NAMED}", names).fetchall())


def _new(
    connection: sqlite3.Connection, letters: Sequence[ExportedLetter], ids: dict[str, int]
) -> list[ExportedLetter]:
    """Those that are not there, each once, with the id that each gets, which is added to `ids`."""
    new: list[ExportedLetter] = []
    wanted = json.dumps([letter.row[_ID] for letter in letters if letter.row[_NAME] not in ids])
    sql = "SELECT id FROM dead_letter_rows WHERE id IN (SELECT value FROM json_each(?))"
    taken = {identifier for (identifier,) in connection.execute(sql, (wanted,))}
    (last_id,) = connection.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'dead_letter_rows'").fetchone()
    free_id = max((last_id or 0, *(letter.row[_ID] for letter in letters))) + 1
    for letter in letters:
        name, identifier = letter.row[_NAME], letter.row[_ID]
        if name in ids:
            continue
        if identifier in taken:
            identifier, free_id = free_id, free_id + 1
        taken.add(identifier)
        ids[name] = identifier
        new.append(letter)
    return new


def _insert(
    connection: WriterConnection, new: Sequence[ExportedLetter], ids: Mapping[str, int], import_id: int
) -> None:
    stored = connection.storing.store(connection, [whole_letter(letter.row) for letter in new])
    _ROWS.insert(
        connection,
        (
            (*_of_row(letter.row), ids[letter.row[_NAME]], import_id, *cells)
            for letter, cells in zip(new, stored, strict=True)
        ),
    )


def _count(connection: sqlite3.Connection, new: Sequence[ExportedLetter]) -> None:
    """The figures that count them: by the times of their own buffer, and by what they were there."""
    seconds: dict[int, Counter[str]] = {}
    for letter in new:
        second_ms = letter.row[_RECEIVED] - letter.row[_RECEIVED] % SECOND_MS
        seconds.setdefault(second_ms, Counter())[source_of(letter.row[_SOURCE_TOPIC])] += 1
    for second_ms, by_source in seconds.items():
        figures = [FlowFigures(topic, dead_letters=count) for topic, count in by_source.items()]
        count_seconds_and_minutes(connection, second_ms, figures)
    SOURCES.insert(connection, Counter(source_of(letter.row[_SOURCE_TOPIC]) for letter in new).items())
    connection.execute("UPDATE totals SET dead_letters = dead_letters + ?", (len(new),))
    count_hours(connection, (_cells_of_hour(letter.row) for letter in new))
    _COUNTS.insert(connection, Counter(letter.row[_STATUS] for letter in new).items())
    alike: dict[str, list[ExportedLetter]] = {}
    for letter in new:
        alike.setdefault(letter.row[_FINGERPRINT], []).append(letter)
    GROUPS.insert(connection, (_group(fingerprint, letters) for fingerprint, letters in alike.items()))


_UNKNOWN_VERSION = 1
"""The first: whatever is newer is newer than that."""


def _group(fingerprint: str, letters: Sequence[ExportedLetter]) -> tuple[object, ...]:
    cells = [_cells_of_group(letter.row) for letter in letters]
    error_class, source_topic, *_ = cells[0]
    times = [failed_at_ms for *_, failed_at_ms in cells]
    are_open = sum(status == "open" for _, _, status, _ in cells)
    named = (fingerprint, error_class, letters[0].title, source_topic)
    # By which rule another buffer grouped them nobody tells: `regroup` looks at them.
    return (*named, _UNKNOWN_VERSION, None, len(letters), are_open, min(times), max(times))


def _note_links(connection: sqlite3.Connection, letters: Sequence[ExportedLetter], ids: Mapping[str, int]) -> None:
    _make_temporary(connection)
    _IDS.insert(connection, ((letter.row[_ID], ids[letter.row[_NAME]]) for letter in letters))
    replays = (letter for letter in letters if letter.row[_REPLAY_OF] is not None)
    _LINKS.insert(connection, ((ids[letter.row[_NAME]], letter.row[_REPLAY_OF]) for letter in replays))


def _make_temporary(connection: sqlite3.Connection) -> None:
    for statement in _TEMPORARY:
        connection.execute(statement)


# -- records


def _not_imported(connection: sqlite3.Connection, records: Sequence[ReadRecord]) -> dict[bytes, DeadLetterRow]:
    """The rows of those that were not imported, by their digest."""
    found = {record.digest: record.row for record in records}
    sql = f"SELECT digest FROM imported_records WHERE digest IN ({', '.join('?' * len(found))})"
    for (digest,) in connection.execute(sql, list(found)).fetchall():
        del found[digest]
    return found
