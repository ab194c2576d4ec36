"""Topics that are not read on before somebody says from where, and those that are being read again.

A reread goes through its states in short transactions, each of which can be done by anybody and only once: `asked`,
`draining` (what waits comes to its end), `taking` (its orders go out of rows and figures), `done`. Before the first
order goes the partitions are closed: whoever still reads the old generation can write nothing of it any more.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from pipeline.buffer.contract import (
    Generation,
    Role,
)
from pipeline.buffer.reread_contract import (
    Cut,
    HeldRecord,
    HeldTopic,
    PriorReading,
    RereadPlan,
    RereadState,
    Span,
    TakenOrders,
    WaitingRows,
)
from pipeline.buffer.sqlite.connection import OFFSET_BITS, WriterConnection, atomic, reading, record_id, ref_of
from pipeline.buffer.sqlite.rows import RowsOf
from pipeline.buffer.sqlite.stores.alerts import add_event
from pipeline.buffer.sqlite.stores.flow import topic_ref_of
from pipeline.buffer.sqlite.stores.flow_figures import MINUTE_MS, SECOND_MS, currency_of, topics_of
from pipeline.buffer.sqlite.stores.passed_over import take_passed_over
from pipeline.crash_points import reached
from pipeline.errors import UsageError
from pipeline.records import TopicIdentity

ORDERS_AT_ONCE = 500
HELD_TOPIC = RowsOf(HeldTopic, offset='"offset"', spans_json="spans", cuts_json="cuts")
UNFINISHED = f"SELECT {HELD_TOPIC.sql} FROM rereads WHERE state <> 'done' ORDER BY id"
_IDENTITY = RowsOf(TopicIdentity)
_SAME_TOPIC = (
    "(topics.topic = :topic OR cluster_id <> :cluster_id AND ("
    "substr(topics.topic, -length(:topic) - 1) = '.' || :topic "
    "OR substr(:topic, -length(topics.topic) - 1) = '.' || topics.topic))"
)
"""On another cluster a mirror may begin its name with that of the cluster it comes from, as MirrorMaker has it."""


class SqliteRereadStore:
    """The contract's RereadStore on SQLite."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def unfinished(self) -> list[HeldTopic]:
        """See RereadStore."""
        with reading(self._connection):
            return HELD_TOPIC.read_all(self._connection.execute(UNFINISHED))

    def prior(self, role: Role, cluster_id: str, topic: str) -> list[PriorReading]:
        """See RereadStore."""
        asked = {"role": role, "cluster_id": cluster_id, "topic": topic}
        with reading(self._connection):
            (decided_ms,) = self._connection.execute(
                "SELECT max(newest_ms) FROM rereads WHERE (role, cluster_id, topic, state) = "
                "(:role, :cluster_id, :topic, 'done')",
                asked,
            ).fetchone()
            rows = self._connection.execute(
                "SELECT cluster_id, max(newest_ms) AS newest FROM partitions JOIN topics USING (topic_ref) "
                f"WHERE role = :role AND cluster_id <> :cluster_id AND {_SAME_TOPIC} "
                "AND (last_offset IS NOT NULL OR newest_ms >= 0) GROUP BY cluster_id ORDER BY newest DESC",
                asked,
            ).fetchall()
        return [PriorReading(*row) for row in rows if decided_ms is None or row[1] > decided_ms]

    def hold(
        self, role: Role, topic: str, cluster_id: str, prior: Sequence[PriorReading], record: HeldRecord, now_ms: int
    ) -> None:
        """See RereadStore."""
        clusters = ", ".join(each.cluster_id for each in prior)
        newest_ms = max(each.newest_ms for each in prior)
        with atomic(self._connection) as connection:
            # Whoever has not heard yet that it is decided asks for nothing.
            held = connection.execute(
                'INSERT INTO rereads (role, topic, cluster_id, state, held_at_ms, partition, "offset", timestamp_ms, '
                "clusters, newest_ms) SELECT ?1, ?2, ?3, 'held', ?4, ?5, ?6, ?7, ?8, ?9 WHERE NOT EXISTS ("
                "SELECT 1 FROM rereads WHERE (role, topic, cluster_id, state) = (?1, ?2, ?3, 'done') "
                "AND newest_ms >= ?9) ON CONFLICT DO NOTHING RETURNING id",
                (role, topic, cluster_id, now_ms, *record, clusters, newest_ms),
            ).fetchone()
            if held is not None:
                row = connection.execute(f"SELECT {HELD_TOPIC.sql} FROM rereads WHERE id = ?", held).fetchone()
                add_event(connection, role, "error", str(HELD_TOPIC.read(row)), now_ms)

    def ask(self, role: Role, topic: str, cluster_id: str, start: str, by: str, now_ms: int) -> int:
        """See RereadStore."""
        with atomic(self._connection) as connection:
            return _ask(connection, role, topic, cluster_id, start, by, now_ms)

    def begin(self, plan: RereadPlan, by: str, now_ms: int) -> int:
        """See RereadStore."""
        identity = plan.identity
        with atomic(self._connection) as connection:
            number = _ask(connection, plan.role, identity.topic, identity.cluster_id, plan.start, by, now_ms)
            connection.execute(
                "UPDATE rereads SET state = 'draining', topic_id = ?, spans = ?, cuts = ?, "
                "newest_ms = max(coalesce(newest_ms, -1), ?) WHERE id = ?",
                (identity.topic_id, json.dumps(plan.spans), json.dumps(plan.cuts), plan.newest_ms, number),
            )
        return number

    def refuse(self, number: int, reason: str, now_ms: int) -> None:
        """See RereadStore."""
        with atomic(self._connection) as connection:
            refused = connection.execute(
                "UPDATE rereads SET state = 'held', start = NULL, asked_by = NULL, asked_at_ms = NULL "
                "WHERE (id, state) = (?, 'asked') AND held_at_ms IS NOT NULL",
                (number,),
            ).rowcount
            if not refused:
                refused = connection.execute("DELETE FROM rereads WHERE (id, state) = (?, 'asked')", (number,)).rowcount
            # None: somebody else has begun it meanwhile.
            if refused:
                add_event(connection, "worker", "error", reason, now_ms)

    def waiting(self, cluster_id: str, topic: str) -> WaitingRows:
        """See RereadStore."""
        with reading(self._connection):
            return _waiting(self._connection, cluster_id, topic)

    def orders_from(self, cuts: Sequence[Cut]) -> TakenOrders:
        """See RereadStore."""
        found = TakenOrders(0, 0)
        with reading(self._connection):
            for cut in cuts:
                orders, cents = self._connection.execute(
                    "SELECT count(*), coalesce(sum(price_cents), 0) FROM order_rows "
                    "WHERE record_id >= ? AND record_id < ?",
                    _span_of(cut),
                ).fetchone()
                found = TakenOrders(found.orders + orders, found.revenue_cents + cents)
        return found

    def partitions(self, role: Role, cluster_id: str, topic: str) -> list[Generation]:
        """See RereadStore."""
        with reading(self._connection):
            rows = self._connection.execute(
                f"SELECT partition_ref, partition, {_IDENTITY.sql} FROM partitions JOIN topics USING (topic_ref) "
                f"WHERE role = :role AND {_SAME_TOPIC} ORDER BY partition_ref",
                {"role": role, "topic": topic, "cluster_id": cluster_id},
            ).fetchall()
        return [Generation(ref, _IDENTITY.read(identity), partition) for ref, partition, *identity in rows]

    def pruned_below(self, refs: Iterable[int]) -> dict[int, int]:
        """See RereadStore."""
        with reading(self._connection):
            return _pruned_below(self._connection, refs)

    def close_partitions(self, number: int) -> bool:
        """See RereadStore."""
        with atomic(self._connection) as connection:
            found = _found(connection, number, "draining")
            if found is None:
                return True
            if found.role == "processor" and any(_waiting(connection, found.cluster_id, found.topic)):
                return False
            # 1. What retention has pruned stays counted: reading begins behind it.
            spans, cuts = _behind_what_was_pruned(connection, found)
            # 2. From here on nobody writes to the old generations.
            connection.execute(
                "UPDATE partitions SET closed = 1 WHERE role = :role "
                f"AND topic_ref IN (SELECT topic_ref FROM topics WHERE {_SAME_TOPIC})",
                {"role": found.role, "topic": found.topic, "cluster_id": found.cluster_id},
            )
            connection.execute(
                "UPDATE rereads SET state = 'taking', spans = ?, cuts = ? WHERE id = ?",
                (json.dumps(spans), json.dumps(cuts), number),
            )
            reached("reread: closing not committed")
        return True

    def take_orders(self, number: int, now_ms: int) -> int:
        """See RereadStore."""
        with atomic(self._connection) as connection:
            found = _found(connection, number, "taking")
            if found is None:
                return 0
            taken = _take_orders(connection, found) or take_passed_over(connection, found.cuts)
            if taken:
                reached("reread: orders not taken out")
            else:
                _finish(connection, found, now_ms)
                reached("reread: end not committed")
        return taken


