"""What contradicts itself in the rows: records in two tables, states that do not fit, rows without a parent."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from pipeline.buffer.sqlite.connection import OFFSET_BITS, offset_of, ref_of
from pipeline.buffer.sqlite.stored_once.shared import SHARED_TABLES
from pipeline.buffer.sqlite.stores.passed_over import BLOCK_BITS, count_flags, is_passed_over, last_passed_over
from pipeline.orders.fields import CHOICE_FIELDS

# Each record may be in one of these tables only.
_TWICE = (
    ("accepted and parked", "SELECT record_id FROM retries JOIN order_rows USING (record_id)"),
    ("accepted and in the outbox", "SELECT record_id FROM outbox JOIN order_rows USING (record_id)"),
    ("parked and in the outbox", "SELECT record_id FROM outbox JOIN retries USING (record_id)"),
    (
        "a dead letter and the copy of one",
        "SELECT record_id FROM dead_letter_copies JOIN dead_letter_rows USING (record_id)",
    ),
)
_EFFECTS = {"order_rows": "accepted", "retries": "parked", "outbox": "in the outbox"}
"""What a record is by the table that has it."""
_ROWS_BY_ROLE = {
    "processor": ("order_rows", "retries", "outbox"),
    "collector": ("dead_letter_rows", "dead_letter_copies"),
}
_MASK = (1 << OFFSET_BITS) - 1

# A sentence for each row. An imported dead letter has the status that it had in its own buffer, where its jobs are.
_SENTENCES = (
    """
    SELECT 'dead letter ' || id || ' is replaying, but no job has it on its way' FROM dead_letters
    WHERE status = 'replaying' AND import_id IS NULL AND NOT EXISTS (
        SELECT 1 FROM job_items WHERE job_items.dead_letter_id = dead_letters.id AND state IN ('planned', 'sending'))
    """,
    """
    SELECT 'job ' || job_id || ' has dead letter ' || id || ' on its way (' || state || '), but that one is ' || status
    FROM job_items JOIN dead_letters ON dead_letters.id = job_items.dead_letter_id
    WHERE state IN ('planned', 'sending') AND status <> 'replaying'
    """,
    """
    SELECT 'dead letter ' || id || ' is ' || status || ', but no replay of it is ' || wanted
    FROM (SELECT id, status, iif(status = 'replayed', 'sent', status) AS wanted FROM dead_letters
          WHERE status IN ('replayed', 'recovered', 'dead_again') AND import_id IS NULL) AS settled
    WHERE NOT EXISTS (SELECT 1 FROM job_items WHERE dead_letter_id = id AND state = wanted)
      -- What went on to a further dead-letter topic was not replayed.
      AND NOT (status = 'dead_again' AND EXISTS (SELECT 1 FROM dead_letters AS next WHERE next.replay_of = settled.id))
    """,
    """
    SELECT 'dead letter ' || id || ' is ' || status || ', but job ' || job_id || ' says it is ' || state
    FROM dead_letters JOIN job_items ON job_items.dead_letter_id = dead_letters.id
    WHERE status IN ('open', 'discarded')
      AND (state IN ('recovered', 'dead_again') OR state = 'sent' AND NOT concluded)
      -- What people settled by hand had been sent once more since.
      AND NOT (concluded AND EXISTS (SELECT 1 FROM job_items AS later WHERE later.dead_letter_id = dead_letters.id
                                     AND later.job_id > job_items.job_id AND later.state = 'sent'))
    """,
    """
    SELECT 'job ' || id || ' is ' || state || ', but its window is still open' FROM jobs
    WHERE state IN ('done', 'failed', 'cancelled') AND send_window IS NOT NULL
    """,
    """
    SELECT 'job ' || jobs.id || ' is ' || jobs.state || ', but ' || count(*) || ' of its items are still on their way'
    FROM jobs JOIN job_items ON job_id = jobs.id
    WHERE jobs.state IN ('done', 'failed', 'cancelled') AND job_items.state IN ('planned', 'sending') GROUP BY jobs.id
    """,
    """
    SELECT 'job ' || jobs.id || ' is ' || jobs.state || ', but ' || count(*) || ' of its items have gone out'
    FROM jobs JOIN job_items ON job_id = jobs.id
    WHERE jobs.state = 'queued' AND job_items.state NOT IN ('planned', 'cancelled') GROUP BY jobs.id
    """,
    """
    SELECT 'job ' || jobs.id || ' makes orders, but has ' || count(*) || ' items of replays'
    FROM jobs JOIN job_items ON job_id = jobs.id WHERE kind = 'produce' GROUP BY jobs.id
    """,
    f"""
    SELECT 'dead letter ' || id || ' says it is ' || dead_letters.topic || '[' || dead_letters.partition || '] offset '
           || "offset" || ', its key is ' || topics.topic || '[' || partitions.partition || '] offset '
           || (record_id & {_MASK})
    FROM dead_letters JOIN partitions ON partition_ref = record_id >> {OFFSET_BITS} JOIN topics USING (topic_ref)
    WHERE (dead_letters.topic, dead_letters.partition, "offset")
          IS NOT (topics.topic, partitions.partition, record_id & {_MASK})
    """,
    """
    SELECT 'dead letter ' || id || ' has no key, but says where it is in ' || topic FROM dead_letters
    WHERE record_id IS NULL AND coalesce(topic, partition, "offset") IS NOT NULL AND import_id IS NULL
    """,
    *(
        f"""
        SELECT 'dead letter ' || id || ' refers to {reference} ' || {reference} || ' of {table}, which is not there'
        FROM dead_letter_rows
        WHERE {reference} IS NOT NULL AND {reference} NOT IN (SELECT {reference} FROM {table})
        """
        for reference, table in SHARED_TABLES.items()
    ),
    """
    SELECT 'job ' || job_id || ' sends dead letter ' || dead_letter_id || ' with ' || sent_with
           || ', but that one is ' || sender || ' and this one ' || state
    FROM (SELECT *, (SELECT sender.state FROM job_items AS sender
                     WHERE sender.job_id = item.job_id AND sender.dead_letter_id = item.sent_with) AS sender
          FROM job_items AS item WHERE sent_with IS NOT NULL)
    WHERE sender <> state
    """,
)


def contradictions(connection: sqlite3.Connection) -> Iterator[str]:
    """A sentence for everything in the buffer's rows that cannot be true."""
    yield from _beyond_next_offset(connection)
    yield from _without_a_partition(connection)
    for what, sql in _TWICE:
        for (record,) in connection.execute(sql):
            yield f"{_position(connection, record)} is {what}"
    for sql in _SENTENCES:
        for (line,) in connection.execute(sql):
            yield line
    yield from _wrongly_passed_over(connection)
    yield from _without_a_parent(connection)
    yield from _without_a_name(connection)


