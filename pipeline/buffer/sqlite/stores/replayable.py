"""Which dead letters a replay may take, where each goes, and what stands in the way of the others."""

from __future__ import annotations

import json
import sqlite3

from pipeline.buffer.contract import LeftOut, SourceOf
from pipeline.buffer.filters import OPEN_STATUSES, DeadLetterFilter
from pipeline.buffer.sqlite.search.conditions import Arguments
from pipeline.buffer.sqlite.search.find import by_ids
from pipeline.headers import MAY_LACK_BODY, NEVER_WRITTEN, newest_position, read_failure
from pipeline.headers.codec import headers_from_json

TARGET = "coalesce(source_topic, (SELECT value FROM json_each(:targets) WHERE key = dead_letters.topic))"
"""The topic that a replay of a row of `dead_letters` goes to; NULL where nobody has named one."""

_WITHOUT_BODY = "(key IS NULL AND value IS NULL AND dialect IN (SELECT value FROM json_each(:may_lack_body)))"
_IMPORTED = "(import_id IS NOT NULL)"
_NEVER_WRITTEN = "((dialect, coalesce(stage, '')) IN (SELECT value ->> 0, value ->> 1 FROM json_each(:never_written)))"
_POSITIONS_NAMED = 3


def replayable(
    connection: sqlite3.Connection, which: DeadLetterFilter, limit: int | None, source_of: SourceOf
) -> tuple[str, Arguments]:
    """The condition for what a replay may take, with arguments for it and for TARGET; within a snapshot."""
    where, arguments = _replayable_by_status(connection, which, limit, source_of)
    where += f" AND NOT {_IMPORTED} AND NOT {_WITHOUT_BODY} AND NOT {_NEVER_WRITTEN} AND {TARGET} IS NOT NULL"
    if limit is not None:
        where += " AND replays < :replay_limit"
    return where, arguments


def left_out(
    connection: sqlite3.Connection, which: DeadLetterFilter, limit: int | None, source_of: SourceOf
) -> LeftOut:
    """What a replay leaves out though its status would do; within a snapshot."""
    where, arguments = _replayable_by_status(connection, which, limit, source_of)
    imported, without_body, never_written, beyond_limit = 0, 0, 0, 0
    without_target: dict[str, int] = {}
    counts = connection.execute(
        f"SELECT {_IMPORTED}, {_WITHOUT_BODY}, {_NEVER_WRITTEN}, {TARGET} IS NULL, coalesce(topic, ''), "
        f"coalesce(replays >= :replay_limit, 0), count(*) FROM dead_letters WHERE {where} GROUP BY 1, 2, 3, 4, 5, 6",
        arguments,
    ).fetchall()
    for is_imported, has_no_body, was_never_written, has_no_target, topic, is_beyond_limit, count in counts:
        if is_imported:
            imported += count
        elif has_no_body:
            without_body += count
        elif was_never_written:
            never_written += count
        elif has_no_target:
            without_target[topic] = without_target.get(topic, 0) + count
        elif is_beyond_limit:
            beyond_limit += count
    bodies_at = _where_bodies_are(connection, where, arguments) if without_body else ()
    return LeftOut(without_body, bodies_at, without_target, never_written, beyond_limit, imported)


def _where_bodies_are(connection: sqlite3.Connection, where: str, arguments: Arguments) -> tuple[str, ...]:
    found = connection.execute(
        f"SELECT headers FROM dead_letters WHERE {where} AND {_WITHOUT_BODY} ORDER BY id LIMIT {_POSITIONS_NAMED}",
        arguments,
    )
    positions = (newest_position(read_failure(headers_from_json(headers))) for (headers,) in found)
    return tuple(position for position in positions if position)


def _replayable_by_status(
    connection: sqlite3.Connection, which: DeadLetterFilter, limit: int | None, source_of: SourceOf
) -> tuple[str, Arguments]:
    """Open ones unless asked otherwise, never those on their way; whether they can be sent or not."""
    if not which.query.names("status") and not (which.ids and limit is None):
        which = which.with_status(*OPEN_STATUSES)
    where, arguments = by_ids(connection, which)
    where += (
        " AND status <> 'replaying' AND NOT EXISTS (SELECT 1 FROM job_items AS other "
        "WHERE other.dead_letter_id = dead_letters.id AND other.state IN ('planned', 'sending'))"
    )
    return where, arguments | {
        "targets": json.dumps(_targets(connection, source_of)),
        "may_lack_body": json.dumps(sorted(MAY_LACK_BODY)),
        "never_written": json.dumps(sorted(NEVER_WRITTEN)),
        "replay_limit": limit,
    }


def _targets(connection: sqlite3.Connection, source_of: SourceOf) -> dict[str, str]:
    """What people have named for each dead-letter topic that was ever collected."""
    topics = connection.execute(
        "SELECT DISTINCT topic FROM topics JOIN partitions USING (topic_ref) WHERE role = 'collector'"
    ).fetchall()
    return {topic: source for (topic,) in topics if (source := source_of(topic))}
