"""Adds dead letters: tells a failure that was written twice from a second failure, and counts what is new.

That is decided here, once, from what the buffer holds at this moment; whatever people do later changes nothing of it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import NamedTuple

from pipeline.buffer.contract import DeadLetterRow
from pipeline.buffer.sqlite.bulk_insert import BulkInsert
from pipeline.buffer.sqlite.connection import WriterConnection, offset_of, ref_of
from pipeline.buffer.sqlite.groups.hours import count_hours
from pipeline.buffer.sqlite.groups.splits import Splits, note_split_letters
from pipeline.buffer.sqlite.groups.states import regress
from pipeline.buffer.sqlite.stored_once.letter import WholeLetter
from pipeline.buffer.sqlite.stored_once.names import NAME, NAMED
from pipeline.buffer.sqlite.stored_once.storing import STORED_COLUMNS
from pipeline.buffer.sqlite.stores.chains import settle_passed_on
from pipeline.buffer.sqlite.stores.failures import count_failures
from pipeline.buffer.sqlite.stores.flow_figures import FlowFigures, count_seconds_and_minutes, source_of
from pipeline.buffer.sqlite.stores.outcomes import note_failed_replays
from pipeline.buffer.sqlite.stores.regrouping import has_older
from pipeline.headers import HEADERS_IN_ANY_ORDER
from pipeline.headers.codec import headers_from_json
from pipeline.orders.fields import DEAD_LETTER_FIELDS
from pipeline.records import Headers

COPY_WITHIN_MS = 900_000
COPY_WITHIN_OFFSETS = 10_000
"""How far from the first a crash writes a copy: what a consumer had in hand, and the time until it was back."""

LIVES_COMPARED = 32
"""A copy is of one of the newest failures. A record that fails ten thousand times is not compared with all of them."""

_OF_ROW = (
    "record_id",
    "source_partition",
    "source_offset",
    "source_timestamp_ms",
    "key",
    "value",
    "attempts",
    "fingerprint",
    "timestamp_ms",
    "first_failed_at_ms",
)
"""Columns that a DeadLetterRow has as they are."""
_ORDER = tuple(field.name for field in DEAD_LETTER_FIELDS)
_OTHERS = (
    *("partition", "offset", "id", "replay_of", "replays"),
    *("failed_at_ms", "failed_at_known", "received_at_ms", "status_at_ms"),
    *STORED_COLUMNS,
)
_COLUMNS = (*_OF_ROW, *_ORDER, *_OTHERS)
# By index: half the time of looking them up by name.
_of_row, _of_order = itemgetter(*map(DeadLetterRow._fields.index, _OF_ROW)), attrgetter(*_ORDER)
_NO_ORDER = (None,) * len(_ORDER)
_ROWS = BulkInsert("dead_letter_rows", _COLUMNS)
_COPIES = BulkInsert("dead_letter_copies", ("record_id", "dead_letter_id"))
GROUPS = BulkInsert(
    "dead_letter_groups",
    (
        *("fingerprint", "error_class", "title", "source_topic", "fingerprint_version", "new_since_ms"),
        *("total", "open", "first_seen_ms", "last_seen_ms"),
    ),
    "ON CONFLICT (fingerprint) DO UPDATE SET total = total + excluded.total, open = open + excluded.open, "
    "first_seen_ms = min(first_seen_ms, excluded.first_seen_ms), "
    "last_seen_ms = max(last_seen_ms, excluded.last_seen_ms)",
)
SOURCES = BulkInsert(
    "dead_letter_sources",
    ("topic", "dead_letters"),
    "ON CONFLICT (topic) DO UPDATE SET dead_letters = dead_letters + excluded.dead_letters",
)
_LIFE = f"id, {NAME}, replays, status"
_KNOWN = (
    f"SELECT {NAME} AS failure_id, {_LIFE} FROM dead_letter_rows WHERE {NAMED} "
    f"UNION ALL SELECT failure_id, {_LIFE} FROM dead_letter_rows "
    "WHERE failure_id IN (SELECT value FROM json_each(:names)) "
    # Nearly always there is none, and nothing to look for.
    "AND EXISTS (SELECT 1 FROM dead_letter_rows WHERE failure_id IS NOT NULL) ORDER BY id"
)
_SETTLED = ("replayed", "recovered", "dead_again", "discarded")
"""A dead letter of which another one of the same failure is no copy: somebody had looked after it by then."""


class _Life(NamedTuple):
    """A dead letter, as what comes after it is held against it; `row` is there for one of the same batch."""

    id: int
    dead_letter_id: str
    replays: int
    status: str
    row: DeadLetterRow | None = None


@dataclass(slots=True)
class _Known:
    """The dead letters that those of a batch may be copies of, later lives of, or replays of."""

    of_failure: dict[str, list[_Life]]
    """By the failure's identity, oldest first."""
    by_name: dict[str | None, _Life]
    """By what headers call it."""

    def add(self, failure_id: str, life: _Life) -> None:
        self.of_failure.setdefault(failure_id, []).append(life)
        self.by_name[life.dead_letter_id] = life