def _beyond_next_offset(connection: sqlite3.Connection) -> Iterator[str]:
    partitions = connection.execute("SELECT partition_ref, role, next_offset FROM partitions")
    for ref, role, next_offset in partitions:
        for table in _ROWS_BY_ROLE[role]:
            count, first = connection.execute(
                f"SELECT count(*), min(record_id) FROM {table} WHERE record_id >= ? AND record_id < ?",
                (ref << OFFSET_BITS | next_offset, ref + 1 << OFFSET_BITS),
            ).fetchone()
            if count:
                first_position = _position(connection, first)
                yield f"{table}: {count} rows at or after next_offset {next_offset}, the first: {first_position}"


def _without_a_partition(connection: sqlite3.Connection) -> Iterator[str]:
    for role, tables in _ROWS_BY_ROLE.items():
        for table in tables:
            rows = connection.execute(
                f"SELECT ref, count(*), min(record_id) FROM (SELECT record_id >> {OFFSET_BITS} AS ref, record_id "
                f"FROM {table} WHERE record_id IS NOT NULL) "
                "WHERE ref NOT IN (SELECT partition_ref FROM partitions WHERE role = ?) GROUP BY ref",
                (role,),
            )
            for ref, count, first in rows:
                yield f"{table}: {count} rows of {ref}, which is no partition of a {role}, the first: {first}"


def _wrongly_passed_over(connection: sqlite3.Connection) -> Iterator[str]:
    """Records that were passed over, and are in a table, or that were not read."""
    next_offsets = dict(
        connection.execute("SELECT partition_ref, next_offset FROM partitions WHERE role = 'processor'")
    )
    for block, flags in connection.execute("SELECT block, flags FROM passed_over_blocks ORDER BY block"):
        if not count_flags(flags):
            continue
        first, last = block << BLOCK_BITS, last_passed_over(block, flags)
        ref = ref_of(first)
        if ref not in next_offsets:
            yield f"passed_over_blocks: records of {ref}, which is no partition of a processor"
        elif offset_of(last) >= next_offsets[ref]:
            position = _position(connection, last)
            yield f"{position} was passed over, but is at or after next_offset {next_offsets[ref]}"
        for table, what in _EFFECTS.items():
            rows = connection.execute(f"SELECT record_id FROM {table} WHERE record_id BETWEEN ? AND ?", (first, last))
            for record in [record for (record,) in rows if is_passed_over(flags, record)]:
                yield f"{_position(connection, record)} is {what} and was passed over"


def _without_a_parent(connection: sqlite3.Connection) -> Iterator[str]:
    missing: dict[tuple[str, str], int] = {}
    for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        missing[table, parent] = missing.get((table, parent), 0) + 1
    for (table, parent), count in missing.items():
        yield f"{table}: {count} rows refer to rows of {parent} that are not there"


def _without_a_name(connection: sqlite3.Connection) -> Iterator[str]:
    """Orders that the view leaves out."""
    for field in CHOICE_FIELDS:
        names = f"SELECT {field.column} FROM {field.names_table}"
        (count,) = connection.execute(
            f"SELECT count(*) FROM order_rows WHERE {field.column} NOT IN ({names})"
        ).fetchone()
        if count:
            yield f"order_rows: {count} rows have a {field.column} that names no {field.name}"


def _position(connection: sqlite3.Connection, record: int) -> str:
    found = connection.execute(
        "SELECT topic, partition FROM partitions JOIN topics USING (topic_ref) WHERE partition_ref = ?",
        (ref_of(record),),
    ).fetchone()
    topic, partition = found or ("unknown topic", ref_of(record))
    return f"{topic}[{partition}] offset {offset_of(record)}"
