"""Chains of dead-letter topics: a record that failed in the reader of one goes on as a dead letter of the next.

The earlier dead letter is then dead again, with the later one as its next life. Both must hold the same record: where
the later one has lost key and value, only the earlier one can be replayed. The two may be collected in any order.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from pipeline.buffer.contract import DeadLetterRow
from pipeline.buffer.sqlite.connection import record_id
from pipeline.records import Position

_AT_POSITION = (
    "SELECT coalesce((SELECT id FROM dead_letter_rows WHERE record_id = link.value ->> 0), "
    "(SELECT dead_letter_id FROM dead_letter_copies WHERE record_id = link.value ->> 0)) AS earlier_id, "
    "link.value ->> 1 FROM json_each(?) AS link WHERE earlier_id IS NOT NULL"
)
"""The dead letter that stands at the position of a link, or has a copy there, and the later one."""


def settle_passed_on(
    connection: sqlite3.Connection, new: Sequence[DeadLetterRow], copies: Sequence[tuple[int, int]], now_ms: int
) -> None:
    """Links the new dead letters with the earlier ones whose record they are, or will be when those are collected.

    `copies` are the new copies: record id, and id of the dead letter that each is a copy of.
    """
    links = _collected_after(connection, new, copies) | _collected_before(connection, new)
    if links:
        settle(connection, connection.execute(_AT_POSITION, (json.dumps(list(links.items())),)).fetchall(), now_ms)


def settle(connection: sqlite3.Connection, links: Sequence[tuple[int, int]], now_ms: int) -> None:
    """Makes each earlier one, the first of a pair of ids, dead again with the later one as its next life, where both
    hold the same record.
    """
    if not links:
        return
    # Only open ones: what a person or a replay has settled stays so.
    settled = connection.execute(
        "SELECT earlier.id, earlier.replays, link.value ->> 1 FROM json_each(?) AS link "
        "JOIN dead_letter_rows AS earlier ON earlier.id = link.value ->> 0 "
        "JOIN dead_letter_rows AS later ON later.id = link.value ->> 1 AND later.id <> earlier.id "
        # A recreated topic has the same positions again, but hardly the same bytes there.
        "WHERE earlier.status = 'open' AND earlier.key IS later.key AND earlier.value IS later.value "
        # One that names a replay names the one before the earlier of the two, whose headers it has.
        "AND (later.replay_of IS NULL OR later.replay_of IS earlier.replay_of)",
        (json.dumps(links),),
    ).fetchall()
    told = json.dumps(settled)
    connection.execute(
        "UPDATE dead_letter_rows SET status = 'dead_again', status_at_ms = ? "
        "WHERE id IN (SELECT value ->> 0 FROM json_each(?))",
        (now_ms, told),
    )
    connection.execute(
        "UPDATE dead_letter_rows SET replay_of = link.value ->> 0, "
        "replays = iif(replay_of IS NULL, replays + (link.value ->> 1), max(replays, link.value ->> 1)) "
        "FROM json_each(?) AS link WHERE dead_letter_rows.id = link.value ->> 2",
        (told,),
    )


def _collected_after(
    connection: sqlite3.Connection, new: Sequence[DeadLetterRow], copies: Sequence[tuple[int, int]]
) -> dict[int, int]:
    """New ones whose record went on before: their record id, and the id of the later dead letter."""
    if connection.execute("SELECT 1 FROM passed_on").fetchone() is None:
        return {}
    record_ids = [row.record_id for row in new] + [copy for copy, _ in copies]
    found = connection.execute(
        "DELETE FROM passed_on WHERE record_id IN (SELECT value FROM json_each(?)) RETURNING record_id, dead_letter_id",
        (json.dumps(record_ids),),
    )
    return dict(found.fetchall())


def _collected_before(connection: sqlite3.Connection, new: Sequence[DeadLetterRow]) -> dict[int, int]:
    """New ones that failed in a dead-letter topic: the record id there, and their own id. What is still to be collected
    there is noted for later.
    """
    came_from = {row.record_id: row.failed_in for row in new if row.failed_in is not None and row.record_id is not None}
    if not came_from:
        return {}
    earlier = _record_ids(connection, set(came_from.values()))
    own = connection.execute(
        "SELECT record_id, id FROM dead_letter_rows WHERE record_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(came_from)),),
    )
    links = {earlier[position]: own_id for own_record, own_id in own if (position := came_from[own_record]) in earlier}
    connection.execute(
        "INSERT OR REPLACE INTO passed_on (record_id, dead_letter_id) SELECT value ->> 0, value ->> 1 "
        "FROM json_each(?) JOIN partitions ON partition_ref = (value ->> 0) >> 40 "
        "WHERE (value ->> 0) & 1099511627775 >= next_offset",
        (json.dumps(list(links.items())),),
    )
    return links


def _record_ids(connection: sqlite3.Connection, positions: set[Position]) -> dict[Position, int]:
    """The record ids of positions in dead-letter topics, of the newest generation, where the buffer knows one."""
    partitions = json.dumps(sorted({(position.topic, position.partition) for position in positions}))
    refs = {
        (topic, partition): ref
        for topic, partition, ref in connection.execute(
            "SELECT topics.topic, partition, max(partition_ref) FROM partitions JOIN topics USING (topic_ref) "
            "WHERE role = 'collector' AND (topics.topic, partition) IN "
            "(SELECT value ->> 0, value ->> 1 FROM json_each(?)) GROUP BY 1, 2",
            (partitions,),
        )
    }
    return {
        each: record_id(refs[each.topic, each.partition], each.offset)
        for each in positions
        if (each.topic, each.partition) in refs and each.offset < 1 << 40
    }