@dataclass(slots=True)
class _Additions:
    """What a batch adds."""

    rows: list[DeadLetterRow]
    cells: list[tuple[object, ...]]
    later_lives: list[tuple[str, int]]
    """The failure's identity of each dead letter that has a name of its own, and its id."""
    copies: list[tuple[int, int]]
    failed_replays: list[tuple[int, str | None]]
    split_from: list[tuple[int, str, str]]
    """Of each dead letter that a rule of people took out of its group: its id, that group's fingerprint and title."""


def add_dead_letters(
    connection: WriterConnection, rows: Sequence[DeadLetterRow], now_ms: int, imported: bool = False
) -> int:
    """Adds those rows that are no copies, in the transaction that is open; returns how many they are.

    Imported ones count for no alert, and failed when they were written where nothing tells more.
    """
    # 1. What is a failure of its own, and what was written twice.
    if splits := Splits(connection):
        rows = list(map(splits.placed, rows))
    found = _sort_out(connection, rows, now_ms, imported)
    _ROWS.insert(connection, found.cells)
    # Few have one: a cell that is nearly always empty costs each row its time.
    connection.executemany("UPDATE dead_letter_rows SET failure_id = ? WHERE id = ?", found.later_lives)
    _COPIES.insert(connection, found.copies)
    note_split_letters(connection, found.split_from)
    # 2. The figures that count it, and the groups that are back.
    if found.rows:
        _count(connection, found.rows, now_ms, imported)
        if not imported:
            regress(connection, {row.fingerprint for row in found.rows}, now_ms)
    # 3. What it says of replays.
    if found.failed_replays:
        note_failed_replays(connection, found.failed_replays, now_ms)
    # 4. Which earlier ones went on to a further dead-letter topic.
    settle_passed_on(connection, found.rows, found.copies, now_ms)
    return len(found.rows)