def _ask(
    connection: sqlite3.Connection, role: Role, topic: str, cluster_id: str, start: str, by: str, now_ms: int
) -> int:
    under_way = connection.execute(
        "SELECT 1 FROM rereads WHERE (role, topic) = (?, ?) AND state IN ('draining', 'taking')", (role, topic)
    ).fetchone()
    if under_way is not None:
        raise UsageError(f"{topic} is being read again already")
    (number,) = connection.execute(
        "INSERT INTO rereads (role, topic, cluster_id, state, start, asked_by, asked_at_ms) "
        "VALUES (?, ?, ?, 'asked', ?, ?, ?) ON CONFLICT (role, topic, cluster_id) WHERE state <> 'done' DO UPDATE SET "
        "state = 'asked', start = excluded.start, asked_by = excluded.asked_by, asked_at_ms = excluded.asked_at_ms "
        "RETURNING id",
        (role, topic, cluster_id, start, by, now_ms),
    ).fetchone()
    return int(number)


def _found(connection: sqlite3.Connection, number: int, state: RereadState) -> HeldTopic | None:
    """The reread, if it is in this state: somebody else may have been quicker."""
    row = connection.execute(
        f"SELECT {HELD_TOPIC.sql} FROM rereads WHERE (id, state) = (?, ?)", (number, state)
    ).fetchone()
    return None if row is None else HELD_TOPIC.read(row)


