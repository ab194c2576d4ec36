"""What people look at: read-only queries with a row cap and a time limit, each saying when it cut something off."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.buffer.contract import Role, StoppedTopic
from pipeline.buffer.entities import ORDER_COLUMNS
from pipeline.buffer.filters import DeadLetterFilter, OrderFilter
from pipeline.buffer.group_contract import GroupState
from pipeline.buffer.lookup_contract import Lookup
from pipeline.buffer.reread_contract import HeldTopic
from pipeline.buffer.sqlite.conditions import dead_letter_condition, order_condition
from pipeline.buffer.sqlite.connection import (
    closed_in_trouble,
    connect_reader,
    file_of,
    limited,
    snapshot,
    translated_errors,
)
from pipeline.buffer.sqlite.groups.listing import group, groups
from pipeline.buffer.sqlite.search.facets import count_facets, count_statuses, known_values
from pipeline.buffer.sqlite.search.find import find_dead_letters
from pipeline.buffer.sqlite.stores.lookups import LOOKUP
from pipeline.buffer.sqlite.stores.rereads import HELD_TOPIC, UNFINISHED
from pipeline.buffer.views import (
    Count,
    DeadLetterDetail,
    DeadLetterView,
    FacetValue,
    Found,
    Grain,
    GroupDetail,
    JobView,
    OrderSort,
    Payload,
    Rows,
    Totals,
)
from pipeline.errors import BufferUnavailableError
from pipeline.headers.codec import headers_from_json
from pipeline.orders.fields import CHOICE_FIELDS
from pipeline.records import Currency, TopicIdentity
from pipeline.search.inside import ValueReader

ROW_CAP = 10_000
LIMIT_MS = 2_000
COUNT_CAP = 100_000
FEW_ORDERS = 50_000
COLLECTED_NEAR = 10_000
TEXT_CAP_BYTES = 4_000
"""Lists hold this much of a text: a page of reasons of a megabyte each would be more than the app has room for."""

_VIEW = (
    "id, order_id, product, price_cents, created_at_ms, failed_at_ms, first_failed_at_ms, reason, error_class, "
    "attempts, status, replays, source_topic, source_partition, source_offset, dialect, fingerprint, "
    'topic, partition, "offset", failed_at_known, import_id IS NOT NULL'
)
_VIEW_COLUMNS = len(DeadLetterView.__slots__)
_DETAIL = (
    "key, value, headers, stacktrace, rule, stage, consumer_group, customer_id, source_timestamp_ms, "
    "timestamp_ms, received_at_ms, status_at_ms, replay_of, dead_letter_id, concluded, "
    "(SELECT file FROM imports WHERE imports.id = import_id), (SELECT kind FROM imports WHERE imports.id = import_id)"
)
_ORDERS = ", ".join(
    (*(column.name for column in ORDER_COLUMNS), 'processed_at_ms, attempts, topic, partition, "offset"')
)
_NAMES_TABLES = {field.name: field.names_table for field in CHOICE_FIELDS}
_ORDER_SORTS = {
    "created_at_ms": "created_at_ms {0}",
    "price_cents": "price_cents {0}",
    "order_id": "order_id {0}",
}
_JOB = (
    "id, kind, jobs.state, params, requested_by, created_at_ms, started_at_ms, finished_at_ms, done, failed, total, "
    "jobs.error, "
    "(SELECT count(*) FROM job_items WHERE job_id = jobs.id AND job_items.state = 'recovered'), "
    "(SELECT count(*) FROM job_items WHERE job_id = jobs.id AND job_items.state = 'dead_again')"
)


@dataclass(frozen=True, slots=True)
class _Opened:
    connection: sqlite3.Connection
    file: tuple[int, int] | None


class Reader:
    """A read-only look at the buffer; safe to share between threads, whose queries do not wait for each other.

    Texts of more than 4,000 bytes are cut, and say so, but for those of one dead letter and of jobs.

    Every method may raise BufferUnavailableError (there is none yet, it cannot be read now, or the answer took too long
    and has no `cut` to say so) and BufferCorruptError.
    A buffer that was moved or replaced is opened again.
    """

    def __init__(self, path: Path, row_cap: int = ROW_CAP, limit_ms: int = LIMIT_MS) -> None:
        self._path = path
        self._row_cap = row_cap
        self._limit_ms = limit_ms
        self._lock = threading.Lock()
        self._idle: list[_Opened] = []
        self._watching: _Opened | None = None

    # -- what changes all the time

    def data_version(self) -> tuple[object, ...]:
        """Changes when anybody has written to the buffer; costs microseconds."""
        # On a connection of its own: SQLite counts versions for each connection.
        with self._lock, translated_errors(self._path):
            opened = self._watching
            if opened is None or opened.file != file_of(self._path):
                self._stop_watching()
                opened = self._watching = self._open()
            return (opened.file, opened.connection.execute("PRAGMA data_version").fetchone()[0])

    def totals(self) -> Totals:
        """Orders, revenue and dead letters."""
        return Totals(*self._whole("SELECT orders, revenue_cents, dead_letters FROM totals").rows[0])

    def topic_totals(self) -> dict[str, Totals]:
        """The same of each topic that has orders; its dead letters are those that name it as their source."""
        rows = self._whole(
            "SELECT topic, sum(orders), sum(revenue_cents), "
            "coalesce((SELECT dead_letters FROM dead_letter_sources AS source WHERE source.topic = topics.topic), 0) "
            "FROM partitions JOIN topics USING (topic_ref) WHERE role = 'processor' "
            "GROUP BY topic HAVING sum(orders) > 0 ORDER BY topic"
        )
        return {topic: Totals(*totals) for topic, *totals in rows.rows}

    def currency(self) -> Currency:
        """What all amounts are in."""
        return Currency(*self._whole("SELECT currency, currency_digits FROM totals").rows[0])

    def status_counts(self) -> dict[str, int]:
        """Dead letters by status."""
        return dict(self._whole("SELECT status, dead_letters FROM dead_letter_counts WHERE dead_letters > 0").rows)

    def lookup(self, number: int) -> Lookup | None:
        """A question and its answer, whole; None when it is gone."""
        rows = self._whole(f"SELECT {LOOKUP.sql} FROM lookups WHERE id = :id", {"id": number}, long_texts=True).rows
        return LOOKUP.read(rows[0]) if rows else None

    def parked_count(self, topic: str | None = None) -> int:
        """Records that are parked for a retry, or wait behind one; of all topics, or of this one."""
        rows = self._whole(
            "SELECT count(*) FROM retries WHERE :topic IS NULL OR record_id >> 40 IN "
            "(SELECT partition_ref FROM partitions JOIN topics USING (topic_ref) WHERE topic = :topic)",
            {"topic": topic},
        )
        return int(rows.rows[0][0])

    def outbox_count(self) -> int:
        """Failed records on their way to the dead-letter topic."""
        return int(self._whole("SELECT count(*) FROM outbox").rows[0][0])

    def orders_topics(self) -> list[str]:
        """The topics of which orders were read."""
        return self._whole(
            "SELECT DISTINCT topic FROM partitions JOIN topics USING (topic_ref) WHERE role = 'processor' ORDER BY 1"
        ).column("topic")

    def waiting_of_gone_partitions(self, read: Collection[str]) -> Rows:
        """What waits of partitions that nobody reads: of other topics than these, or not in their newest generation.

        Columns: topic, partition, parked, outbox.
        """
        return self._rows(
            "WITH waiting (ref, parked, outbox) AS ("
            "  SELECT record_id >> 40, count(*), 0 FROM retries GROUP BY 1"
            "  UNION ALL SELECT record_id >> 40, 0, count(*) FROM outbox GROUP BY 1"
            "), read (topic_ref, topic, partition) AS ("
            "  SELECT topic_ref, topic, partition FROM partitions JOIN topics USING (topic_ref)"
            "  WHERE role = 'processor'"
            ") SELECT topic, partition, sum(parked) AS parked, sum(outbox) AS outbox FROM waiting "
            "JOIN partitions ON partition_ref = ref JOIN topics USING (topic_ref) "
            "WHERE topic NOT IN (SELECT value FROM json_each(:read)) OR partition NOT IN (SELECT partition FROM read "
            "  WHERE topic_ref = (SELECT max(topic_ref) FROM read WHERE read.topic = topics.topic)) "
            "GROUP BY topic, partition ORDER BY topic, partition",
            {"read": json.dumps(list(read))},
        )

    def flow(self, grain: Grain, span_ms: int, topic: str | None = None) -> Rows:
        """Figures per second or minute over the last `span_ms` before the newest one; of all topics, or of this one.

        Columns: at_ms, orders, revenue_cents, retries, dead_letters; only times at which something happened, in
        whatever topic: charts of all topics end at the same time.
        """
        table, column = f"flow_{grain}s", f"{grain}_ms"
        sums = ", ".join(
            f"coalesce(sum({name}) FILTER (WHERE :topic IS NULL OR topic = :topic), 0) AS {name}"
            for name in ("orders", "revenue_cents", "retries", "dead_letters")
        )
        return self._rows(
            f"SELECT {column} AS at_ms, {sums} FROM {table} "
            f"WHERE {column} > (SELECT max({column}) FROM {table}) - :span_ms GROUP BY {column} ORDER BY {column}",
            {"span_ms": span_ms, "topic": topic},
        )

    def product_totals(self, limit: int = 20, topic: str | None = None) -> Rows:
        """Products by revenue, of all topics or of this one. Columns: product, orders, revenue_cents."""
        return self._rows(
            # Names are looked up of those alone that are shown.
            "SELECT product, orders, revenue_cents FROM ("
            "  SELECT product_ref, sum(orders) AS orders, sum(revenue_cents) AS revenue_cents FROM product_totals"
            "  WHERE :topic IS NULL OR topic = :topic GROUP BY product_ref ORDER BY revenue_cents DESC LIMIT :limit"
            ") JOIN products USING (product_ref) ORDER BY revenue_cents DESC",
            {"limit": limit, "topic": topic},
        )

    def file_bytes(self) -> int:
        """Size of the buffer file and its write-ahead log."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    # -- orders

    def orders(
        self,
        which: OrderFilter,
        sort: OrderSort = "created_at_ms",
        descending: bool = True,
        limit: int = 100,
        offset: int = 0,
    ) -> Rows:
        """Orders of the public view, with their position in Kafka."""
        where, arguments = order_condition(which, self._of_few(which))
        order = _ORDER_SORTS[sort].format("DESC" if descending else "ASC")
        return self._rows(
            f"SELECT {_ORDERS} FROM orders WHERE {where} ORDER BY {order} LIMIT :limit OFFSET :offset",
            arguments | {"limit": limit, "offset": offset},
        )

    def count_orders(self, which: OrderFilter) -> Count:
        """How many orders match, counted up to 100,000; figures know all orders, and all of topics."""
        if which == OrderFilter():
            return Count(self._whole("SELECT orders - pruned_orders FROM totals").rows[0][0], False)
        if which == OrderFilter(topics=which.topics):
            kept = self._whole(
                "SELECT coalesce(sum(orders - pruned_orders), 0) FROM partitions JOIN topics USING (topic_ref) "
                "WHERE role = 'processor' AND topic IN (SELECT value FROM json_each(:topics))",
                {"topics": json.dumps(which.topics)},
            )
            return Count(kept.rows[0][0], False)
        return self._count("orders", *order_condition(which, self._of_few(which)))

    def _of_few(self, which: OrderFilter) -> bool:
        """Whether the filter's topics have so few orders that looking at each of them is quicker than anything else."""
        return bool(which.topics) and self.count_orders(OrderFilter(topics=which.topics)).rows <= FEW_ORDERS

    def order_values(self, field: str) -> list[str]:
        """The different values of one of CHOICE_FIELDS, by its name, up to 1,000. Raises KeyError for another."""
        return self._whole(f"SELECT {field} FROM {_NAMES_TABLES[field]} ORDER BY {field} LIMIT 1000").column(field)

    # -- dead letters

    def groups(
        self,
        now_ms: int,
        states: Collection[GroupState] | None = None,
        open_only: bool = False,
        limit: int = 200,
        only: str | None = None,
    ) -> Rows:
        """Failures that look alike: new ones first, then regressed, escalating and ongoing ones, resolved and ignored
        ones last; of each state those with the most open ones first.

        Columns: fingerprint, title, error_class, source_topic, total, open, first_seen_ms, last_seen_ms, state,
        last_hour (dead letters in the hour that runs or the one before, whichever had more), fingerprints (how many are
        merged), said_by and said_at_ms (of the last change of the state by hand), until_ms (while it is ignored),
        regressed_at_ms, chart (dead letters of the last week by six hours, as a list), chart_from_ms and chart_step_ms.
        `only`: that group alone, by any of its fingerprints.
        """
        return groups(self._rows, now_ms, states, open_only, limit, only)

    def group(self, fingerprint: str, now_ms: int) -> GroupDetail | None:
        """All there is of the group that one of its fingerprints names; None where it has no dead letters."""
        return group(partial(self._whole, long_texts=True), fingerprint, now_ms)

    def group_titles(self) -> list[str]:
        """The titles of groups, up to 1,000."""
        return self._whole(
            "SELECT title FROM dead_letter_groups WHERE total > 0 ORDER BY open DESC, last_seen_ms DESC LIMIT 1000"
        ).column("title")

    def dead_letters(self, which: DeadLetterFilter, limit: int = 100) -> list[DeadLetterView]:
        """The newest dead letters that match."""
        where, arguments = dead_letter_condition(which)
        rows = self._whole(
            f"SELECT {_VIEW} FROM dead_letters WHERE {where} ORDER BY id DESC LIMIT :limit",
            arguments | {"limit": limit},
        )
        return [DeadLetterView(*row) for row in rows.rows]

    def find(self, which: DeadLetterFilter, read: ValueReader | None = None) -> Found:
        """Which dead letters match, newest first, up to 10,000; within the time limit, and it says how far.

        `read` reads what is inside of values, for queries that ask for it; without it UsageError is raised for these.
        """
        with self._borrowed() as connection, translated_errors(self._path), limited(connection, self._limit_ms):
            connection.text_factory = str
            return find_dead_letters(connection, which, read)

    def facets(self, found: Found, most: int = 10) -> dict[str, list[FacetValue]]:
        """What the dead letters found have in common: by field the values that most of them have.

        Fields are those of the query language; `failed` is the hour, as it is written there.
        """
        with self._looking() as connection:
            return count_facets(connection, found.ids, most)

    def count_by_status(self, which: DeadLetterFilter) -> dict[str, int]:
        """How many dead letters match, by their status; all of them are counted."""
        with self._looking() as connection:
            return count_statuses(connection, which)

    def newest_dead_letter(self) -> int:
        """The greatest id; 0 when there is none."""
        return int(self._whole("SELECT coalesce(max(id), 0) FROM dead_letters").rows[0][0])

    def dead_letter(self, identifier: int) -> DeadLetterDetail | None:
        """One dead letter whole."""
        sql = f"SELECT {_VIEW}, {_DETAIL} FROM dead_letters WHERE id = :id"
        rows = self._whole(sql, {"id": identifier}, long_texts=True).rows
        if not rows:
            return None
        view, (key, value, headers, *others) = rows[0][:_VIEW_COLUMNS], rows[0][_VIEW_COLUMNS:]
        return DeadLetterDetail(DeadLetterView(*view), key, value, headers_from_json(headers), *others)

    def payloads(self, ids: Collection[int], most_bytes: int) -> dict[int, Payload]:
        """What these dead letters hold, by id. Of larger ones nothing but their size."""
        rows = self._whole(
            "WITH wanted AS (SELECT *, coalesce(length(key), 0) + coalesce(length(value), 0) + length(headers) AS size "
            "  FROM dead_letters WHERE id IN (SELECT value FROM json_each(:ids))) "
            "SELECT id, topic, source_topic, iif(size <= :most, key, NULL), iif(size <= :most, value, NULL), "
            "iif(size <= :most, headers, '[]'), iif(size <= :most, 0, size) FROM wanted",
            {"ids": json.dumps(list(ids)), "most": most_bytes},
            long_texts=True,
        )
        return {
            identifier: Payload(identifier, topic, source_topic, key, value, headers_from_json(headers), size)
            for identifier, topic, source_topic, key, value, headers, size in rows.rows
        }

    def lives(self, identifier: int) -> list[DeadLetterView]:
        """The same record's dead letters, oldest first: what this is a replay of, and what its replays became."""
        rows = self._whole(
            "WITH RECURSIVE before(id, replay_of) AS ("
            "  SELECT id, replay_of FROM dead_letters WHERE id = :id"
            "  UNION SELECT d.id, d.replay_of FROM dead_letters d JOIN before ON d.id = before.replay_of"
            "), chain(id) AS ("
            "  SELECT min(id) FROM before UNION SELECT d.id FROM dead_letters d JOIN chain ON d.replay_of = chain.id"
            f") SELECT {_VIEW} FROM dead_letters WHERE id IN (SELECT id FROM chain) ORDER BY id",
            {"id": identifier},
        )
        return [DeadLetterView(*row) for row in rows.rows]

    def replays_of(self, identifier: int) -> Rows:
        """The ledger's items of a dead letter, newest first."""
        return self._rows(
            'SELECT job_id, job_items.state, topic, partition, "offset", job_items.error, created_at_ms, requested_by '
            "FROM job_items JOIN jobs ON jobs.id = job_id WHERE dead_letter_id = :id ORDER BY job_id DESC",
            {"id": identifier},
        )

    def accepted(self, identity: TopicIdentity, partition: int, offsets: Collection[int]) -> set[int]:
        """Those of these offsets whose records are accepted orders."""
        return set(
            self._whole(
                "WITH wanted AS (SELECT value AS record_offset FROM json_each(:offsets)), refs AS ("
                "  SELECT partition_ref FROM partitions JOIN topics USING (topic_ref) WHERE role = 'processor' "
                "  AND (cluster_id, topic, topic_id, partition) = (:cluster_id, :topic, :topic_id, :partition)) "
                "SELECT record_offset FROM refs CROSS JOIN wanted "
                "JOIN order_rows ON record_id = partition_ref << 40 | record_offset",
                {
                    "offsets": json.dumps(list(offsets)),
                    "cluster_id": identity.cluster_id,
                    "topic": identity.topic,
                    "topic_id": identity.topic_id,
                    "partition": partition,
                },
            ).column("record_offset")
        )

    def failed_near(self, identifier: int, topic: str, partition: int, offsets: Collection[int]) -> set[int]:
        """Those of these offsets whose records are dead letters too, among those collected around this one.

        Dead letters have no index by where they came from; those of one time were collected at one time.
        """
        return set(
            self._whole(
                "SELECT source_offset FROM dead_letters WHERE id BETWEEN :first AND :last "
                "AND source_topic = :topic AND source_partition = :partition "
                "AND source_offset IN (SELECT value FROM json_each(:offsets))",
                {
                    "first": identifier - COLLECTED_NEAR,
                    "last": identifier + COLLECTED_NEAR,
                    "topic": topic,
                    "partition": partition,
                    "offsets": json.dumps(list(offsets)),
                },
            ).column("source_offset")
        )

    def dead_letter_values(self, field: str) -> list[str]:
        """The different values that a field of the query language has, or had, of those with few: up to 200, sorted."""
        with self._looking() as connection:
            return known_values(connection, field, 200)

    def imports(self) -> Rows:
        """Files that dead letters were imported from, newest first.

        Columns: file, kind, started_at_ms, finished_at_ms (None: it was interrupted), dead_letters.
        """
        return self._rows(
            "SELECT file, kind, started_at_ms, finished_at_ms, dead_letters FROM imports ORDER BY id DESC"
        )

    # -- jobs, retries, watching

    def jobs(self, limit: int = 50) -> list[JobView]:
        """The newest jobs first."""
        rows = self._whole(f"SELECT {_JOB} FROM jobs ORDER BY id DESC LIMIT :limit", {"limit": limit}, long_texts=True)
        return [JobView(*row) for row in rows.rows]

    def job(self, identifier: int) -> JobView | None:
        """One job."""
        rows = self._whole(f"SELECT {_JOB} FROM jobs WHERE id = :id", {"id": identifier}, long_texts=True).rows
        return JobView(*rows[0]) if rows else None

    def unfinished_job(self) -> JobView | None:
        """The job that runs, or the next one that will."""
        rows = self._whole(
            f"SELECT {_JOB} FROM jobs WHERE jobs.state IN ('queued', 'running', 'cancelling') ORDER BY id LIMIT 1",
            long_texts=True,
        ).rows
        return JobView(*rows[0]) if rows else None

    def job_items(self, job_id: int, limit: int = 200) -> Rows:
        """The ledger of one replay job."""
        return self._rows(
            "SELECT job_items.dead_letter_id, job_items.state, order_id, reason, job_items.topic, job_items.partition, "
            'job_items."offset", job_items.error FROM job_items JOIN dead_letters ON dead_letters.id = '
            "job_items.dead_letter_id WHERE job_id = :id ORDER BY 1 LIMIT :limit",
            {"id": job_id, "limit": limit},
        )

    def parked(self, limit: int = 200) -> Rows:
        """Parked records, those due first; `due_at_ms` NULL waits behind another record of its key."""
        return self._rows(
            'SELECT topic, partition, record_id & 1099511627775 AS "offset", key, attempts, due_at_ms, '
            "first_failed_at_ms, error_class, reason FROM retries "
            "JOIN partitions ON partition_ref = record_id >> 40 JOIN topics USING (topic_ref) "
            "ORDER BY due_at_ms IS NULL, due_at_ms, record_id LIMIT :limit",
            {"limit": limit},
        )

    def partitions(self) -> Rows:
        """How far each role has read, of every generation of every topic."""
        return self._rows(
            "SELECT role, topic, partition, next_offset, cluster_id, topic_id, first_seen_ms, partition_ref, "
            "max(pruned_below, read_from) AS pruned_below, reading "
            "FROM partitions JOIN topics USING (topic_ref) ORDER BY role, topic, partition, partition_ref"
        )

    def lost_offsets(self) -> Rows:
        """Offsets that were removed before they were read, by role and topic; `known` are those that somebody accepted.

        Columns: role, topic, offsets, known, newest_at_ms.
        """
        return self._rows(
            "SELECT role, topic, sum(lost_offsets.next_offset - first_offset) AS offsets, "
            "sum((lost_offsets.next_offset - first_offset) * (accepted_at_ms IS NOT NULL)) AS known, "
            "max(at_ms) AS newest_at_ms FROM lost_offsets JOIN partitions USING (partition_ref) "
            "JOIN topics USING (topic_ref) GROUP BY role, topic ORDER BY role, topic"
        )

    def passed_over(self) -> Rows:
        """Records that were passed over, of topics that have some: no orders, and no dead letters.

        Columns: topic, records.
        """
        return self._rows(
            "SELECT topic, sum(passed_over) AS records FROM partitions JOIN topics USING (topic_ref) "
            "GROUP BY topic HAVING sum(passed_over) > 0 ORDER BY topic"
        )

    def stopped(self) -> list[StoppedTopic]:
        """The topics whose reading the brake has stopped."""
        rows = self._whole(
            "SELECT topic, stopped_at_ms, accepted, failed FROM brakes WHERE resumed_at_ms IS NULL ORDER BY topic"
        )
        return [StoppedTopic(*row) for row in rows.rows]

    def held(self) -> list[HeldTopic]:
        """The topics that are not read before somebody says from where, or since they are to be read again."""
        return HELD_TOPIC.read_all(self._whole(UNFINISHED).rows)

    def reread(self, role: Role) -> dict[str, int]:
        """The topics of this role that have been read again, with the number of the newest reread of each."""
        rows = self._whole(
            "SELECT topic, max(id) FROM rereads WHERE (role, state) = (:role, 'done') GROUP BY topic", {"role": role}
        )
        return dict(rows.rows)

    def alert_window(self, from_ms: int) -> tuple[int, int]:
        """Orders processed and dead letters that failed since then, as the alert on their share counts them."""
        rows = self._whole(
            "SELECT (SELECT coalesce(sum(orders), 0) FROM flow_seconds WHERE second_ms >= :from_ms), "
            "(SELECT coalesce(sum(dead_letters), 0) FROM failure_seconds WHERE second_ms >= :from_ms)",
            {"from_ms": from_ms},
        )
        return rows.rows[0][0], rows.rows[0][1]

    def alerts(self, limit: int = 100) -> Rows:
        """Alerts, newest first."""
        return self._rows(
            "SELECT id, rule, state, started_at_ms, ended_at_ms, value, threshold, message, notice FROM alerts "
            "ORDER BY id DESC LIMIT :limit",
            {"limit": limit},
        )

    def events(self, limit: int = 100) -> Rows:
        """Events, newest first."""
        return self._rows(
            "SELECT id, at_ms, role, level, message FROM events ORDER BY id DESC LIMIT :limit", {"limit": limit}
        )

    # -- the one way to ask

    def _count(self, source: str, where: str, arguments: Mapping[str, object]) -> Count:
        rows = self._rows(
            f"SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {where} LIMIT {COUNT_CAP + 1})", arguments
        )
        if not rows.rows:
            return Count(0, True)
        found = int(rows.rows[0][0])
        return Count(min(found, COUNT_CAP), found > COUNT_CAP)

    def _whole(self, sql: str, arguments: Mapping[str, object] | None = None, long_texts: bool = False) -> Rows:
        """For answers that cannot say that something is missing: raises BufferUnavailableError instead."""
        rows = self._rows(sql, arguments, long_texts)
        if rows.cut:
            raise BufferUnavailableError(f"the buffer's answer is not whole: {rows.cut}")
        return rows

    @contextmanager
    def _looking(self) -> Iterator[sqlite3.Connection]:
        """For answers of several queries of one moment; raises BufferUnavailableError where the time is up."""
        with (
            self._borrowed() as connection,
            translated_errors(self._path),
            limited(connection, self._limit_ms),
            snapshot(connection),
        ):
            connection.text_factory = str
            try:
                yield connection
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                    raise
                raise BufferUnavailableError(
                    f"the buffer's answer is not whole: stopped after {self._limit_ms / 1000:g} s: narrow the filter"
                ) from error

    def _rows(self, sql: str, arguments: Mapping[str, object] | None = None, long_texts: bool = False) -> Rows:
        with self._borrowed() as connection, translated_errors(self._path), limited(connection, self._limit_ms):
            connection.text_factory = str if long_texts else _shortened
            try:
                cursor = connection.execute(sql, arguments or {})
                rows = cursor.fetchmany(self._row_cap + 1)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                    raise
                return Rows((), [], f"stopped after {self._limit_ms / 1000:g} s: narrow the filter")
            columns = tuple(column[0] for column in cursor.description)
            cursor.close()
        cut = f"only the first {self._row_cap:,} are shown" if len(rows) > self._row_cap else ""
        return Rows(columns, rows[: self._row_cap], cut)

    @contextmanager
    def _borrowed(self) -> Iterator[sqlite3.Connection]:
        """A connection that nobody else uses meanwhile; there are as many as threads ever read at once."""
        opened = self._take()
        # After any trouble the next query begins with a connection of its own.
        with closed_in_trouble(opened.connection):
            yield opened.connection
        with self._lock:
            self._idle.append(opened)

    def _take(self) -> _Opened:
        file = file_of(self._path)
        with self._lock:
            while self._idle:
                opened = self._idle.pop()
                if opened.file == file:
                    return opened
                opened.connection.close()
        return self._open()

    def _open(self) -> _Opened:
        # Looked at before it is opened: a file that is replaced in between is noticed at the next query.
        file = file_of(self._path)
        return _Opened(connect_reader(self._path), file)

    def close(self) -> None:
        """Lets go of the file."""
        with self._lock:
            self._stop_watching()
            while self._idle:
                self._idle.pop().connection.close()

    def _stop_watching(self) -> None:
        if self._watching is not None:
            self._watching.connection.close()
            self._watching = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _shortened(text: bytes) -> str:
    """A text as lists hold it: a long one ends with how long it is."""
    if len(text) <= TEXT_CAP_BYTES:
        return text.decode()
    return f"{text[:TEXT_CAP_BYTES].decode(errors='ignore')}… ({len(text):,} bytes)"