def _sort_out(connection: WriterConnection, rows: Sequence[DeadLetterRow], now_ms: int, imported: bool) -> _Additions:
    known = _known_lives(connection, rows)
    of_failure, by_name = known.of_failure, known.by_name
    (last_id,) = connection.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'dead_letter_rows'").fetchone()
    next_id = (last_id or 0) + 1
    found = _Additions([], [], [], [], [], [])
    failed_again: set[int] = set()
    lives: list[tuple[DeadLetterRow, _Life, int | None]] = []
    for row in rows:
        name, replay_id = row.dead_letter_id, row.replay_id
        earlier, before = of_failure.get(name), by_name.get(row.replay_of)
        if earlier:
            original = _original(connection, row, earlier)
            if original is not None:
                if row.record_id is not None:
                    found.copies.append((row.record_id, original.id))
                continue
            found.later_lives.append((name, next_id))
            name = _name_of_later_life(name, next_id)
            newest = earlier[-1]
            fails_again = row.replay_of is None and row.identity != "carried" and newest.id not in failed_again
            if fails_again and _was_sent(connection, newest):
                # Some writers name the first position only, and keep no header of ours: it is the replay that failed.
                before, replay_id = newest, None
        life = _Life(next_id, name, before.replays if before else 0, "open", row)
        next_id += 1
        by_name[name] = life
        if earlier:
            earlier.append(life)
        else:
            of_failure[name] = [life]
        lives.append((row, life, before.id if before else None))
        if before is not None:
            found.failed_replays.append((before.id, replay_id))
            failed_again.add(before.id)
    found.rows = [row for row, *_ in lives]
    found.split_from = [(life.id, *row.split_from) for row, life, _ in lives if row.split_from is not None]
    failed_at_ms = [_failed_at_ms(row, now_ms, imported) for row in found.rows]
    whole = [_whole(row, life, at_ms) for (row, life, _), at_ms in zip(lives, failed_at_ms, strict=True)]
    stored = connection.storing.store(connection, whole)
    found.cells = [
        _cells(row, life, replay_of, at_ms, now_ms) + cells
        for (row, life, replay_of), at_ms, cells in zip(lives, failed_at_ms, stored, strict=True)
    ]
    return found


def _whole(row: DeadLetterRow, life: _Life, failed_at_ms: int) -> WholeLetter:
    """By position, which takes half the time of names."""
    return WholeLetter(
        row.headers,
        row.reason,
        row.stacktrace,
        row.fingerprint,
        life.dead_letter_id,
        row.source_partition,
        row.source_offset,
        row.source_timestamp_ms,
        row.timestamp_ms,
        row.first_failed_at_ms,
        failed_at_ms,
        row.topic,
        row.source_topic,
        row.error_class,
        row.rule,
        row.stage,
        row.consumer_group,
        row.dialect,
    )


def _cells(
    row: DeadLetterRow, life: _Life, replay_of: int | None, failed_at_ms: int, now_ms: int
) -> tuple[object, ...]:
    """What a row has of its own, as `_COLUMNS` has it, without STORED_COLUMNS."""
    order = _NO_ORDER if row.order is None else _of_order(row.order)
    # Where it stands is in its record_id, if it has one.
    place = (row.partition, row.offset) if row.record_id is None else (None, None)
    times = (failed_at_ms, row.failed_at_ms is not None, now_ms, now_ms)
    return (*_of_row(row), *order, *place, life.id, replay_of, life.replays, *times)


def _failed_at_ms(row: DeadLetterRow, now_ms: int, imported: bool) -> int:
    """When it failed: where nothing tells, when it was collected, which of an imported one nobody knows."""
    if row.failed_at_ms is not None:
        return row.failed_at_ms
    return row.timestamp_ms if imported and row.timestamp_ms > 0 else now_ms


def _known_lives(connection: sqlite3.Connection, rows: Sequence[DeadLetterRow]) -> _Known:
    names = {row.dead_letter_id for row in rows} | {row.replay_of for row in rows if row.replay_of is not None}
    known = _Known({}, {})
    for failure_id, *cells in connection.execute(_KNOWN, {"names": json.dumps(list(names))}):
        known.add(failure_id, _Life(*cells))
    return known


def _original(connection: sqlite3.Connection, row: DeadLetterRow, earlier: Sequence[_Life]) -> _Life | None:
    """The dead letter that this one is a copy of: the newest of the same failure that says the very same.

    Where nothing tells the time of the failure, a copy is close to the first one, and comes before anybody has settled
    that: the same again later is a failure of its own.
    """
    for life in reversed(earlier[-LIVES_COMPARED:]):
        same, timestamp_ms, record_id = _compared(connection, row, life)
        if same:
            if row.identity != "inferred":
                return life
            settled = life.status in _SETTLED or _was_sent(connection, life)
            return life if not settled and _is_close(row, timestamp_ms, record_id) else None
    return None