def _span_of(cut: Cut) -> tuple[int, int]:
    return record_id(cut.ref, cut.offset), cut.ref + 1 << OFFSET_BITS


def _waiting(connection: sqlite3.Connection, cluster_id: str, topic: str) -> WaitingRows:
    counts = ", ".join(
        f"(SELECT count(*) FROM {table} WHERE record_id >> {OFFSET_BITS} IN (SELECT partition_ref FROM of_topic))"
        for table in ("retries", "outbox")
    )
    return WaitingRows(
        *connection.execute(
            "WITH of_topic AS (SELECT partition_ref FROM partitions JOIN topics USING (topic_ref) "
            f"WHERE role = 'processor' AND {_SAME_TOPIC}) SELECT {counts}",
            {"topic": topic, "cluster_id": cluster_id},
        ).fetchone()
    )


def _behind_what_was_pruned(connection: sqlite3.Connection, found: HeldTopic) -> tuple[list[Span], list[Cut]]:
    """Where reading begins, and from where on orders go, moved behind what was pruned since that was decided."""
    pruned = _pruned_below(connection, (cut.ref for cut in found.cuts))
    partition_of = dict(
        connection.execute(
            "SELECT partition_ref, partition FROM partitions JOIN topics USING (topic_ref) WHERE cluster_id = ?",
            (found.cluster_id,),
        ).fetchall()
    )
    starts = {span.partition: span.start for span in found.spans}
    for ref, offset in pruned.items():
        if (partition := partition_of.get(ref)) in starts:
            starts[partition] = max(starts[partition], offset)
    spans = [span._replace(start=starts[span.partition]) for span in found.spans]
    return spans, [
        cut._replace(offset=max(cut.offset, starts.get(partition_of.get(cut.ref, -1), 0))) for cut in found.cuts
    ]


def _pruned_below(connection: sqlite3.Connection, refs: Iterable[int]) -> dict[int, int]:
    return dict(
        connection.execute(
            "SELECT partition_ref, pruned_below FROM partitions, totals WHERE totals.pruned_orders > 0 "
            "AND partition_ref IN (SELECT value FROM json_each(?))",
            (json.dumps(list(refs)),),
        )
    )


def _next_orders(connection: sqlite3.Connection, cuts: Sequence[Cut]) -> list[tuple[int, int, int, int]]:
    """The next few orders that go: record id, product, price in cents, time of processing."""
    for cut in cuts:
        rows = connection.execute(
            "SELECT record_id, product_ref, price_cents, processed_at_ms FROM order_rows "
            "WHERE record_id >= ? AND record_id < ? ORDER BY record_id LIMIT ?",
            (*_span_of(cut), ORDERS_AT_ONCE),
        ).fetchall()
        if rows:
            return rows
    return []