def _compared(connection: sqlite3.Connection, row: DeadLetterRow, life: _Life) -> tuple[bool, int, int | None]:
    """Whether both say the same; the other's timestamp and position."""
    if life.row is not None:
        key, value, headers = life.row.key, life.row.value, life.row.headers
        timestamp_ms, record_id = life.row.timestamp_ms, life.row.record_id
    else:
        key, value, its_headers, timestamp_ms, record_id = connection.execute(
            "SELECT key, value, headers, timestamp_ms, record_id FROM dead_letters WHERE id = ?", (life.id,)
        ).fetchone()
        headers = headers_from_json(its_headers)
    same = (key, value) == (row.key, row.value) and _are_the_same(headers, row.headers, row.dialect)
    return same, timestamp_ms, record_id


def _are_the_same(headers: Headers, others: Headers, dialect: str) -> bool:
    """Whether a writer of this dialect, doing the same again, makes the one of the other."""
    if dialect in HEADERS_IN_ANY_ORDER:
        return sorted(headers, key=itemgetter(0)) == sorted(others, key=itemgetter(0))
    return headers == others


def _is_close(row: DeadLetterRow, timestamp_ms: int, record_id: int | None) -> bool:
    if abs(row.timestamp_ms - timestamp_ms) > COPY_WITHIN_MS:
        return False
    if row.record_id is None or record_id is None or ref_of(row.record_id) != ref_of(record_id):
        return True
    return abs(offset_of(row.record_id) - offset_of(record_id)) <= COPY_WITHIN_OFFSETS


def _was_sent(connection: sqlite3.Connection, life: _Life) -> bool:
    """Whether a replay of it is in Kafka, as far as we know, whose outcome is not known."""
    if life.status == "replaying":
        sending = "SELECT 1 FROM job_items WHERE dead_letter_id = ? AND state = 'sending'"
        return connection.execute(sending, (life.id,)).fetchone() is not None
    return life.status == "replayed"


def _name_of_later_life(failure_id: str, identifier: int) -> str:
    return hashlib.blake2b(f"{failure_id}\0{identifier}".encode(), digest_size=16).hexdigest()


def _count(connection: sqlite3.Connection, new: Sequence[DeadLetterRow], now_ms: int, imported: bool) -> None:
    by_source = Counter([source_of(row.source_topic) for row in new])
    count_seconds_and_minutes(
        connection, now_ms, [FlowFigures(topic, dead_letters=count) for topic, count in by_source.items()]
    )
    SOURCES.insert(connection, by_source.items())
    if not imported:
        count_failures(connection, new, now_ms)
    connection.execute("UPDATE totals SET dead_letters = dead_letters + ?", (len(new),))
    connection.execute(
        "INSERT INTO dead_letter_counts VALUES ('open', ?) "
        "ON CONFLICT (status) DO UPDATE SET dead_letters = dead_letters + excluded.dead_letters",
        (len(new),),
    )
    count_hours(connection, [(row.fingerprint, _failed_at_ms(row, now_ms, imported), now_ms) for row in new])
    groups: defaultdict[str, list[DeadLetterRow]] = defaultdict(list)
    for row in new:
        groups[row.fingerprint].append(row)
    version = max([row.fingerprint_version for row in new])
    # By an older version, these may have been there before.
    new_since_ms = None if has_older(connection, version) else now_ms
    GROUPS.insert(connection, (_group(alike, now_ms, new_since_ms, imported) for alike in groups.values()))


def _group(alike: Sequence[DeadLetterRow], now_ms: int, new_since_ms: int | None, imported: bool) -> tuple[object, ...]:
    first, times = alike[0], [_failed_at_ms(row, now_ms, imported) for row in alike]
    named = (first.fingerprint, first.error_class, first.title, first.source_topic)
    return (*named, first.fingerprint_version, new_since_ms, len(alike), len(alike), min(times), max(times))