def _take_orders(connection: sqlite3.Connection, found: HeldTopic) -> int:
    rows = _next_orders(connection, found.cuts)
    if rows:
        # 1. The figures that counted them.
        _uncount(connection, rows)
        connection.execute(
            "UPDATE rereads SET orders = orders + ?, revenue_cents = revenue_cents + ? WHERE id = ?",
            (len(rows), sum(row[2] for row in rows), found.id),
        )
        # 2. The rows.
        connection.executemany("DELETE FROM order_rows WHERE record_id = ?", [(row[0],) for row in rows])
    return len(rows)


def _uncount(connection: sqlite3.Connection, rows: Sequence[tuple[int, int, int, int]]) -> None:
    less = "SET orders = orders - ?, revenue_cents = revenue_cents - ?"
    connection.execute(f"UPDATE totals {less}", (len(rows), sum(cents for _, _, cents, _ in rows)))
    connection.executemany(
        f"UPDATE partitions {less} WHERE partition_ref = ?",
        _sums(((ref_of(record),), cents) for record, _, cents, _ in rows),
    )
    topic_of = topics_of(connection, {ref_of(record) for record, *_ in rows})
    connection.executemany(
        f"UPDATE product_totals {less} WHERE product_ref = ? AND topic = ?",
        _sums(((product, topic_of[ref_of(record)]), cents) for record, product, cents, _ in rows),
    )
    for table, column, length_ms in (
        ("flow_minutes", "minute_ms", MINUTE_MS),
        ("flow_seconds", "second_ms", SECOND_MS),
    ):
        connection.executemany(
            f"UPDATE {table} {less} WHERE {column} = ? AND topic = ?",
            _sums(((at_ms - at_ms % length_ms, topic_of[ref_of(record)]), cents) for record, _, cents, at_ms in rows),
        )


def _sums(prices: Iterable[tuple[tuple[object, ...], int]]) -> list[tuple[object, ...]]:
    """How many and what they make, for each key, and the key."""
    found: dict[tuple[object, ...], tuple[int, int]] = {}
    for key, cents in prices:
        orders, sum_cents = found.get(key, (0, 0))
        found[key] = orders + 1, sum_cents + cents
    return [(*of_key, *key) for key, of_key in found.items()]


def _finish(connection: sqlite3.Connection, found: HeldTopic, now_ms: int) -> None:
    """Makes the new generation, which sessions read from now on."""
    same = (found.cluster_id, found.topic, found.topic_id or "")
    # 1. A reading of its own, so that no record's key is there twice.
    (readings,) = connection.execute(
        "SELECT coalesce(max(reading) + 1, 0) FROM topics WHERE (cluster_id, topic, topic_id) = (?, ?, ?)", same
    ).fetchone()
    identity = TopicIdentity(*same, reading=readings)
    topic_ref = topic_ref_of(connection, identity, now_ms)
    for span in found.spans:
        known = connection.execute(
            "SELECT last_offset, last_digest, newest_ms FROM partitions JOIN topics USING (topic_ref) "
            "WHERE (role, cluster_id, topic, topic_id, partition) = (?, ?, ?, ?, ?) AND last_offset IS NOT NULL "
            "ORDER BY partition_ref DESC LIMIT 1",
            (found.role, *same, span.partition),
        ).fetchone()
        (ref,) = connection.execute(
            "INSERT INTO partitions (role, topic_ref, partition, next_offset, read_from, last_offset, last_digest, "
            "newest_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING partition_ref",
            (found.role, topic_ref, span.partition, span.start, span.start, *(known or (None, None, -1))),
        ).fetchone()
        if found.role == "collector":
            connection.execute("INSERT INTO first_looks VALUES (?, ?)", (ref, span.end))
    # 2. What is read of other clusters goes on where it was, should somebody go back to one.
    connection.execute(
        "UPDATE partitions SET closed = 0 WHERE topic_ref IN (SELECT topic_ref FROM topics WHERE cluster_id <> ?)",
        (found.cluster_id,),
    )
    # 3. Who had it done, and what it changed.
    currency = currency_of(connection)
    connection.execute("UPDATE rereads SET state = 'done', done_at_ms = ? WHERE id = ?", (now_ms, found.id))
    add_event(
        connection,
        found.role,
        "warning",
        f"{found.topic} is read again from {found.start_in_words}, as {found.asked_by} asked: {found.orders:,} orders "
        f"with a revenue of {currency.apart(found.revenue_cents)} went out of the figures",
        now_ms,
    )
